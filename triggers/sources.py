"""`GET /api/sources`: the sources. `POST /api/sources/{source}/check`: a dry run of one.

`check` tells the outcome. `check/raw` tells the source's whole answer, and needs more rights.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from adapters.dry_run import dry_run
from adapters.event_log import log_event
from adapters.services import Services, get_services
from adapters.threads import at_source, at_store
from domain.errors import Fault, InvalidInput, NoSuchSource
from domain.monitors.start import job_id_fault
from domain.sources.source import Source
from triggers.access import Role, caller, requires
from triggers.answers import answers_problems, json_answer, listed
from triggers.requests import query, refuse_unknown

bp = df.Blueprint()

_OUTCOME = ("source", "decidedBy", "poll")
"""The members of a dry run that quote no more of an answer than a monitor's row does."""


@bp.function_name("ListSources")
@bp.route(route="sources", methods=["GET"])
@answers_problems
@requires(Role.READ)
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
    disabled = [{"name": name, "errors": listed(each)} for name, each in sources.disabled.items()]
    body = {
        "default": sources.default,
        "sources": shown,
        "disabled": disabled,
        "errors": listed([*sources.faults, *sources.refused]),
    }
    return json_answer(HTTPStatus.OK, body)


@bp.function_name("CheckSource")
@bp.route(route="sources/{source}/check", methods=["POST"])
@answers_problems
@requires(Role.READ)
async def check_source(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 with the outcome of one poll of `jobId`, as a monitor would have it."""
    shown = await _checked(req)
    return json_answer(HTTPStatus.OK, {name: shown[name] for name in _OUTCOME if name in shown})


@bp.function_name("CheckSourceRaw")
@bp.route(route="sources/{source}/check/raw", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@answers_problems
@requires(Role.READ)
async def check_source_raw(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 with request, answer and outcome of one poll of `jobId`.

    The source's answer may hold what the job's owner alone is to read. The app cannot see which key
    a request brought, so this is a route of its own, and needs the host's master key.
    """
    return json_answer(HTTPStatus.OK, await _checked(req))


@bp.function_name("PauseSource")
@bp.route(route="sources/{source}/pause", methods=["POST"])
@answers_problems
@requires(Role.STOP)
async def pause_source(req: func.HttpRequest) -> func.HttpResponse:
    """Hold all polls of a source, for its maintenance; answer 200 with the source.

    What is paused still expires. A watch finds a pause, and its end, at its next planned poll.
    """
    return await _hold(req, paused=True)


@bp.function_name("ResumeSource")
@bp.route(route="sources/{source}/resume", methods=["POST"])
@answers_problems
@requires(Role.START)
async def resume_source(req: func.HttpRequest) -> func.HttpResponse:
    """Let the polls of a source go on; answer 200 with the source."""
    return await _hold(req, paused=False)


async def _checked(req: func.HttpRequest) -> dict[str, Any]:
    """A dry run of one poll; starts and stores nothing."""
    refuse_unknown(req, "jobId")
    services = await at_store(get_services)
    source = _named(req, services)
    job_id = query(req).get("jobId", "")
    fault = job_id_fault(job_id)
    if fault:
        raise InvalidInput([Fault("jobId", fault)])
    return await at_source(dry_run, services.jobs, source, job_id, services.now())


async def _hold(req: func.HttpRequest, *, paused: bool) -> func.HttpResponse:
    refuse_unknown(req)
    services = await at_store(get_services)
    source = _named(req, services)
    state, now = services.app_state, services.now()
    if paused:
        await at_store(state.pause, source.name, now)
    else:
        await at_store(state.resume, source.name)
    by = caller(req)
    log_event("sourcePaused" if paused else "sourceResumed", None, source=source.name, by=by)
    since = (await at_store(state.paused_sources, now)).get(source.name)
    return json_answer(HTTPStatus.OK, _shown(source, since))


def _named(req: func.HttpRequest, services: Services) -> Source:
    """The source in the route; raises NoSuchSource if there is none of that name."""
    source = services.sources.find(req.route_params["source"])
    if source is None:
        raise NoSuchSource
    return source


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
