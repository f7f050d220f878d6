"""`POST /api/monitors/{id}/restart`: free a monitor that is stuck.

1. Make the row the next run, with its settings and its expire time. From then on, nothing that
   the stuck instance still writes counts.
2. Terminate the instance, wait until it has ended, and purge it by its id.
3. Start the watch. If the app dies before that, the watchdog starts it.
"""

from functools import partial
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.event_log import log_event
from adapters.services import get_services
from adapters.threads import at_store
from domain.monitors import transitions
from triggers.access import Role, caller, requires
from triggers.answers import answers_problems, problem
from triggers.links import STARTED, CheckStatus, check_status
from triggers.operation import Answer, operation
from triggers.requests import refuse_unknown
from triggers.require_monitor import require_monitor

bp = df.Blueprint()


@operation(
    {
        202: Answer("The watch begins anew, as the next run.", CheckStatus, STARTED),
        409: "The watch has ended.",
    },
    problems=(400, 404, 503),
)
@bp.function_name("RestartMonitor")
@bp.route(route="monitors/{id}/restart", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.START)
async def restart_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Free a monitor that is stuck.

    Its instance is removed, and a new one goes on with its settings.
    """
    services = await at_store(get_services)
    refuse_unknown(req)
    row = await require_monitor(req, services)
    row = await hub.current_row(client, services, row)
    restart = partial(transitions.restarted, run=row.run, at=services.now(), by=caller(req))
    written = await at_store(services.monitors.change, row.id, restart)
    # Somebody else may have restarted it at the same time: then this call joins in.
    again = written.now if written else await require_monitor(req, services)
    if again.state.final:
        what = "The watch has ended. POST /api/monitors begins a new one (fresh, if its job ended)."
        return problem(HTTPStatus.CONFLICT, what)
    await hub.remove_earlier(client, again, services)
    await hub.ensure_watched(client, again, services)
    if written:
        log_event("restarted", again, by=caller(req))
    return check_status(req, client, services, again, HTTPStatus.ACCEPTED)
