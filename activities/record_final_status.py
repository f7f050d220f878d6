"""`RecordFinalStatus`: store the end of a watch. The orchestrator repeats the call until it holds.

A verdict in the input is a claim. The row must bear the end out: by a wish to stop, by an expire
time, or by the last poll. If it does not, the activity polls the job once more.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import azure.durable_functions as df

from activities.get_job_status import poll_job, rules_of
from adapters import hub
from adapters.ends import tell_end
from adapters.event_log import log_event
from adapters.monitor_table import Written
from adapters.services import Services, get_services
from adapters.threads import in_activity
from domain import names
from domain.errors import JobMonitorError
from domain.monitors import transitions
from domain.monitors.monitor import Watch

bp = df.Blueprint()


@bp.function_name(names.RECORD_FINAL_STATUS)
@bp.activity_trigger(input_name="watch")
@bp.durable_client_input(client_name="client")
async def record_final_status(watch: object, client: df.DurableOrchestrationClient) -> object:
    """Write the end of a watch to the store; doing it twice changes nothing.

    Args:
        watch: A `Watch` with its verdict, as JSON.
        client: The durable client, to wake the deliveries.

    Returns:
        The stored end, a `Verdict` as JSON; `{"superseded": true}` if the row is of another run, or
        there is none. False if the store did not take the end. None if the row does not bear the
        verdict out, so that the watch goes on.
    """
    recorded, told = await in_activity(record, Watch.model_validate(watch))
    if told:
        await hub.wake_delivery(client, get_services(), told)
    return recorded


def record(seen: Watch) -> tuple[object, Sequence[str]]:
    """The result of the activity, and the channels that notices were written for."""
    try:
        services = get_services()
        written = finish(services, seen)
        row = written.now if written else services.monitors.get(seen.monitor_id)
        if row is None or row.run != seen.run:
            return {"superseded": True}, ()
        if not row.state.final:
            return None, ()
        if written is None:  # by an earlier attempt, which may have been cut off after it
            services.monitors.sync_indexes(row)
    except JobMonitorError as error:
        log_event(
            "notStored",
            seen,
            level=logging.WARNING,
            state=seen.verdict and seen.verdict.state,
            store_attempts=seen.store_attempts + 1,
            detail=str(error),
        )
        return False, ()
    if written:
        tell_end(services, row)
    return row.verdict.to_wire() if row.verdict else None, written.told if written else ()


def finish(services: Services, watch: Watch) -> Written | None:
    """Write the end of a watch if its row bears it out, else after one more look at the job."""
    written = _write_end(services, watch, None)
    if written or not _is_live(services, watch):
        return written
    asked_at = services.now()
    if poll_job(watch).superseded:
        return None
    return _write_end(services, watch, asked_at)


def _write_end(services: Services, watch: Watch, asked_at: datetime | None) -> Written | None:
    end = partial(
        transitions.ended,
        watch=watch,
        rules=rules_of(services, watch),
        asked_at=asked_at,
        now=services.now(),
    )
    return services.monitors.change(watch.monitor_id, end)


def _is_live(services: Services, watch: Watch) -> bool:
    """Whether the row is that of the watch, which has not ended."""
    row = services.monitors.get(watch.monitor_id)
    return row is not None and row.run == watch.run and not row.state.final
