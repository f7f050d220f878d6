"""`POST /api/monitors:batch`: many starts in one request, each with its own answer, in order.

1. The frame is checked as a whole: a list of 1 to 100 starts. A fault of one start is in its own
   answer, and keeps no other from its start.
2. Each start is that of `triggers.start_monitor`: the same checks, the same status, the same body.
3. Eight are under way at a time. A start waits for the earlier ones of its batch that name the same
   job or bring the same Idempotency-Key: such starts come one after the other, as two requests.
4. The last begins within a minute. A start whose turn did not come by then is answered with 503,
   and nothing of it is done.
"""

import asyncio
import json
import logging
from collections.abc import Iterable
from http import HTTPStatus
from time import monotonic

import azure.durable_functions as df
import azure.functions as func

from adapters.services import Services, get_services
from adapters.threads import at_store
from domain.errors import BodyTooLarge, Fault, InvalidInput, JobMonitorError
from domain.monitors.batch import STARTS, Item, StartBatch, parse_batch
from domain.monitors.start import parse_start
from domain.wire import WireModel
from triggers.access import Role, requires
from triggers.answers import Problem, answers_problems, json_answer, problem
from triggers.links import CheckStatus
from triggers.operation import Answer, operation
from triggers.requests import (
    BODY_LIMIT,
    KEY_HEADER,
    read_body,
    read_key,
    read_with,
    unknown_parameters,
)
from triggers.start_monitor import Call, begin

bp = df.Blueprint()
log = logging.getLogger(__name__)

_AT_ONCE = 8
_SECONDS = 60.0


class BatchAnswer(WireModel):
    """The answer to one start of a batch.

    Attributes:
        status: That of the start alone: 200, 202, 400, 409, 413, 422, 502 or 503;
            500 for an error that nobody foresaw.
        body: The body that it would have alone.
    """

    status: int
    body: CheckStatus | Problem


class BatchAnswers(WireModel):
    """The answers to a batch.

    Attributes:
        answers: One for each start, in the order of the starts.
    """

    answers: list[BatchAnswer]


@operation(
    {200: Answer("Each start has its own answer, good or bad.", BatchAnswers)},
    problems=(400, 413, 503),
    body=StartBatch,
)
@bp.function_name("StartBatch")
@bp.route(route="monitors:batch", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.START)
async def start_batch(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Start up to a hundred watches, each with its own answer.

    The answers come in the order of the starts. A start that fails keeps no other from its start.
    Starts of the same job come one after the other. A start whose turn does not come within a
    minute is answered with 503, and nothing of it is done.
    """
    body = read_body(req, STARTS * BODY_LIMIT)
    faults = unknown_parameters(req)
    if req.headers.get(KEY_HEADER) is not None:
        faults.append(Fault(KEY_HEADER, "is not read here: give each start an idempotencyKey"))
    services = await at_store(get_services)
    items = read_with(faults, lambda: parse_batch(body))
    answers = await _in_turn([_read(req, client, services, item) for item in items])
    shown = [{"status": a.status_code, "body": json.loads(a.get_body())} for a in answers]
    return json_answer(HTTPStatus.OK, {"answers": shown})


def _read(
    req: func.HttpRequest, client: df.DurableOrchestrationClient, services: Services, item: Item
) -> Call | JobMonitorError:
    """A start, ready to begin, or the error that it is answered with."""
    if len(item.body) > BODY_LIMIT:
        return BodyTooLarge(f"The start is over {BODY_LIMIT} bytes.")
    faults: list[Fault] = []
    key = read_key(item.key, "idempotencyKey", faults)
    try:
        start = read_with(faults, lambda: parse_start(item.body, services.sources, services.now()))
    except InvalidInput as error:
        return error
    return Call(req, client, services, item.body, start, key)


async def _in_turn(calls: Iterable[Call | JobMonitorError]) -> list[func.HttpResponse]:
    """The answers, in the order of the calls."""
    places, end = asyncio.Semaphore(_AT_ONCE), monotonic() + _SECONDS
    last: dict[tuple[str, ...], asyncio.Task[func.HttpResponse]] = {}

    async def in_turn(
        call: Call | JobMonitorError, before: set[asyncio.Task[func.HttpResponse]]
    ) -> func.HttpResponse:
        if before:
            await asyncio.wait(before)
        async with places:
            if monotonic() > end:
                what = "The batch took too long to begin this start. Nothing of it was done."
                return problem(HTTPStatus.SERVICE_UNAVAILABLE, what)
            return await _answer(call)

    tasks = []
    for call in calls:
        names = set() if isinstance(call, JobMonitorError) else _names(call)
        before = {last[name] for name in names if name in last}
        task = asyncio.create_task(in_turn(call, before))
        last |= dict.fromkeys(names, task)
        tasks.append(task)
    return await asyncio.gather(*tasks)


def _names(call: Call) -> set[tuple[str, ...]]:
    """All that must not be under way twice: the job, if the request names it, and the key."""
    request, source = call.start.request, call.start.source
    job_id = request.job_id
    if request.job is not None:
        try:
            job_id = source.submit_request(request.job)[1]
        except InvalidInput:  # which its answer says
            job_id = None
    names: set[tuple[str, ...]] = {("job", source.name, job_id)} if job_id is not None else set()
    return names | ({("key", call.key)} if call.key is not None else set())


async def _answer(call: Call | JobMonitorError) -> func.HttpResponse:
    """The answer to one start. An error that nobody foresaw costs the others nothing."""
    try:
        return await _begin(call)
    except Exception:
        log.exception("A start of a batch failed")
        what = "The start failed, for a reason that is in the log."
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, what)


@answers_problems
async def _begin(call: Call | JobMonitorError) -> func.HttpResponse:
    if isinstance(call, JobMonitorError):
        raise call
    return await begin(call)
