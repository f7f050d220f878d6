"""`RecordFinalStatus`: write how a watch ended. The orchestrator repeats it until it holds."""

import logging

import azure.durable_functions as df

from adapters.event_log import log_end, log_event
from adapters.monitor_table import MonitorTable
from adapters.services import get_services
from domain import names
from domain.errors import JobMonitorError
from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow, Watch

bp = df.Blueprint()


@bp.function_name(names.RECORD_FINAL_STATUS)
@bp.activity_trigger(input_name="watch")
def record_final_status(watch: object) -> bool:
    """Write the verdict of a watch to the store; doing it twice changes nothing.

    Args:
        watch: A `Watch` with its verdict, as JSON.

    Returns:
        Whether the store took it.
    """
    seen = Watch.model_validate(watch)
    try:
        services = get_services()
        row = finish(services.monitors, seen)
    except JobMonitorError as error:
        log_event(
            "notStored",
            seen,
            level=logging.WARNING,
            state=seen.verdict and seen.verdict.state,
            store_attempts=seen.store_attempts + 1,
            detail=str(error),
        )
        return False
    if row:
        log_end(row, services.now())
    return True


def finish(monitors: MonitorTable, watch: Watch) -> MonitorRow | None:
    """Write the verdict of a watch, or what an earlier attempt did not come to.

    Returns:
        The final row, if this call or one like it wrote it; None if the row is of a later run.
    """
    written = monitors.change(watch.monitor_id, lambda row: transitions.ended(row, watch))
    row = written.now if written else monitors.get(watch.monitor_id)
    if row and not written:
        monitors.sync_indexes(row)
    return row if row and row.run == watch.run else None
