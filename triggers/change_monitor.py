"""`PATCH /api/monitors/{id}`: change the settings of a live watch.

The row holds the settings, and each poll takes them from there. A hint brings the next poll
forward, so that a change counts at once.
"""

from functools import partial
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.event_log import log_event
from adapters.services import get_services
from adapters.threads import at_store
from domain.errors import InvalidInput
from domain.monitors import transitions
from domain.monitors.start import ChangeRequest, parse_change
from triggers.access import Role, caller, requires
from triggers.answers import ShownMonitor, answers_problems, json_answer, problem
from triggers.operation import Answer, operation
from triggers.requests import read_body, unknown_parameters
from triggers.require_monitor import require_monitor

bp = df.Blueprint()


@operation(
    {
        200: Answer("The monitor after the change.", ShownMonitor),
        409: "The watch has ended.",
    },
    problems=(400, 404, 413, 503),
    body=ChangeRequest,
)
@bp.function_name("ChangeMonitor")
@bp.route(route="monitors/{id}", methods=["PATCH"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.START)
async def change_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Change the settings of a live watch.

    A setting that is left out stays as it is. The change counts at once.
    """
    body = read_body(req)
    if faults := unknown_parameters(req):
        raise InvalidInput(faults)
    services = await at_store(get_services)
    row = await require_monitor(req, services)
    now = services.now()
    sources = services.sources
    request = parse_change(body, sources.known(row.source), now, sources.channels.names)
    settings = request.settings(now)
    row = await hub.current_row(client, services, row)
    change = partial(transitions.changed, settings=settings, at=now, by=caller(req))
    written = await at_store(services.monitors.change, row.id, change)
    if written is None:
        return problem(HTTPStatus.CONFLICT, "The watch has ended.", monitor=row)
    log_event("settingsChanged", written.now, settings=sorted(settings), by=caller(req))
    await hub.hint(client, written.now, services)
    return json_answer(HTTPStatus.OK, ShownMonitor(monitor=written.now))
