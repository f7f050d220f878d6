"""`POST /api/monitors/{id}/restart`: free a monitor that is stuck.

1. The row goes on as the next run, with the settings and the expire time that it had. From here
   on nothing that the stuck instance may still write counts.
2. Terminate the instance, wait until it has ended, and purge it by its id.
3. Start the watch. If the caller dies before this, the watchdog does it.
"""

import asyncio
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.event_log import tell
from adapters.services import services
from triggers.addressed import addressed
from triggers.answers import answers_problems, check_status, problem

bp = df.Blueprint()


@bp.function_name("RestartMonitor")
@bp.route(route="monitors/{id}/restart", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
async def restart_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Answer 202 with the check-status URLs; 409 if the watch has ended."""
    tools = await asyncio.to_thread(services)
    row = await addressed(req, tools)
    again = await asyncio.to_thread(tools.monitors.begin_again, row, tools.now())
    if again is None:
        return problem(HTTPStatus.CONFLICT, "The watch has ended. Start it again with a POST.")
    await hub.remove_earlier(client, again)
    await hub.ensure_watched(client, again, tools.monitors)
    tell("restarted", again)
    return check_status(req, client, again, HTTPStatus.ACCEPTED)
