"""`GET /api/housekeeping`: how the cleanup and the watchdog get on."""

from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func
from pydantic import AwareDatetime

from adapters import hub
from adapters.services import get_services
from adapters.threads import at_store
from domain.monitors.census import WatchdogRun
from domain.monitors.cleanup import INTERVAL, CleanupProgress
from domain.wire import WireModel
from triggers.access import Role, requires
from triggers.answers import answers_problems, json_answer
from triggers.operation import Answer, operation
from triggers.requests import refuse_unknown

bp = df.Blueprint()


class ShownCleanup(WireModel):
    """The cleanup of the task hub and of old results.

    Attributes:
        runtime_status: Of its instance.
        runs: How many cleanups ended well.
        last_run_at: When the last of them ended.
        next_run_at: When the next one begins; null while the first runs, or the instance does not.
        instances: Instances purged in the last one.
        monitors: Monitors whose results were removed in it.
        failed: Monitors that were to be removed in it, and were not.
        more: Whether its time was over before its work, so that the next one follows at once.
        last_error: Why the newest one failed, if it did.
    """

    runtime_status: str
    runs: int
    last_run_at: AwareDatetime | None
    next_run_at: AwareDatetime | None
    instances: int
    monitors: int
    failed: int
    more: bool
    last_error: str | None


class Housekeeping(WireModel):
    """The work that keeps the app in order.

    Attributes:
        cleanup: Null if it never began.
        watchdog: Its last run.
    """

    cleanup: ShownCleanup | None
    watchdog: WatchdogRun


@operation({200: Answer("How both get on.", Housekeeping)}, problems=(400, 503))
@bp.function_name("ShowHousekeeping")
@bp.route(route="housekeeping", methods=["GET"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.READ)
async def show_housekeeping(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Show how the cleanup and the watchdog get on."""
    refuse_unknown(req)
    services = await at_store(get_services)
    run = await at_store(services.app_state.watchdog_run)
    found = await hub.cleanup(client)
    shown = _shown(*found) if found else None
    return json_answer(HTTPStatus.OK, Housekeeping(cleanup=shown, watchdog=run))


def _shown(runtime_status: str, progress: CleanupProgress) -> ShownCleanup:
    lasts = progress.last_run_at and runtime_status == "Running" and not progress.more
    return ShownCleanup(
        runtime_status=runtime_status,
        next_run_at=progress.last_run_at + INTERVAL if progress.last_run_at and lasts else None,
        last_error=progress.shown_error,
        **progress.model_dump(
            include={"runs", "last_run_at", "instances", "monitors", "failed", "more"}
        ),
    )
