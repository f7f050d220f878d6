"""`POST /api/cleanup`: start the cleanup unless it runs."""

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.services import get_services
from adapters.threads import at_store
from domain import names
from triggers.access import Role, requires
from triggers.answers import answers_problems
from triggers.links import CleanupStatus, cleanup_status
from triggers.operation import Answer, operation
from triggers.requests import refuse_unknown

bp = df.Blueprint()


@operation(
    {202: Answer("The one cleanup, new or running.", CleanupStatus)},
    problems=(400, 503),
)
@bp.function_name("StartCleanup")
@bp.route(route="cleanup", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.START)
async def start_cleanup(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Start the cleanup unless it runs."""
    refuse_unknown(req)
    services = await at_store(get_services)
    await hub.ensure_cleanup(client, services)
    return cleanup_status(req, client, services, names.CLEANUP_INSTANCE)
