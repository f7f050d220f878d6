"""`CancelJob`: ask the source to cancel the job, and only if the row asks for it (I5)."""

import azure.durable_functions as df

from activities.get_job_status import poll_job, rules_of
from adapters.cancelling import ask_source
from adapters.services import get_services
from domain import names
from domain.errors import JobMonitorError
from domain.monitors import transitions
from domain.monitors.monitor import Watch
from domain.outcome import CancelResult

bp = df.Blueprint()


@bp.function_name(names.CANCEL_JOB)
@bp.activity_trigger(input_name="watch")
def cancel_job(watch: object) -> dict[str, object]:
    """Ask once; HTTP trouble is a result. Asking twice does no harm.

    Args:
        watch: A `Watch` as JSON. Its wish to cancel the job is a claim, which the row bears out.

    Returns:
        A `CancelResult` as JSON. After a refusal `poll` is one more look at the job.
    """
    return cancel_for(Watch.model_validate(watch)).to_wire()


def cancel_for(watch: Watch) -> CancelResult:
    """Send the source's cancel request if the row of the watch asks for it."""
    try:
        services = get_services()
        row = services.monitors.get(watch.monitor_id)
        if row is None or row.run != watch.run or row.state.final:
            return CancelResult(accepted=False, void=True)
        ending = transitions.ending_of(row, rules_of(services, row))
        if ending is None or not ending.cancel_job:
            asked_at = services.now()
            poll = poll_job(watch)
            row = services.monitors.get(watch.monitor_id) or row
            ending = transitions.ending_of(row, rules_of(services, row), asked_at)
            if poll.superseded or ending is None or not ending.cancel_job:
                return CancelResult(accepted=False, void=True)
        result = ask_source(services, row)
        if result.accepted:
            return result
        # The source may refuse because the job has ended meanwhile.
        return result.model_copy(update={"poll": poll_job(watch)})
    except JobMonitorError as error:
        return CancelResult(accepted=False, detail=str(error))
