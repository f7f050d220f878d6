"""`GET /api/sources`: the sources. `POST /api/sources/{source}/check`: a dry run of one."""

from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters.dry_run import dry_run
from adapters.event_log import log_event
from adapters.services import get_services
from adapters.threads import at_source, at_store
from domain.errors import Fault, InvalidInput
from domain.monitors.start import job_id_fault
from domain.sources.source import Source
from triggers.answers import answers_problems, json_answer, problem
from triggers.requests import refuse_unknown

bp = df.Blueprint()


@bp.function_name("ListSources")
@bp.route(route="sources", methods=["GET"])
@answers_problems
async def list_sources(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 with `sources` and the name of the `default`; no URL, header or secret.

    `disabled` has the names of faulty sources with their `errors`. `errors` has those of whole
    files, and of newer files that were refused.
    """
    refuse_unknown(req)
    services = await at_store(get_services)
    sources = services.sources
    paused = await at_store(services.app_state.paused_sources, services.now())
    shown = [_shown(source, paused.get(source.name)) for source in sources.by_name.values()]
    disabled = [{"name": name, "errors": _errors(each)} for name, each in sources.disabled.items()]
    body = {
        "default": sources.default,
        "sources": shown,
        "disabled": disabled,
        "errors": _errors([*sources.faults, *sources.refused]),
    }
    return json_answer(HTTPStatus.OK, body)


@bp.function_name("CheckSource")
@bp.route(route="sources/{source}/check", methods=["POST"])
@answers_problems
async def check_source(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 with request, answer and outcome of one poll of `jobId`; starts nothing."""
    refuse_unknown(req, "jobId")
    services = await at_store(get_services)
    source = services.sources.find(req.route_params["source"])
    if source is None:
        return problem(HTTPStatus.NOT_FOUND, "There is no such source.")
    job_id = req.params.get("jobId", "")
    fault = job_id_fault(job_id)
    if fault:
        raise InvalidInput([Fault("jobId", fault)])
    shown = await at_source(dry_run, services.jobs, source, job_id, services.now())
    return json_answer(HTTPStatus.OK, shown)


@bp.function_name("PauseSource")
@bp.route(route="sources/{source}/pause", methods=["POST"])
@answers_problems
async def pause_source(req: func.HttpRequest) -> func.HttpResponse:
    """Hold all polls of a source, for its maintenance; answer 200 with the source.

    What is paused still expires. A watch finds a pause, and its end, at its next planned poll.
    """
    return await _hold(req, paused=True)


@bp.function_name("ResumeSource")
@bp.route(route="sources/{source}/resume", methods=["POST"])
@answers_problems
async def resume_source(req: func.HttpRequest) -> func.HttpResponse:
    """Let the polls of a source go on; answer 200 with the source."""
    return await _hold(req, paused=False)


async def _hold(req: func.HttpRequest, *, paused: bool) -> func.HttpResponse:
    refuse_unknown(req)
    services = await at_store(get_services)
    source = services.sources.find(req.route_params["source"])
    if source is None:
        return problem(HTTPStatus.NOT_FOUND, "There is no such source.")
    state, now = services.app_state, services.now()
    if paused:
        await at_store(state.pause, source.name, now)
    else:
        await at_store(state.resume, source.name)
    log_event("sourcePaused" if paused else "sourceResumed", None, source=source.name)
    since = (await at_store(state.paused_sources, now)).get(source.name)
    return json_answer(HTTPStatus.OK, _shown(source, since))


def _errors(faults: Iterable[Fault]) -> list[dict[str, str]]:
    return [{"field": fault.where, "message": fault.what} for fault in faults]


def _shown(source: Source, paused_since: datetime | None) -> dict[str, object]:
    return {
        "name": source.name,
        "description": source.description,
        "auth": source.auth.kind,
        "takesJobs": source.submit is not None,
        "cancelsJobs": source.cancel is not None,
        "pollIntervalSeconds": source.poll_interval_seconds,
        "timeoutSeconds": source.timeout_seconds,
        "onExpiry": source.on_expiry,
        "pausedSince": paused_since and paused_since.isoformat(),
    }
