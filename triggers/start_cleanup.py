"""`POST /api/cleanup`: start the cleanup, or find it running."""

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from domain import names
from triggers.answers import answers_problems

bp = df.Blueprint()


@bp.function_name("StartCleanup")
@bp.route(route="cleanup", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
async def start_cleanup(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Answer 202 with the check-status URLs of the one cleanup, new or running."""
    await hub.ensure_cleanup(client)
    return client.create_check_status_response(req, names.CLEANUP_INSTANCE)
