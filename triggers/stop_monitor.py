"""`POST /api/monitors/{id}/stop`: end a watch, and with `cancelJob=true` the job as well.

The wish is written to the monitor's row, where the next poll finds it, and a hint brings that
poll forward. So the wish survives whatever dies meanwhile; the poll also sees a job that has just
ended, which then is the verdict.
"""

import asyncio
from functools import partial
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.event_log import log_event
from adapters.services import get_services
from domain.errors import Fault, InvalidInput
from domain.monitors import transitions
from domain.outcome import StopRequest
from domain.sources.source import Source
from triggers.answers import answers_problems, json_answer
from triggers.require_monitor import require_monitor

bp = df.Blueprint()

_REASON_LENGTH = 256


@bp.function_name("StopMonitor")
@bp.route(route="monitors/{id}/stop", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
async def stop_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Answer 202 if the watch will end, 200 if it has ended already, each with its row."""
    services = await asyncio.to_thread(get_services)
    row = await require_monitor(req, services)
    stop = _read(req, services.sources.by_name.get(row.source))
    row = await hub.current_row(client, row, services.now())
    if row.state.final:
        return json_answer(HTTPStatus.OK, {"monitor": row.to_wire()})
    ask = partial(transitions.stop_asked, run=row.run, stop=stop)
    if await asyncio.to_thread(services.monitors.change, row.id, ask):
        log_event("stopAsked", row, reason=stop.reason, cancel_job=stop.cancel_job)
        await hub.hint(client, row, services.monitors)
    now = await asyncio.to_thread(services.monitors.get, row.id) or row
    status = HTTPStatus.OK if now.state.final else HTTPStatus.ACCEPTED
    return json_answer(status, {"monitor": now.to_wire()})


def _read(req: func.HttpRequest, source: Source | None) -> StopRequest:
    """The wish in the query: `reason`, `cancelJob`."""
    faults = []
    cancel = req.params.get("cancelJob", "false").lower()
    if cancel not in ("true", "false"):
        faults.append(Fault("cancelJob", "must be true or false"))
    if cancel == "true" and (source is None or source.cancel is None):
        faults.append(Fault("cancelJob", "can't be done: the source has no cancel"))
    reason = req.params.get("reason", "Stopped through the API.")
    if not 1 <= len(reason) <= _REASON_LENGTH or not reason.isprintable():
        faults.append(Fault("reason", f"must be 1 to {_REASON_LENGTH} printable characters"))
    if faults:
        raise InvalidInput(faults)
    return StopRequest(reason=reason, cancel_job=cancel == "true")
