"""`GET /api/monitors/{id}`: the monitor now, with its runtime status and its log."""

from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.services import get_services
from adapters.threads import at_store
from domain.errors import Fault, InvalidInput, NoSuchMonitor
from domain.text import whole_number
from triggers.access import Role, requires
from triggers.answers import answers_problems, json_answer
from triggers.requests import query, refuse_unknown
from triggers.require_monitor import named_id

bp = df.Blueprint()

_LINES_LIMIT = 99_999_999
"""The number of the last line that a log has a key for."""


@bp.function_name("GetMonitor")
@bp.route(route="monitors/{id}", methods=["GET"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.READ)
async def get_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Answer 200 with `monitor`, `runtimeStatus` (null if there is no instance) and `log`.

    `log` holds the newest lines, 200 at the most, of the `logLines` that were written. With
    `logAfter` in the query it holds the lines after that number; `logNext` is the number to go on
    with, or null.
    """
    refuse_unknown(req, "logAfter")
    monitor_id, after = named_id(req), _log_after(req)
    services = await at_store(get_services)
    stored = await at_store(services.monitors.read, monitor_id, after)
    if stored is None:
        raise NoSuchMonitor
    if (await hub.current_row(client, services, stored.row)) != stored.row:
        # This look saw the end first, and stored it, with a line of the log.
        stored = await at_store(services.monitors.read, monitor_id, after) or stored
    instance = await hub.find(client, monitor_id)
    return json_answer(
        HTTPStatus.OK,
        {
            "monitor": stored.row.to_wire(),
            "runtimeStatus": instance and instance.runtime_status,
            "log": [line.to_wire() for line in stored.log],
            "logLines": stored.lines,
            "logNext": stored.next,
        },
    )


def _log_after(req: func.HttpRequest) -> int | None:
    text = query(req).get("logAfter")
    if text is None:
        return None
    number = whole_number(text)
    if number is None or number > _LINES_LIMIT:
        raise InvalidInput([Fault("logAfter", f"must be a whole number from 0 to {_LINES_LIMIT}")])
    return number
