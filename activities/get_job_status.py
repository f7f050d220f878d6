"""`GetJobStatus`: one look at the job; HTTP trouble is an outcome, never an exception."""

import logging
from typing import Any

import azure.durable_functions as df

from adapters.event_log import log_event
from adapters.services import get_services
from domain import names
from domain.errors import JobMonitorError, StoreUnavailable
from domain.monitors import transitions
from domain.monitors.decide import decide
from domain.monitors.monitor import MonitorRow, Watch
from domain.outcome import Outcome, Poll

bp = df.Blueprint()
log = logging.getLogger(__name__)


@bp.function_name(names.GET_JOB_STATUS)
@bp.activity_trigger(input_name="watch")
def get_job_status(watch: object) -> dict[str, Any]:
    """Poll the job of a watch and write the heartbeat.

    Args:
        watch: A `Watch` as JSON.

    Returns:
        A `Poll` as JSON. `stop` is the wish to end the watch that the row held. If the store did
        not take the heartbeat, the next poll or the end writes what this one could not.
    """
    return poll_job(Watch.model_validate(watch)).to_wire()


def poll_job(watch: Watch) -> Poll:
    """Ask the source, then write what was seen to the store."""
    try:
        services = get_services()
        now = services.now()
        poll = services.jobs.poll(services.sources.get(watch.source), watch.job_id, now)
        # The orchestrator decides alike, but for hints; the row tells when to expect a poll.
        seen = decide(watch, poll, now).model_copy(update={"verdict": None})
    except JobMonitorError as error:
        # The source was removed from the configuration, or the configuration is broken.
        # Neither says anything about the job: the watch goes on until it expires.
        log.warning("%s: can't poll: %s", watch.monitor_id, error)
        return Poll(outcome=Outcome.UNREACHABLE, detail=str(error))
    try:
        beat = services.monitors.change(watch.monitor_id, lambda row: transitions.polled(row, seen))
        current = beat.now if beat else services.monitors.get(watch.monitor_id)
    except StoreUnavailable as error:
        log.warning("%s: heartbeat not stored: %s", watch.monitor_id, error)
        return poll
    if beat:
        _log_changes(*beat)
        return poll.model_copy(update={"stop": beat.now.stop})
    over = current is not None and (current.run > watch.run or current.state.final)
    return poll.model_copy(update={"superseded": over})


def _log_changes(before: MonitorRow, row: MonitorRow) -> None:
    """Log what changed with this poll."""
    if row.raw_status != before.raw_status:
        log_event("changed", row, before=before.raw_status, now=row.raw_status)
    if row.blind != before.blind:
        level = logging.WARNING if row.blind else logging.INFO
        log_event("blind" if row.blind else "sighted", row, level=level, detail=row.detail)
    if row.outcome is Outcome.UNRECOGNISED and before.outcome is not row.outcome:
        log_event("unrecognised", row, level=logging.WARNING, raw_status=row.raw_status)
