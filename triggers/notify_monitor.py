"""`POST /api/monitors/{id}/notify`: a hint, which brings the next poll forward."""

from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.services import get_services
from adapters.threads import at_store
from domain.errors import InvalidInput
from triggers.access import Role, requires
from triggers.answers import ShownMonitor, answers_problems, json_answer
from triggers.operation import Answer, operation
from triggers.requests import read_body, unknown_parameters
from triggers.require_monitor import require_monitor

bp = df.Blueprint()


@operation(
    {
        202: Answer("The watch will poll soon.", ShownMonitor),
        200: Answer("The watch has ended.", ShownMonitor),
    },
    problems=(400, 404, 413, 503),
    body=object,
)
@bp.function_name("NotifyMonitor")
@bp.route(route="monitors/{id}/notify", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.START)
async def notify_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Send a hint: the watch polls now.

    The body is the sender's own, and is not read.
    """
    read_body(req)
    if faults := unknown_parameters(req):
        raise InvalidInput(faults)
    services = await at_store(get_services)
    row = await hub.current_row(client, services, await require_monitor(req, services))
    if row.state.final:
        return json_answer(HTTPStatus.OK, ShownMonitor(monitor=row))
    await hub.hint(client, row, services)
    return json_answer(HTTPStatus.ACCEPTED, ShownMonitor(monitor=row))
