"""`RecordFinalStatus`: write how a watch ended. The orchestrator repeats it until it holds."""

import logging

import azure.durable_functions as df

from adapters.event_log import log_end, log_event
from adapters.services import get_services
from domain import names
from domain.errors import JobMonitorError
from domain.monitors.monitor import Watch, row_of

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
    row = row_of(seen)
    try:
        services = get_services()
        services.monitors.finish(row)
    except JobMonitorError as error:
        log_event(
            "notStored",
            row,
            level=logging.WARNING,
            state=row.state,
            store_attempts=seen.store_attempts + 1,
            detail=str(error),
        )
        return False
    log_end(row, services.now())
    return True
