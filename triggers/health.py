"""`GET /api/health`: ready or not. `GET /api/health/details`: the faults.

Everybody may ask whether the app is ready, so that answer shows counts and no name. The names of
settings and tables are for those who hold a key or a role.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Literal

import azure.durable_functions as df
import azure.functions as func

from adapters.readiness import Condition, get_readiness, look
from adapters.services import get_services
from adapters.sweeper import has_sweep
from adapters.threads import at_store
from domain.wire import WireModel, left_out
from triggers.access import Role, requires
from triggers.answers import ShownFault, answers_problems, json_answer, listed, problem
from triggers.operation import Answer, operation
from triggers.requests import refuse_unknown

bp = df.Blueprint()
log = logging.getLogger(__name__)


class Health(WireModel):
    """Whether the app can work.

    Attributes:
        status: `ready`; `degraded` if a source is disabled or a newer file was refused.
        disabled_sources: How many sources can't be used.
        faults: How many faults there are.
    """

    status: Literal["ready", "degraded"]
    disabled_sources: int | None = left_out()
    faults: int | None = left_out()


class HealthDetails(Health):
    """The same with names.

    Attributes:
        errors: Each fault.
        paused_sources: The sources whose polls are held.
        silent_sweeps: The sources whose sweep the monitors may not rely on at the moment.
        silent_deliveries: The channels that nobody looks at, though notices wait for them.
    """

    errors: list[ShownFault] | None = left_out()
    paused_sources: list[str] | None = left_out()
    silent_sweeps: list[str] | None = left_out()
    silent_deliveries: list[str] | None = left_out()


@operation(
    {
        200: Answer("The app is ready: the store answers, and a source can be used.", Health),
        503: "The app is not ready; `faultCount` says how many faults it has.",
    },
    problems=(400,),
)
@bp.function_name("Health")
@bp.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_problems
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Say whether the app is ready. Everybody may ask."""
    refuse_unknown(req)
    # In threads that nobody else uses: the check waits behind no call to a slow source or store.
    condition, is_new = await asyncio.to_thread(get_readiness().condition)  # noqa: TID251
    if condition.ready:
        return json_answer(HTTPStatus.OK, Health(**_counts(condition)))
    if is_new:
        told = "; ".join(f"{fault.where}: {fault.what}" for fault in condition.faults)
        log.error("The app is not ready: %s", told)
    what = "The app is not ready. GET /api/health/details says why, and so does the log."
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, what, fault_count=len(condition.faults))


@operation(
    {200: Answer("The app is ready.", HealthDetails)},
    problems=(400, 503),
)
@bp.function_name("HealthDetails")
@bp.route(route="health/details", methods=["GET"])
@answers_problems
@requires(Role.READ)
async def health_details(req: func.HttpRequest) -> func.HttpResponse:
    """Say whether the app is ready, and name each fault.

    This looks anew.
    """
    refuse_unknown(req)
    condition = await at_store(look)
    shown = HealthDetails(
        **_counts(condition),
        errors=listed(condition.faults) or None,
        paused_sources=await at_store(_paused),
        silent_sweeps=await at_store(_silent_sweeps),
        silent_deliveries=await at_store(_silent_deliveries),
    )
    return json_answer(HTTPStatus.OK, shown)


def _paused() -> list[str]:
    """The names of the sources whose polls are held."""
    services = get_services()
    return sorted(services.app_state.paused_sources(services.now()))


def _silent_sweeps() -> list[str]:
    """The names of the sources that are to sweep, and do not."""
    services = get_services()
    swept = [each.name for each in services.sources.by_name.values() if each.sweeps]
    return sorted(name for name in swept if not has_sweep(services, name))


def _silent_deliveries() -> list[str]:
    """The names of the channels whose notices wait in vain for somebody to look at them."""
    services = get_services()
    signs, now = services.monitors.outbox.signs, services.now()
    return [name for name in services.sources.channels.names if signs(name).is_silent(now)]


def _counts(condition: Condition) -> dict[str, Any]:
    if not condition.faults:
        return {"status": "ready"}
    counts = {"disabled_sources": condition.disabled, "faults": len(condition.faults)}
    return {"status": "degraded", **counts}
