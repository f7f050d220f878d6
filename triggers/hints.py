"""`POST /api/sources/{source}/hint`: a hint by the job's own id, for those who know no monitor.

1. `jobId` in the query or in the body names one job. It must be watched, else the answer is 404.
2. Any other body is an event of the job system, and the source's `hint.job_id` reads the ids in it.
   A system tells of all its jobs, also of those that nobody watches. So the answer is a success
   always: GitHub would mark the delivery as failed, and Event Grid would send the event again.
3. `POST /api/hints/{source}` is the same without a key, but with a signature by one of the source's
   `hint.secrets`. Its path has a beginning of its own, which the authentication of the platform
   lets pass.

Event Grid asks first whether it may send: by an event of its own schema, or by OPTIONS
(https://learn.microsoft.com/azure/event-grid/end-point-validation-cloud-events-schema).
"""

import asyncio
from http import HTTPStatus
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.services import Services, get_services
from adapters.threads import at_store
from domain.errors import (
    Fault,
    InvalidInput,
    NoSuchMonitor,
    NoSuchSource,
    Unauthenticated,
)
from domain.monitors.hints import job_named, jobs_in
from domain.sources.hint import SIGNATURE, events_in, validation_code
from domain.sources.source import Source
from domain.wire import WireModel
from triggers.access import Role, requires
from triggers.answers import answers_problems, json_answer
from triggers.operation import Answer, operation
from triggers.requests import query, read_body, unknown_parameters

bp = df.Blueprint()

_BODY_LIMIT = 1 << 20  # Event Grid sends as much at once
_ORIGIN = "WebHook-Request-Origin"
_AT_ONCE = 8


class HintQuery(WireModel):
    """The query of a hint.

    Attributes:
        job_id: The job that the hint is about, unless the body says it.
    """

    job_id: str | None = None


class Hinted(WireModel):
    """What became of a hint.

    Attributes:
        hinted: The monitors that will poll soon.
        ended: The monitors whose watch has ended.
        unwatched: The jobs that nobody watches, by their ids.
    """

    hinted: list[str]
    ended: list[str]
    unwatched: list[str]


class Validation(WireModel):
    """The answer to the validation of a subscription of Event Grid.

    Attributes:
        validation_response: The code that it sent.
    """

    validation_response: str


_ANSWERS = {
    202: Answer("At least one watch will poll soon.", Hinted),
    200: Answer("No watch will; or Event Grid may send.", Hinted | Validation),
}


@operation(_ANSWERS, problems=(400, 404, 413, 503), query=HintQuery, body=object)
@bp.function_name("HintSource")
@bp.route(route="sources/{source}/hint", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.START)
async def hint_source(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Send a hint by the id of the job, or by an event of the job system.

    A job that `jobId` names, in the query or the body, must be watched. An event may be about jobs
    that nobody watches.
    """
    services = await at_store(get_services)
    source = _named(req, services)
    body = _read(req)
    signature = req.headers.get(SIGNATURE)
    if signature is not None and source.hint.secrets and not source.hint.signed(signature, body):
        raise Unauthenticated("The signature is wrong.")
    return await _hint(req, client, services, source, body)


@operation(
    _ANSWERS,
    problems=(400, 401, 404, 413, 503),
    query=HintQuery,
    body=object,
    headers=[SIGNATURE],
)
@bp.function_name("HintSourceSigned")
@bp.route(route="hints/{source}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
@answers_problems
async def hint_source_signed(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Send a hint that is signed by a secret of the source, and needs no key.

    The header X-Hub-Signature-256 has the signature, as GitHub's webhooks send it.
    """
    body = _read(req)
    services = await at_store(get_services)
    source = services.sources.by_name.get(req.route_params["source"])
    if source is None or not source.hint.signed(req.headers.get(SIGNATURE) or "", body):
        raise Unauthenticated("The signature is missing or wrong.")
    return await _hint(req, client, services, source, body)


@operation(
    {200: Answer("The sender may send.", None, ["WebHook-Allowed-Origin", "WebHook-Allowed-Rate"])},
    problems=(400, 404, 503),
    headers=[_ORIGIN],
)
@bp.function_name("AllowHints")
@bp.route(route="sources/{source}/hint", methods=["OPTIONS"])
@answers_problems
@requires(Role.START)
async def allow_hints(req: func.HttpRequest) -> func.HttpResponse:
    """Allow a sender of CloudEvents to send hints.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection
    """
    services = await at_store(get_services)
    _named(req, services)
    origin = req.headers.get(_ORIGIN)
    if not origin or not origin.isascii() or not origin.isprintable():
        raise InvalidInput([Fault(_ORIGIN, "must be a header of the request")])
    allowed = {"Allow": "POST", "WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
    return func.HttpResponse(status_code=HTTPStatus.OK, headers=allowed)


def _read(req: func.HttpRequest) -> bytes:
    if faults := unknown_parameters(req, "jobId"):
        raise InvalidInput(faults)
    return read_body(req, _BODY_LIMIT)


def _named(req: func.HttpRequest, services: Services) -> Source:
    source = services.sources.find(req.route_params["source"])
    if source is None:
        raise NoSuchSource
    return source


async def _hint(
    req: func.HttpRequest,
    client: df.DurableOrchestrationClient,
    services: Services,
    source: Source,
    body: bytes,
) -> func.HttpResponse:
    named: object = query(req).get("jobId")
    events: list[Any] = []
    if named is None:
        events = events_in(body, req.headers.get("Content-Type") or "")
        if code := validation_code(events):
            return json_answer(HTTPStatus.OK, Validation(validation_response=code))
        if len(events) == 1 and isinstance(events[0], dict):
            named = events[0].get("jobId")
    job_ids = jobs_in(source, events) if named is None else [job_named(source, named)]
    told = await _tell(client, services, source, job_ids)
    if named is not None and told.unwatched:
        raise NoSuchMonitor
    status = HTTPStatus.ACCEPTED if told.hinted else HTTPStatus.OK
    return json_answer(status, told)


async def _tell(
    client: df.DurableOrchestrationClient, services: Services, source: Source, job_ids: list[str]
) -> Hinted:
    """Send hints to the watches of jobs, some at once."""
    told = Hinted(hinted=[], ended=[], unwatched=[])
    places = asyncio.Semaphore(_AT_ONCE)

    async def tell(job_id: str) -> None:
        async with places:
            row = await at_store(services.monitors.of_job, source.name, job_id)
            if row is None:
                told.unwatched.append(job_id)
                return
            row = await hub.current_row(client, services, row)
            if row.state.final:
                told.ended.append(row.id)
                return
            await hub.hint(client, row, services)
            told.hinted.append(row.id)

    await asyncio.gather(*(tell(job_id) for job_id in job_ids))
    return told
