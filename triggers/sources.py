"""`GET /api/sources`: what is configured. `POST /api/sources/{source}/check`: a dry run of one."""

import asyncio
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters.dry_run import dry_run
from adapters.services import get_services
from domain.errors import Fault, InvalidInput
from domain.monitors.start import job_id_fault
from domain.sources.source import Source
from triggers.answers import answers_problems, json_answer, problem

bp = df.Blueprint()


@bp.function_name("ListSources")
@bp.route(route="sources", methods=["GET"])
@answers_problems
async def list_sources(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger passes it
    """Answer 200 with `sources` and the name of the `default`; no URL, header or secret."""
    sources = (await asyncio.to_thread(get_services)).sources
    shown = [_shown(source) for source in sources.by_name.values()]
    return json_answer(HTTPStatus.OK, {"default": sources.default, "sources": shown})


@bp.function_name("CheckSource")
@bp.route(route="sources/{source}/check", methods=["POST"])
@answers_problems
async def check_source(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 with what one poll of `jobId` asked, got and made of it; starts nothing."""
    services = await asyncio.to_thread(get_services)
    source = services.sources.by_name.get(req.route_params["source"])
    if source is None:
        return problem(HTTPStatus.NOT_FOUND, "There is no such source.")
    job_id = req.params.get("jobId", "")
    fault = job_id_fault(job_id)
    if fault:
        raise InvalidInput([Fault("jobId", fault)])
    shown = await asyncio.to_thread(dry_run, services.jobs, source, job_id, services.now())
    return json_answer(HTTPStatus.OK, shown)


def _shown(source: Source) -> dict[str, object]:
    return {
        "name": source.name,
        "description": source.description,
        "auth": source.auth.kind,
        "takesJobs": source.submit is not None,
        "cancelsJobs": source.cancel is not None,
        "pollIntervalSeconds": source.poll_interval_seconds,
        "timeoutSeconds": source.timeout_seconds,
        "onExpiry": source.on_expiry,
    }
