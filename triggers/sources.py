"""`GET /api/sources`: the sources. `POST /api/sources/{source}/check`: a dry run of one.

`check` tells the outcome. `check/raw` tells the source's whole answer, and needs more rights.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Literal

import azure.durable_functions as df
import azure.functions as func
from pydantic import AwareDatetime, JsonValue

from adapters.dry_run import DryRun, DryRunOutcome, dry_run
from adapters.event_log import log_event
from adapters.services import Services, get_services
from adapters.sweeper import has_sweep, sweep_of
from adapters.threads import at_source, at_store
from domain.errors import NoSuchSource
from domain.limits import OnExpiry
from domain.monitors.start import OneJobId
from domain.monitors.sweep import Sweep
from domain.sources.source import Source
from domain.wire import WireModel
from triggers.access import Role, caller, requires
from triggers.answers import ShownFault, answers_problems, json_answer, listed
from triggers.operation import Answer, operation
from triggers.requests import read_query, refuse_unknown

bp = df.Blueprint()


class ShownSweep(WireModel):
    """The sweep of a source: one look at all its jobs.

    Attributes:
        by: Whether it asks with a `list`, or for `each` job.
        safety_seconds: The time between two polls of a monitor that it looks after.
        last_look_at: When the newest look began that saw all; null before the first.
        next_at: When the next sweep is planned.
        jobs: How many jobs the newest sweep saw.
        fresh: Whether monitors may rely on it.
        failures: How many sweeps in a row did not see all.
        detail: Why the newest one did not.
    """

    by: Literal["list", "each"]
    safety_seconds: int
    last_look_at: AwareDatetime | None
    next_at: AwareDatetime | None
    jobs: int
    fresh: bool
    failures: int
    detail: str | None


class ShownSource(WireModel):
    """A source, without URLs, headers and secrets.

    Attributes:
        auth: How the app proves itself there.
        takes_jobs: Whether it starts jobs: `job` in a start.
        cancels_jobs: Whether it cancels jobs.
        job_example: A job that it takes; null if its description has none.
        job_id_parts: The names of the parts of its job ids, in their order; none for ids of one
            part.
        poll_interval_seconds: The default of a start.
        timeout_seconds: The default of a start.
        on_expiry: The default of a start.
        paused_since: Since when its polls are held; null if they are not.
        sweep: The sweep that looks at all its jobs; null if each monitor polls for itself.
    """

    name: str
    description: str
    auth: str
    takes_jobs: bool
    cancels_jobs: bool
    job_example: JsonValue
    job_id_parts: list[str]
    poll_interval_seconds: int
    timeout_seconds: int
    on_expiry: OnExpiry
    paused_since: AwareDatetime | None
    sweep: ShownSweep | None


class DisabledSource(WireModel):
    """A source that can't be used, with its faults."""

    name: str
    errors: list[ShownFault]


class SourceList(WireModel):
    """The configured sources.

    Attributes:
        default: The name of the one that a start without `source` means.
        sources: Those that can be used.
        disabled: Those that are faulty.
        errors: The faults of whole files, and of newer files that were refused.
    """

    default: str | None
    sources: list[ShownSource]
    disabled: list[DisabledSource]
    errors: list[ShownFault]


class CheckQuery(WireModel):
    """The query of a dry run.

    Attributes:
        job_id: The job to ask for.
    """

    job_id: OneJobId


@operation(
    {200: Answer("The sources.", SourceList)},
    problems=(400, 503),
)
@bp.function_name("ListSources")
@bp.route(route="sources", methods=["GET"])
@answers_problems
@requires(Role.READ)
async def list_sources(req: func.HttpRequest) -> func.HttpResponse:
    """List the sources, without URLs, headers and secrets."""
    refuse_unknown(req)
    services = await at_store(get_services)
    sources = services.sources
    paused = await at_store(services.app_state.paused_sources, services.now())
    shown = [
        await at_store(_shown, services, source, paused.get(source.name))
        for source in sources.by_name.values()
    ]
    faulty = sources.disabled.items()
    body = SourceList(
        default=sources.default,
        sources=shown,
        disabled=[DisabledSource(name=name, errors=listed(faults)) for name, faults in faulty],
        errors=listed([*sources.faults, *sources.refused]),
    )
    return json_answer(HTTPStatus.OK, body)


