"""`POST /api/monitors`: start a job if the request carries one, and watch it.

1. Check the whole request; a faulty one changes nothing.
2. With an `Idempotency-Key`, note the request before anything is done (`adapters.intents`). A
   repeated request gets the answer of the first.
3. With `job`, ask the source to start the job. The app repeats a submit only if the submit is
   known to have failed.
4. Claim the monitor with an insert that only one caller can win. A caller that loses attaches to
   the live monitor (200), or gets the differences of the settings (409). A watch that ended
   without the end of the job begins again as the next run. A watch whose job ended begins again if
   the job is a new one, if the request says `fresh`, or if a poll shows that the job runs again.
5. Start the orchestrator unless it runs. If the app dies before that, the watchdog or the next
   start of the same job starts it.
"""

import logging
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import NamedTuple

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.ends import tell_end
from adapters.event_log import log_event
from adapters.intents import UNDER_WAY, Intent, is_same
from adapters.services import Services, get_services
from adapters.threads import at_source, at_store
from domain.errors import Fault, InvalidInput, SourceRefused, StoreUnavailable
from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.start import Start, StartRequest, parse_start
from domain.outcome import Outcome
from triggers.access import Role, caller, requires
from triggers.answers import answers_problems, problem
from triggers.links import STARTED, CheckStatus, check_status
from triggers.operation import Answer, operation
from triggers.requests import KEY_HEADER, read_body, read_key, read_with, unknown_parameters

bp = df.Blueprint()
log = logging.getLogger(__name__)

_ATTEMPTS = 5


class Call(NamedTuple):
    """A sound start, with all that it takes to answer it.

    Attributes:
        req: The request that brought it, alone or in a batch.
        client: The durable client.
        services: The services.
        body: Its JSON text.
        start: The same, read.
        key: Its Idempotency-Key.
    """

    req: func.HttpRequest
    client: df.DurableOrchestrationClient
    services: Services
    body: bytes
    start: Start
    key: str | None

    @property
    def by(self) -> str:
        """Who asks."""
        return caller(self.req)


class Job(NamedTuple):
    """The job that a start is about.

    Attributes:
        id: Its id.
        submitted_at: When the source was asked to start it for this request: an older watch is not
            over it. None if the job was there before.
    """

    id: str
    submitted_at: datetime | None = None


@operation(
    {
        202: Answer("A new watch.", CheckStatus, STARTED),
        200: Answer("The job is watched already, or has ended.", CheckStatus, STARTED),
        409: "The job is watched with other settings, which `errors` and `monitor` tell. Or a "
        "start with this Idempotency-Key is under way, was cut off, or lost its monitor.",
        503: "The store or the task hub does not answer, or the configuration is faulty. With "
        "`jobId` the source has started the job, and nobody watches it yet.",
    },
    problems=(400, 413, 422, 502),
    body=StartRequest,
    headers=[KEY_HEADER],
)
@bp.function_name("StartMonitor")
@bp.route(route="monitors", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.START)
async def start_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Start a watch over a job, and with `job` the job as well.

    Many starts of the same job, also at once, give one monitor. A watch that ended without its job
    begins again as the next run.
    """
    body = read_body(req)
    faults = unknown_parameters(req)
    key = read_key(req.headers.get(KEY_HEADER), KEY_HEADER, faults)
    services = await at_store(get_services)
    start = read_with(faults, lambda: parse_start(body, services.sources, services.now()))
    return await begin(Call(req, client, services, body, start, key))


async def begin(call: Call) -> func.HttpResponse:
    """Begin a start, unless its Idempotency-Key came before; the errors are the domain's."""
    services, key = call.services, call.key
    if key is None:
        return await _start(call)
    earlier = await at_store(services.intents.begin, key, call.body, services.now())
    if earlier:
        return await _repeated(call, earlier)
    try:
        answer = await _start(call)
    except SourceRefused as error:
        if error.may_run:
            said = {"status": int(HTTPStatus.BAD_GATEWAY), "detail": str(error)}
            await at_store(partial(services.intents.note, key, **said))
        else:
            await at_store(services.intents.forget, key)
        raise
    except (InvalidInput, StoreUnavailable):
        await at_store(services.intents.forget, key)
        raise
    if answer.status_code == HTTPStatus.CONFLICT and call.start.request.job is None:
        await at_store(services.intents.forget, key)  # nothing was done
    return answer


async def _start(call: Call) -> func.HttpResponse:
    """Start the job if the request brings one, then watch it."""
    services, start = call.services, call.start
    if start.request.job_id is not None:
        job = Job(start.request.job_id)
        return await _watch(call, job)
    await at_store(services.monitors.ping)  # start no job that can't be watched
    job = await at_source(_submit, services, start, call.by)
    try:
        if call.key:
            await at_store(partial(services.intents.note, call.key, jobId=job.id))
        return await _watch(call, job)
    except Exception as error:  # only this answer can tell the job's id
        trace = not isinstance(error, StoreUnavailable)
        log.warning("The watch of %s did not begin: %s", job.id, error, exc_info=trace)
        what = "an error that is in the log" if trace else str(error)
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"The job runs, but its watch did not begin: {what}. Watch it by its jobId.",
            job_id=job.id,
        )


