"""`POST /api/monitors/{id}/stop`: end a watch, and with `cancelJob=true` the job as well.

The route writes the wish to the monitor's row, and a hint brings the next poll forward. The poll
finds the wish in the row, so the wish survives a crash. The poll also sees a job that has just
ended; that end then is the verdict. A wish joins an earlier one: no stop takes a cancel back.

A watch that ended without its job may have left the job running. In that case `cancelJob=true`
cancels the job at once.
"""

from functools import partial
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.cancelling import cancel_late
from adapters.event_log import log_event
from adapters.services import get_services
from adapters.threads import at_source, at_store
from domain.errors import Fault, InvalidInput
from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow
from domain.outcome import StopRequest
from domain.sources.source import Source
from triggers.access import Role, caller, requires
from triggers.answers import answers_problems, json_answer
from triggers.requests import body_faults, query, unknown_parameters
from triggers.require_monitor import require_monitor

bp = df.Blueprint()

_REASON_LENGTH = 256


@bp.function_name("StopMonitor")
@bp.route(route="monitors/{id}/stop", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.STOP)
async def stop_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Answer 202 if the watch will end, 200 if it has ended already, each with its row."""
    services = await at_store(get_services)
    row = await require_monitor(req, services)
    stop = _read(req, services.sources.known(row.source))
    row = await hub.current_row(client, services, row)
    ask = partial(transitions.stop_asked, stop=stop)
    written = await at_store(services.monitors.change, row.id, ask)
    if written:
        row = written.now
        _log(row, stop)
        await hub.hint(client, row, services, wake=True)
    known = await at_store(services.monitors.get, row.id)
    if known and not known.state.final and known.stop is None:
        # A start began the next run meanwhile. The wish is for that one, too.
        written = await at_store(services.monitors.change, row.id, ask)
        known = written.now if written else known
    row = known or row
    if not row.state.final:
        return json_answer(HTTPStatus.ACCEPTED, {"monitor": row.to_wire()})
    if stop.cancel_job and not row.state.job_ended and row.cancel_result != "accepted":
        if written is None:
            _log(row, stop)
        row = await at_source(cancel_late, services, row)
    return json_answer(HTTPStatus.OK, {"monitor": row.to_wire()})


def _log(row: MonitorRow, stop: StopRequest) -> None:
    log_event("stopAsked", row, reason=stop.reason, cancel_job=stop.cancel_job, by=stop.by)


def _read(req: func.HttpRequest, source: Source | None) -> StopRequest:
    """The wish in the query: `reason`, `cancelJob`."""
    faults = unknown_parameters(req, "cancelJob", "reason") + body_faults(req)
    cancel = query(req).get("cancelJob", "false").lower()
    if cancel not in ("true", "false"):
        faults.append(Fault("cancelJob", "must be true or false"))
    if cancel == "true" and (source is None or source.cancel is None):
        faults.append(Fault("cancelJob", "can't be done: the source has no cancel"))
    reason = query(req).get("reason", "Stopped through the API.")
    if not 1 <= len(reason) <= _REASON_LENGTH or not reason.isprintable():
        faults.append(Fault("reason", f"must be 1 to {_REASON_LENGTH} printable characters"))
    if faults:
        raise InvalidInput(faults)
    return StopRequest(reason=reason, cancel_job=cancel == "true", by=caller(req))
