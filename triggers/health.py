"""`GET /api/health`: ready or not, and why. Anonymous, so it shows no data."""

import asyncio
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters.services import get_services
from domain.errors import ConfigurationFault
from triggers.answers import answers_problems, json_answer
from triggers.requests import refuse_unknown

bp = df.Blueprint()


@bp.function_name("Health")
@bp.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_problems
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 if the store answers and a source can be used, else 503 with the faults.

    `status` is `ready`, or `degraded` with the number of disabled sources and of all faults:
    `GET /api/sources` has them.
    """
    refuse_unknown(req)
    # In threads that nobody else uses: the check waits behind no call to a slow source or store.
    services = await asyncio.to_thread(get_services)  # noqa: TID251
    sources = services.sources
    if not sources.by_name:
        raise ConfigurationFault(sources.all_faults)
    await asyncio.to_thread(services.monitors.ping)  # noqa: TID251
    faults = [*sources.all_faults, *sources.refused]
    if not faults:
        return json_answer(HTTPStatus.OK, {"status": "ready"})
    counts = {"disabledSources": len(sources.disabled), "faults": len(faults)}
    return json_answer(HTTPStatus.OK, {"status": "degraded", **counts})
