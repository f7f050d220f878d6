"""Asks a source to cancel the job of a monitor, and logs what it answered."""

from functools import partial

from adapters.event_log import log_event
from adapters.services import Services
from domain.errors import Faults
from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow
from domain.outcome import CancelResult


def ask_source(services: Services, row: MonitorRow) -> CancelResult:
    """Send the source's cancel request for the job of a row."""
    source = services.sources.of_watch(row.source)
    if source.cancel is None:
        return CancelResult(accepted=False, detail=f"source {source.name} has no cancel")
    result = services.jobs.cancel(source, row.job_id)
    detail = result.quoted or result.detail
    log_event("cancelAsked", row, accepted=result.accepted, detail=detail)
    return result


def cancel_late(services: Services, row: MonitorRow) -> MonitorRow:
    """Cancel the job of a watch that ended without it; the row tells what the source answered."""
    try:
        result = ask_source(services, row)
    except Faults as error:  # the source is faulty, or not configured any more
        result = CancelResult(accepted=False, detail=str(error))
    said = "accepted" if result.accepted else f"not accepted: {result.detail}"
    note = partial(transitions.cancelled_late, run=row.run, result=said)
    written = services.monitors.change(row.id, note)
    return written.now if written else row