@operation(
    {200: Answer("The outcome.", DryRunOutcome)},
    problems=(400, 404, 503),
    query=CheckQuery,
)
@bp.function_name("CheckSource")
@bp.route(route="sources/{source}/check", methods=["POST"])
@answers_problems
@requires(Role.READ)
async def check_source(req: func.HttpRequest) -> func.HttpResponse:
    """Poll a job once, and show the outcome as a monitor would have it.

    Nothing is started, and nothing is stored.
    """
    return json_answer(HTTPStatus.OK, (await _checked(req)).outcome_alone)


@operation(
    {200: Answer("The request, the answer and the outcome.", DryRun)},
    problems=(400, 404, 503),
    query=CheckQuery,
)
@bp.function_name("CheckSourceRaw")
@bp.route(route="sources/{source}/check/raw", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@answers_problems
@requires(Role.READ)
async def check_source_raw(req: func.HttpRequest) -> func.HttpResponse:
    """Poll a job once, and show the source's whole answer. Needs the master key."""
    # The answer may hold what the job's owner alone is to read. The app cannot see which key a
    # request brought, so this is a route of its own.
    return json_answer(HTTPStatus.OK, await _checked(req))


@operation(
    {200: Answer("The source.", ShownSource)},
    problems=(400, 404, 503),
)
@bp.function_name("PauseSource")
@bp.route(route="sources/{source}/pause", methods=["POST"])
@answers_problems
@requires(Role.STOP)
async def pause_source(req: func.HttpRequest) -> func.HttpResponse:
    """Hold all polls of a source, for its maintenance.

    What is paused still expires. A watch finds a pause, and its end, at its next planned poll.
    """
    return await _hold(req, paused=True)


@operation(
    {200: Answer("The source.", ShownSource)},
    problems=(400, 404, 503),
)
@bp.function_name("ResumeSource")
@bp.route(route="sources/{source}/resume", methods=["POST"])
@answers_problems
@requires(Role.START)
async def resume_source(req: func.HttpRequest) -> func.HttpResponse:
    """Let the polls of a source go on."""
    return await _hold(req, paused=False)


async def _checked(req: func.HttpRequest) -> DryRun:
    """A dry run of one poll; starts and stores nothing."""
    services = await at_store(get_services)
    source = _named(req, services)
    job_id = read_query(req, CheckQuery, {"source": source}).job_id
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
    return json_answer(HTTPStatus.OK, await at_store(_shown, services, source, since))


def _named(req: func.HttpRequest, services: Services) -> Source:
    """The source in the route; raises NoSuchSource if there is none of that name."""
    source = services.sources.find(req.route_params["source"])
    if source is None:
        raise NoSuchSource
    return source


def _shown(services: Services, source: Source, paused_since: datetime | None) -> ShownSource:
    return ShownSource(
        name=source.name,
        description=source.description,
        auth=source.auth.kind,
        takes_jobs=source.submit is not None,
        cancels_jobs=source.cancel is not None,
        job_example=source.submit.example if source.submit else None,
        job_id_parts=list(source.job_id_parts),
        poll_interval_seconds=source.poll_interval_seconds,
        timeout_seconds=source.timeout_seconds,
        on_expiry=source.on_expiry,
        paused_since=paused_since,
        sweep=_shown_sweep(services, source),
    )


def _shown_sweep(services: Services, source: Source) -> ShownSweep | None:
    if not source.sweeps:
        return None
    state = sweep_of(services, source.name)
    sweep = state.sweep if state else Sweep()
    return ShownSweep(
        by="list" if source.sweep == "list" else "each",
        safety_seconds=source.safety_seconds,
        last_look_at=sweep.looked_at,
        fresh=has_sweep(services, source.name),
        **sweep.model_dump(include={"next_at", "jobs", "failures", "detail"}),
    )
