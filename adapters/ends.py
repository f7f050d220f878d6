"""Tells that the end of a monitor is stored: by an event, and to the watchdog, which counts."""

import logging

from adapters.event_log import log_event
from adapters.services import Services
from domain.errors import StoreUnavailable
from domain.monitors.monitor import MonitorRow


def tell_end(services: Services, row: MonitorRow) -> None:
    """Tell of the end in a row that was just stored. A store that fails makes the count wrong."""
    lag = (services.now() - row.ended_at).total_seconds() if row.ended_at else None
    log_event("ended", row, state=row.state, reason=row.reason, polls=row.polls, lag_seconds=lag)
    if lag is None:
        return
    try:
        services.app_state.note_end(row, lag)
    except StoreUnavailable as error:
        log_event("notCounted", row, level=logging.WARNING, detail=str(error))