def _submit(services: Services, start: Start, by: str) -> Job:
    """Let the source start the job of a request."""
    job, source = start.request.job or {}, start.source
    named = source.submit_request(job)[1]
    asked_at = services.now()
    # The source may take a job that its caller names a second time, and start none. Only "not
    # found" proves that the job is a new one.
    existed = (
        named is not None
        and services.monitors.of_job(source.name, named) is not None
        and services.jobs.poll(source, named, asked_at).outcome is not Outcome.NOT_FOUND
    )
    job_id = services.jobs.submit(source, job)
    log_event("submitted", None, source=source.name, job_id=job_id, by=by)
    return Job(job_id, None if existed else asked_at)


async def _repeated(call: Call, earlier: Intent) -> func.HttpResponse:
    """Answer a request whose key came before."""
    services, start = call.services, call.start
    if not is_same(earlier, call.body):
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The Idempotency-Key came with another request before."
        )
    if earlier.detail:
        raise SourceRefused(earlier.detail, may_run=True)  # as the first time
    if earlier.status and earlier.monitor_id:
        row = await at_store(services.monitors.get, earlier.monitor_id)
        if row:
            return check_status(call.req, call.client, services, row, HTTPStatus(earlier.status))
        return problem(HTTPStatus.CONFLICT, "The monitor of that start was removed.")
    if earlier.job_id:  # the first request was cut off after the source had started the job
        return await _watch(call, Job(earlier.job_id, earlier.begun_at))
    if services.now() < earlier.begun_at + UNDER_WAY:
        return problem(
            HTTPStatus.CONFLICT,
            "The first request with this Idempotency-Key is under way, or was cut off.",
        )
    if start.request.job_id is not None:  # nothing is started, so that it may be done again
        job = Job(start.request.job_id)
        return await _watch(call, job)
    return problem(
        HTTPStatus.CONFLICT,
        "The first request with this Idempotency-Key was cut off. Nobody knows whether the source "
        "started its job, so that it is not started again. Look there; watch it by its jobId, or "
        "send the request with a new key.",
    )


async def _watch(call: Call, job: Job) -> func.HttpResponse:
    services = call.services
    row, is_new = await _claim(call, job)
    if is_new:
        log_event("started", row, expire_time=row.expire_time, by=call.by)
    if row.state is State.MONITORING:
        differences = [] if is_new else call.start.request.differences(row)
        if differences:
            return _different(row, differences)
        await hub.ensure_watched(call.client, row, services)
    status = HTTPStatus.ACCEPTED if is_new else HTTPStatus.OK
    if call.key:
        note = partial(services.intents.note, call.key, status=int(status), monitorId=row.id)
        await at_store(note)
    return check_status(call.req, call.client, services, row, status)


async def _claim(call: Call, job: Job) -> tuple[MonitorRow, bool]:
    """The monitor of the job, and whether this call began its run."""
    client, services, start = call.client, call.services, call.start
    for _ in range(_ATTEMPTS):
        new = start.request.new_row(start.source, job.id, services.now())
        known = await at_store(services.monitors.of_job, new.source, new.job_id)
        if known is None:
            if await at_store(services.monitors.claim, new, call.by):
                return new, True
            continue  # somebody else was first
        known = await hub.current_row(client, services, known)
        if not await _begins_again(services, start, job, known):
            return known, False
        reused = not known.state.final
        ended = transitions.reused(known, services.now()) if reused else known
        again = new.model_copy(update={"id": known.id, "run": known.run + 1})
        begin = partial(transitions.claimed_again, ended=ended, again=again, by=call.by)
        written = await at_store(services.monitors.change, again.id, begin)
        if written:
            await hub.wake_delivery(client, services, written.told)
            if not written.before.state.final:
                await at_store(tell_end, services, ended)
            if reused:
                await hub.remove_earlier(client, again, services)
            return again, True
    raise StoreUnavailable("too many others start this job at the same time")


async def _begins_again(services: Services, start: Start, job: Job, known: MonitorRow) -> bool:
    """Whether a start begins the next run of a monitor that is there."""
    # A younger watch is over this job, too: somebody heard of the job, or repeats this request.
    if job.submitted_at and known.started_at < job.submitted_at:
        return True
    if not known.state.final:
        return False
    if not known.state.job_ended or start.request.fresh:
        return True
    # The source may have taken the end back, or started the job again under its id.
    look = await at_source(services.jobs.poll, start.source, job.id, services.now())
    return look.outcome is Outcome.RUNNING


def _different(row: MonitorRow, differences: list[Fault]) -> func.HttpResponse:
    return problem(
        HTTPStatus.CONFLICT,
        "The job is watched already, with other settings.",
        differences,
        monitor=row,
    )
