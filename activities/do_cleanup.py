"""`DoCleanup`: purge finished instances and remove rows past their retention."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import Any

import azure.durable_functions as df
from azure.durable_functions import OrchestrationRuntimeStatus

from adapters.event_log import log_event
from adapters.services import Services, get_services
from adapters.threads import long_at_store
from domain import names
from domain.monitors.cleanup import TIME_BUDGET, CleanupProgress, windows

bp = df.Blueprint()

_AT_ONCE, _BATCH = 8, 200  # rows removed in parallel, and between two looks at the clock

# A purge that names no status deletes running instances too.
_ENDED = [
    OrchestrationRuntimeStatus.Completed,
    OrchestrationRuntimeStatus.Failed,
    OrchestrationRuntimeStatus.Terminated,
    OrchestrationRuntimeStatus.Canceled,
]


@bp.function_name(names.DO_CLEANUP)
@bp.activity_trigger(input_name="progress")
@bp.durable_client_input(client_name="client")
async def do_cleanup(progress: object, client: df.DurableOrchestrationClient) -> dict[str, Any]:
    """One cleanup within the time budget.

    Args:
        progress: A `CleanupProgress` as JSON: where the last run stopped.
        client: The durable client of the task hub.

    Returns:
        The new `CleanupProgress` as JSON.
    """
    services = get_services()
    deadline = services.now() + TIME_BUDGET
    done = await clean(CleanupProgress.model_validate(progress), client, services, deadline)
    log_event("cleaned", None, instances=done.instances, monitors=done.monitors, more=done.more)
    return done.to_wire()


async def clean(
    progress: CleanupProgress,
    client: df.DurableOrchestrationClient,
    services: Services,
    deadline: datetime,
) -> CleanupProgress:
    """Purge span by span, then remove rows, until done or at the deadline."""
    cutoff = services.now() - services.settings.retention
    through, instances, more = progress.purged_through, 0, False
    for begin, end in windows(through, cutoff):
        if services.now() >= deadline:
            more = True
            break
        purged = await client.purge_instance_history_by(begin, end, _ENDED)
        instances += purged.instances_deleted
        through = end
    monitors, rows_left = await long_at_store(_remove_rows, services, cutoff, deadline)
    return CleanupProgress(
        purged_through=through,
        more=more or rows_left,
        runs=progress.runs + 1,
        last_run_at=services.now(),
        instances=instances,
        monitors=monitors,
        hub=progress.hub,
    )


def _remove_rows(services: Services, cutoff: datetime, deadline: datetime) -> tuple[int, bool]:
    """The number of monitors removed, and whether the deadline left some."""
    removed, rows = 0, services.monitors.ended_before(cutoff)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while batch := list(islice(rows, _BATCH)):
            if services.now() >= deadline:
                return removed, True
            removed += sum(pool.map(services.monitors.delete, batch))
            services.monitors.unlist(batch)
    return removed, False
