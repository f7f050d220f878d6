"""`GET /api/health`: ready or not, and why. Anonymous, so it shows no data."""

import asyncio
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters.services import get_services
from triggers.answers import answers_problems, json_answer
from triggers.requests import refuse_unknown

bp = df.Blueprint()


@bp.function_name("Health")
@bp.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_problems
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 if the configuration is sound and the store answers, else 503 with the faults."""
    refuse_unknown(req)
    services = await asyncio.to_thread(get_services)
    await asyncio.to_thread(services.monitors.ping)
    return json_answer(HTTPStatus.OK, {"status": "ready"})
