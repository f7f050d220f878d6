"""`CancelJob`: have the source cancel the job. Only ever called because somebody asked for it."""

import azure.durable_functions as df

from adapters.event_log import log_event
from adapters.services import get_services
from domain import names
from domain.errors import JobMonitorError
from domain.monitors.monitor import Watch
from domain.outcome import CancelResult

bp = df.Blueprint()


@bp.function_name(names.CANCEL_JOB)
@bp.activity_trigger(input_name="watch")
def cancel_job(watch: object) -> dict[str, object]:
    """Ask once; HTTP trouble is a result. Asking twice does no harm.

    Args:
        watch: A `Watch` as JSON.

    Returns:
        A `CancelResult` as JSON.
    """
    return ask(Watch.model_validate(watch)).to_wire()


def ask(watch: Watch) -> CancelResult:
    """Send the source's cancel request for the job of a watch."""
    try:
        services = get_services()
        source = services.sources.get(watch.source)
        if source.cancel is None:
            return CancelResult(accepted=False, detail=f"source {source.name} has no cancel")
        result = services.jobs.cancel(source, watch.job_id)
    except JobMonitorError as error:
        return CancelResult(accepted=False, detail=str(error))
    log_event("cancelAsked", watch, accepted=result.accepted, detail=result.detail)
    return result
