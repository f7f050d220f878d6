"""`GetJobStatus`: one look at the job; HTTP trouble is an outcome, never an exception."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import azure.durable_functions as df

from adapters import hub
from adapters.event_log import log_event
from adapters.monitor_table import Snapshot
from adapters.services import Services, get_services
from adapters.sweeper import with_safety
from adapters.threads import in_activity
from domain import names
from domain.errors import Faults, JobMonitorError, StoreUnavailable
from domain.monitors import transitions
from domain.monitors.decide import wait_for_place
from domain.monitors.monitor import MonitorRow, Watch
from domain.outcome import Outcome, Poll, Rules

bp = df.Blueprint()
log = logging.getLogger(__name__)

_CLOCKS_APART = timedelta(seconds=5)  # of two instances: one makes the poll, another decides


@bp.function_name(names.GET_JOB_STATUS)
@bp.activity_trigger(input_name="watch")
@bp.durable_client_input(client_name="client")
async def get_job_status(watch: object, client: df.DurableOrchestrationClient) -> dict[str, Any]:
    """Poll the job of a watch, and write what it saw into the row.

    Args:
        watch: A `Watch` as JSON.
        client: The durable client, to wake the deliveries.

    Returns:
        A `Poll` as JSON. `stop` and `settings` are those of the row. If the store did not take the
        heartbeat, the next poll or the end writes what this one could not.
    """
    looked = await in_activity(look_at_job, Watch.model_validate(watch), in_turn=True)
    if looked.told:
        await hub.wake_delivery(client, get_services(), looked.told)
    return looked.poll.to_wire()


class Looked(NamedTuple):
    """A poll, and the channels that notices of what it saw were written for."""

    poll: Poll
    told: Sequence[str] = ()


def poll_job(watch: Watch) -> Poll:
    """The poll of `look_at_job`. The notices of the end that follows wake the deliveries."""
    return look_at_job(watch).poll


def look_at_job(watch: Watch, *, in_turn: bool = False) -> Looked:
    """Read the row, ask the source, then store the result in the row.

    The row says which job is asked about, and whether there is anything to ask: an input may be
    old, or crafted by somebody who holds the key of the task hub. If the store does not answer, the
    job is looked at all the same. Nothing comes of it but a look.

    Args:
        watch: The watch.
        in_turn: Whether the poll may be put off while too many others ask the source.
    """
    try:
        services = get_services()
        try:
            known = services.monitors.snapshot(watch.monitor_id)
        except StoreUnavailable as error:
            log.warning("%s: row not read: %s", watch.monitor_id, error)
            return Looked(_look(services, watch, services.now(), in_turn=in_turn))
        if known is None or known.row.run != watch.run or known.row.state.final:
            outcome = watch.outcome or Outcome.RUNNING
            return Looked(Poll(outcome=outcome, looked=False, superseded=True))
        now = services.now()
        poll = with_safety(services, known.row, _look(services, known.row, now, in_turn=in_turn))
    except JobMonitorError as error:
        # The app's settings are broken. That says nothing about the job.
        log.warning("%s: can't poll: %s", watch.monitor_id, error)
        return Looked(Poll(outcome=Outcome.UNREACHABLE, detail=str(error)))
    return _heartbeat(services, known, watch, poll, now)


def rules_of(services: Services, about: Watch | MonitorRow) -> Rules:
    """The rules of a watch's source; the defaults if it is faulty, or not configured any more."""
    try:
        return services.sources.of_watch(about.source).rules(about.raw_status)
    except Faults:
        return Rules()


def _look(services: Services, about: Watch | MonitorRow, now: datetime, *, in_turn: bool) -> Poll:
    """Ask the source about a job, unless the poll is held or put off.

    A source that was removed, or is faulty, says nothing about the job: the watch goes on until it
    expires, and its row says why it sees nothing.
    """
    try:
        source = services.sources.of_watch(about.source)
        source.job_id(about.job_id)
    except Faults as error:
        log.warning("%s: can't poll %s: %s", about.source, about.job_id, error)
        return Poll(outcome=Outcome.UNREACHABLE, detail=str(error))
    held = Poll(outcome=about.outcome or Outcome.RUNNING, looked=False)
    held = held.model_copy(update={"rules": source.rules(about.raw_status)})
    if isinstance(about, MonitorRow) and (about.paused or _is_held(services, about.source, now)):
        return held
    with services.places.take(source, always=not in_turn or _is_last(about, now)) as found:
        if not found:
            wait = wait_for_place(about, now).total_seconds()
            return held.model_copy(update={"retry_after_seconds": wait})
        return source.granted(services.jobs.poll(source, about.job_id, now))


def _is_held(services: Services, source: str, now: datetime) -> bool:
    """Whether somebody holds the polls of a source; not, if the store does not answer."""
    try:
        return source in services.app_state.paused_sources(now)
    except StoreUnavailable as error:
        log.warning("%s: pauses not read: %s", source, error)
        return False


def _is_last(about: Watch | MonitorRow, now: datetime) -> bool:
    """Whether the watch may end after this poll, so that it must not be put off."""
    stop = isinstance(about, MonitorRow) and about.stop is not None
    return stop or now >= about.expire_time - _CLOCKS_APART


def _heartbeat(
    services: Services, known: Snapshot, watch: Watch, poll: Poll, now: datetime
) -> Looked:
    """Write what a poll saw, if it is worth it; the poll with what its watch must know of the row.

    A sweep compares its look with the last poll in the row, so where one sweeps each poll is
    written. A wish to stop that comes after the row was read brings a hint, so that another poll
    reads it.
    """

    def heartbeat(current: MonitorRow) -> transitions.Change | None:
        return transitions.polled(transitions.caught_up(current, watch, now), row.run, poll, now)

    row = known.row
    change = heartbeat(row)
    source = services.sources.known(row.source)
    swept = source is not None and source.sweeps
    if change and not (
        swept or change.notices or transitions.worth_writing(row, change.row, watch)
    ):
        return Looked(poll.model_copy(update={"settings": row.settings, "stop": row.stop}))
    try:
        written = services.monitors.change(row.id, heartbeat, known)
        current = written.now if written else services.monitors.get(row.id)
    except StoreUnavailable as error:
        log.warning("%s: heartbeat not stored: %s", row.id, error)
        return Looked(poll.model_copy(update={"settings": row.settings, "stop": row.stop}))
    if written:
        _log_changes(written.before, written.now)
    told = written.told if written else ()
    if current is None or current.run != row.run or current.state.final:
        return Looked(poll.model_copy(update={"superseded": True}), told)
    update = {"settings": current.settings, "stop": current.stop}
    return Looked(poll.model_copy(update=update), told)


def _log_changes(before: MonitorRow, row: MonitorRow) -> None:
    """Log the changes that this poll brought."""
    if row.raw_status != before.raw_status:
        log_event("changed", row, before=before.raw_status, now=row.raw_status)
    if row.blind != before.blind:
        level = logging.WARNING if row.blind else logging.INFO
        log_event("blind" if row.blind else "sighted", row, level=level, detail=row.detail)
    if row.outcome is Outcome.UNRECOGNISED and before.outcome is not row.outcome:
        log_event("unrecognised", row, level=logging.WARNING, raw_status=row.raw_status)
    for slow, since in (("overdue", row.started_at), ("stalled", row.moved_at)):
        if getattr(row, slow) and not getattr(before, slow):
            log_event(slow, row, level=logging.WARNING, raw_status=row.raw_status, since=since)
