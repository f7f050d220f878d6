"""`GET /api/monitors/{id}`: the monitor now, with its runtime status and its log."""

from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.services import get_services
from adapters.threads import at_store
from domain.errors import NoSuchMonitor
from triggers.answers import answers_problems, json_answer
from triggers.requests import refuse_unknown
from triggers.require_monitor import named_id

bp = df.Blueprint()


@bp.function_name("GetMonitor")
@bp.route(route="monitors/{id}", methods=["GET"])
@bp.durable_client_input(client_name="client")
@answers_problems
async def get_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Answer 200 with `monitor`, `runtimeStatus` (null if there is no instance) and `log`."""
    refuse_unknown(req)
    monitor_id = named_id(req)
    services = await at_store(get_services)
    stored = await at_store(services.monitors.read, monitor_id)
    if stored is None:
        raise NoSuchMonitor
    if (await hub.current_row(client, services, stored.row)) != stored.row:
        # This look saw the end first, and stored it, with a line of the log.
        stored = await at_store(services.monitors.read, monitor_id) or stored
    instance = await hub.find(client, monitor_id)
    return json_answer(
        HTTPStatus.OK,
        {
            "monitor": stored.row.to_wire(),
            "runtimeStatus": instance and instance.runtime_status,
            "log": [line.to_wire() for line in stored.log],
        },
    )
