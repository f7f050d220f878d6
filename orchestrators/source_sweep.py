"""`SourceSweep`: look at all jobs of a source, sleep for its interval, continue as new, for ever.

One instance runs for each source that sweeps, under an id that names the source. `SweepSource`
looks by a list, or plans the parts of a look job by job. `SweepJobs` does a part within its time,
so a generation holds a few activities, and a large sweep takes several generations. At the end of
the parts `SweepSource` notes the sweep. The table has the state; the input is no authority.

A sweep that failed is tried again at the next interval. The instance completes once its source does
not sweep any more. The watchdog starts it again if it is missing or silent.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from azure.durable_functions.models.Task import TaskBase

from domain import names
from domain.monitors.sweep import SweepTurn

bp = df.Blueprint()

Steps = Generator[TaskBase, Any, Any]


@bp.function_name(names.SOURCE_SWEEP)
@bp.orchestration_trigger(context_name="context")
def source_sweep(context: df.DurableOrchestrationContext) -> Steps:
    """Run one generation. The input is a `SweepTurn` as JSON, or nothing at first."""
    source = names.swept_source(context.instance_id)
    if source is None:
        return  # a copy, as `restartPostUri` makes one
    turn = SweepTurn.model_validate(context.get_input() or {})
    try:
        turn = yield from _look(context, source, turn)
    except Exception as error:  # noqa: BLE001 - an activity's error arrives as this alone
        failed = {"parts": [], "failed": True, "detail": str(error)[:500]}
        turn = turn.model_copy(update=failed)
    context.set_custom_status(turn.to_wire())
    if turn.ended:
        return
    if not turn.parts:
        pause = timedelta(seconds=turn.pause_seconds)
        yield context.create_timer(context.current_utc_datetime + pause)
        turn = SweepTurn(pause_seconds=turn.pause_seconds)
    context.continue_as_new(turn.to_wire())


def _look(context: df.DurableOrchestrationContext, source: str, turn: SweepTurn) -> Steps:
    """The turn after one look by a list, or after one activity for each part."""
    if not turn.parts:
        plan = yield context.call_activity(names.SWEEP_SOURCE, {"source": source})
        turn = SweepTurn.model_validate(plan)
    if not turn.parts:
        return turn
    calls = [
        context.call_activity(names.SWEEP_JOBS, {"source": source, **part.to_wire()})
        for part in turn.parts
    ]
    done = yield context.task_all(calls)
    turn = turn.joined([SweepTurn.model_validate(each) for each in done])
    if turn.parts:
        return turn
    end = {"source": source, "done": turn.to_wire()}
    return SweepTurn.model_validate((yield context.call_activity(names.SWEEP_SOURCE, end)))
