"""`GET /api/health`: ready or not. `GET /api/health/details`: the faults.

Everybody may ask whether the app is ready, so that answer shows counts and no name. The names of
settings and tables are for those who hold a key or a role.
"""

import asyncio
import logging
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters.readiness import Condition, get_readiness, look
from adapters.services import get_services
from adapters.threads import at_store
from triggers.access import Role, requires
from triggers.answers import answers_problems, json_answer, listed, problem
from triggers.requests import refuse_unknown

bp = df.Blueprint()
log = logging.getLogger(__name__)


@bp.function_name("Health")
@bp.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_problems
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 if the store answers and a source can be used, else 503 with a count of faults.

    `status` is `ready`, or `degraded` with the number of disabled sources and of all faults.
    """
    refuse_unknown(req)
    # In threads that nobody else uses: the check waits behind no call to a slow source or store.
    condition, is_new = await asyncio.to_thread(get_readiness().condition)  # noqa: TID251
    if condition.ready:
        return json_answer(HTTPStatus.OK, _counts(condition))
    if is_new:
        told = "; ".join(f"{fault.where}: {fault.what}" for fault in condition.faults)
        log.error("The app is not ready: %s", told)
    what = "The app is not ready. GET /api/health/details says why, and so does the log."
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, what, faultCount=len(condition.faults))


@bp.function_name("HealthDetails")
@bp.route(route="health/details", methods=["GET"])
@answers_problems
@requires(Role.READ)
async def health_details(req: func.HttpRequest) -> func.HttpResponse:
    """Answer as `health`, with each fault in `errors`, and `pausedSources`; looks anew."""
    refuse_unknown(req)
    condition = await at_store(look)
    shown = _counts(condition)
    if condition.faults:
        shown["errors"] = listed(condition.faults)
    if condition.ready:
        shown["pausedSources"] = await at_store(_paused)
    return json_answer(HTTPStatus.OK, shown)


def _paused() -> list[str]:
    """The names of the sources whose polls are held."""
    services = get_services()
    return sorted(services.app_state.paused_sources(services.now()))


def _counts(condition: Condition) -> dict[str, object]:
    if not condition.faults:
        return {"status": "ready"}
    counts = {"disabledSources": condition.disabled, "faults": len(condition.faults)}
    return {"status": "degraded", **counts}
