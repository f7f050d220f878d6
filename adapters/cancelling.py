"""Asks a source to cancel the job of a monitor, and logs what it answered."""

from adapters.event_log import log_event
from adapters.services import Services
from domain.monitors.monitor import MonitorRow
from domain.outcome import CancelResult


def ask_source(services: Services, row: MonitorRow) -> CancelResult:
    """Send the source's cancel request for the job of a row."""
    source = services.sources.of_watch(row.source)
    if source.cancel is None:
        return CancelResult(accepted=False, detail=f"source {source.name} has no cancel")
    result = services.jobs.cancel(source, row.job_id)
    log_event("cancelAsked", row, accepted=result.accepted, detail=result.detail)
    return result
