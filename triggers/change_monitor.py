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
from domain.monitors.start import parse_change
from triggers.access import Role, caller, requires
from triggers.answers import answers_problems, json_answer, problem
from triggers.requests import read_body, unknown_parameters
from triggers.require_monitor import require_monitor

bp = df.Blueprint()


@bp.function_name("ChangeMonitor")
@bp.route(route="monitors/{id}", methods=["PATCH"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.START)
async def change_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Answer 200 with the row after the change; 409 if the watch has ended."""
    body = read_body(req)
    if faults := unknown_parameters(req):
        raise InvalidInput(faults)
    services = await at_store(get_services)
    row = await require_monitor(req, services)
    now = services.now()
    settings = parse_change(body, services.sources.known(row.source), now).settings(now)
    row = await hub.current_row(client, services, row)
    change = partial(transitions.changed, settings=settings, at=now, by=caller(req))
    written = await at_store(services.monitors.change, row.id, change)
    if written is None:
        return problem(HTTPStatus.CONFLICT, "The watch has ended.", monitor=row.to_wire())
    log_event("settingsChanged", written.now, settings=sorted(settings), by=caller(req))
    await hub.hint(client, written.now, services)
    return json_answer(HTTPStatus.OK, {"monitor": written.now.to_wire()})
