"""`POST /api/monitors`: start a job if asked to, and watch it.

1. Check the whole request; a faulty one changes nothing.
2. With `job`, have the source start it.
3. Claim the monitor with an insert that only one caller can win. Who loses attaches to the
   live monitor (200), or is told how its settings differ (409). A watch that ended without
   the job's end begins again as the next run.
4. Start the orchestrator unless it runs. A caller that dies before this leaves a claim that
   the next start of the same job picks up.
"""

import asyncio
import logging
from functools import partial
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.event_log import log_event
from adapters.services import Services, get_services
from domain.errors import Fault, StoreUnavailable
from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.start import Start, parse_start
from triggers.answers import answers_problems, check_status, problem

bp = df.Blueprint()
log = logging.getLogger(__name__)

BODY_LIMIT = 64 * 1024
_ATTEMPTS = 5


@bp.function_name("StartMonitor")
@bp.route(route="monitors", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
async def start_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Answer 202 for a new monitor, 200 for one that is there, 409 if its settings differ."""
    body = req.get_body()
    if len(body) > BODY_LIMIT:
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is over {BODY_LIMIT} bytes.")
    services = await asyncio.to_thread(get_services)
    start = parse_start(body, services.sources, services.now())
    job_id = start.request.job_id
    if job_id is None:
        await asyncio.to_thread(services.monitors.ping)  # no job is started that can't be watched
        job = start.request.job or {}
        job_id = await asyncio.to_thread(services.jobs.submit, start.source, job)
        try:
            return await _watch(req, client, services, start, job_id)
        except Exception as error:  # only this answer can tell the job's id
            trace = not isinstance(error, StoreUnavailable)
            log.warning("The watch of %s did not begin: %s", job_id, error, exc_info=trace)
            what = "an error that is in the log" if trace else str(error)
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"The job runs, but its watch did not begin: {what}. Watch it by its jobId.",
                jobId=job_id,
            )
    return await _watch(req, client, services, start, job_id)


async def _watch(
    req: func.HttpRequest,
    client: df.DurableOrchestrationClient,
    services: Services,
    start: Start,
    job_id: str,
) -> func.HttpResponse:
    row, is_new = await _claim(client, services, start, job_id)
    if is_new:
        log_event("started", row, expire_time=row.expire_time)
    if row.state is State.MONITORING:
        differences = [] if is_new else start.request.differences(row)
        if differences:
            return _different(row, differences)
        await hub.ensure_watched(client, row, services.monitors)
    return check_status(req, client, row, HTTPStatus.ACCEPTED if is_new else HTTPStatus.OK)


async def _claim(
    client: df.DurableOrchestrationClient, services: Services, start: Start, job_id: str
) -> tuple[MonitorRow, bool]:
    """The monitor of the job, and whether this call began its run."""
    for _ in range(_ATTEMPTS):
        new = start.request.new_row(start.source, job_id, services.now())
        known = await asyncio.to_thread(services.monitors.get, new.id)
        if known is None:
            if await asyncio.to_thread(services.monitors.claim, new):
                return new, True
            continue  # somebody else was first
        known = await hub.current_row(client, known, services.now())
        if not known.state.final or known.state.job_ended:
            return known, False
        again = new.model_copy(update={"run": known.run + 1})
        begin = partial(transitions.claimed_again, ended=known, again=again)
        if await asyncio.to_thread(services.monitors.change, again.id, begin):
            return again, True
    raise StoreUnavailable("too many others start this job at the same time")


def _different(row: MonitorRow, differences: list[Fault]) -> func.HttpResponse:
    return problem(
        HTTPStatus.CONFLICT,
        "The job is watched already, with other settings.",
        differences,
        monitor=row.to_wire(),
    )
