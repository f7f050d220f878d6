"""`JobMonitoring`: watch one job to its end and store how it ended.

A generation, from its input to continue-as-new:

1. Wait for the time of the poll or for a hint, whichever comes first.
2. Call `GetJobStatus`. The poll stands between the wait and continue-as-new: if a timer is
   cancelled in the turn of continue-as-new, the extension delivers the hint again, for ever.
3. `decide`: sleep until the next poll, or finish. If the store has the end of this run already,
   or knows no such monitor, return at once, without touching the job (I5).
4. To finish, call `CancelJob` if somebody asked for that, then `RecordFinalStatus`. If one of
   them did not succeed, wait, and try again in the next generation. If the row does not bear the
   verdict out, poll again in the next generation.

The input is no authority: anybody with the key of the task hub can start this orchestrator with an
input of their own. So it runs under no id but the monitor's, and its activities act by the row.

A poll in flight may not have seen the reason of a hint that comes meanwhile. So the orchestrator
looks at its one wait for a hint again after the poll. If a hint came, before or during the poll,
another poll follows `POLL_GAP` later (I7).

The history of a generation holds one poll at the most, however long the job runs (I4).
CONTRIBUTING.md defines I1 to I10.
"""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
from azure.durable_functions.models.Task import TaskBase

from domain import names
from domain.monitors.decide import (
    after_cancel,
    decide,
    earliest_hinted_poll,
    reopened,
    retry_pause,
    wakes_at,
)
from domain.monitors.monitor import Watch
from domain.outcome import CancelResult, Outcome, Poll

bp = df.Blueprint()

Steps = Generator[TaskBase, Any, Any]


@bp.function_name(names.JOB_MONITORING)
@bp.orchestration_trigger(context_name="context")
def job_monitoring(context: df.DurableOrchestrationContext) -> Steps:
    """Run one generation. The input is a `Watch` as JSON; the output is the verdict."""
    watch = Watch.model_validate(context.get_input())
    if watch.monitor_id != context.instance_id:
        return None  # a copy, as `restartPostUri` makes one: the job has its one monitor (I1)
    context.set_custom_status(watch.custom_status())
    if watch.verdict is None:
        poll, asked_at, hinted = yield from _next_poll(context, watch)
        if poll.superseded:
            return None  # as in a task hub that was lost and came back: nothing is left to do
        now = context.current_utc_datetime
        watch = decide(watch, poll, now, asked_at)
        if hinted and watch.verdict is None:
            sooner = min(watch.next_poll_at, earliest_hinted_poll(watch, now))
            watch = watch.model_copy(update={"next_poll_at": sooner})
        context.set_custom_status(watch.custom_status())
    if watch.verdict is not None:
        watch, output = yield from _finish(context, watch)
        if output:
            return output
        pause = retry_pause(watch.cancel_attempts + watch.store_attempts)
        yield context.create_timer(context.current_utc_datetime + pause)
    context.continue_as_new(watch.to_wire())
    return None


def _next_poll(context: df.DurableOrchestrationContext, watch: Watch) -> Steps:
    """Wait, then poll. Returns the poll, its time, and whether a hint came before its end."""
    due: Any = context.create_timer(wakes_at(watch, context.current_utc_datetime))
    hint = context.wait_for_external_event(names.HINT)
    yield context.task_any([due, hint])
    if not due.is_completed:
        due.cancel()
        earliest = earliest_hinted_poll(watch, context.current_utc_datetime)
        if context.current_utc_datetime < earliest:
            yield context.create_timer(earliest)
    asked_at = context.current_utc_datetime
    look = context.call_activity(names.GET_JOB_STATUS, watch.to_wire())
    try:
        poll = Poll.model_validate((yield look))
    except Exception as error:  # noqa: BLE001 - an activity's error arrives as this alone
        # A worker that died, or a fault of the app. Neither says anything about the job (I6).
        poll = Poll(outcome=Outcome.UNREACHABLE, detail=f"The poll failed: {error}"[:1_000])
    return poll, asked_at, hint.is_completed


def _finish(context: df.DurableOrchestrationContext, watch: Watch) -> Steps:
    """Try once to carry out the verdict. Returns the watch, and the output once it is stored."""
    if watch.cancel_pending:
        result = yield from _attempt(context, names.CANCEL_JOB, watch)
        refused = CancelResult(accepted=False, detail="the attempt failed")
        watch = after_cancel(watch, CancelResult.model_validate(result) if result else refused)
        if watch.cancel_pending or watch.verdict is None:
            return watch, None
    stored = yield from _attempt(context, names.RECORD_FINAL_STATUS, watch)
    if not stored:
        watch = watch.model_copy(update={"store_attempts": watch.store_attempts + 1})
    if stored is None:
        watch = reopened(watch)
    # A release before 0.2 answers True: its store took the verdict as it was.
    return watch, watch.to_wire()["verdict"] if stored is True else stored


def _attempt(context: df.DurableOrchestrationContext, name: str, watch: Watch) -> Steps:
    """Call an activity. Returns its result, False if it failed: the caller tries again."""
    try:
        result = yield context.call_activity(name, watch.to_wire())
    except Exception:  # noqa: BLE001 - as above; the host logs it, the caller tries again
        return False
    return result
