"""`POST /api/monitors/{id}/notify`: a hint, which brings the next poll forward."""

from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.services import get_services
from adapters.threads import at_store
from domain.errors import InvalidInput
from triggers.access import Role, requires
from triggers.answers import answers_problems, json_answer
from triggers.requests import read_body, unknown_parameters
from triggers.require_monitor import require_monitor

bp = df.Blueprint()


@bp.function_name("NotifyMonitor")
@bp.route(route="monitors/{id}/notify", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.START)
async def notify_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Answer 202 if the watch will poll soon, 200 if it has ended, each with the row.

    The body is the sender's own, and is not read.
    """
    read_body(req)
    if faults := unknown_parameters(req):
        raise InvalidInput(faults)
    services = await at_store(get_services)
    row = await hub.current_row(client, services, await require_monitor(req, services))
    if row.state.final:
        return json_answer(HTTPStatus.OK, {"monitor": row.to_wire()})
    await hub.hint(client, row, services)
    return json_answer(HTTPStatus.ACCEPTED, {"monitor": row.to_wire()})
