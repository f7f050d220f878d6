"""`POST /api/monitors/{id}/notify`: a hint to look now. It carries no truth; the poll does."""

import asyncio
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.services import services
from triggers.answers import answers_problems, json_answer, no_such_monitor

bp = df.Blueprint()


@bp.function_name("NotifyMonitor")
@bp.route(route="monitors/{id}/notify", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
async def notify_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Answer 202 if the watch will poll soon, 200 if it has ended, each with the row."""
    tools = await asyncio.to_thread(services)
    row = await asyncio.to_thread(tools.monitors.get, req.route_params["id"])
    if row is None:
        return no_such_monitor()
    row = await hub.current(client, row, tools.now())
    if row.state.final:
        return json_answer(HTTPStatus.OK, {"monitor": row.to_wire()})
    if await hub.hint(client, row, tools.monitors):
        await asyncio.to_thread(tools.monitors.settle, row)
    return json_answer(HTTPStatus.ACCEPTED, {"monitor": row.to_wire()})
