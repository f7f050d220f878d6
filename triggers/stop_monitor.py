"""`POST /api/monitors/{id}/stop`: end a watch, and with `cancelJob=true` the job as well.

The route writes the wish to the monitor's row, and a hint brings the next poll forward. The poll
finds the wish in the row, so the wish survives a crash. The poll also sees a job that has just
ended; that end then is the verdict. A wish joins an earlier one: no stop takes a cancel back.

A watch that ended without its job may have left the job running. In that case `cancelJob=true`
cancels the job at once.
"""

from functools import partial
from http import HTTPStatus
from typing import Annotated

import azure.durable_functions as df
import azure.functions as func
from pydantic import AfterValidator, Field, ValidationInfo
from pydantic import field_validator as check

from adapters import hub
from adapters.cancelling import cancel_late
from adapters.event_log import log_event
from adapters.services import get_services
from adapters.threads import at_source, at_store
from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow
from domain.outcome import StopRequest
from domain.text import PRINTABLE, printable
from domain.wire import WireModel
from triggers.access import Role, caller, requires
from triggers.answers import ShownMonitor, answers_problems, json_answer
from triggers.operation import Answer, operation
from triggers.requests import Flag, read_query
from triggers.require_monitor import require_monitor

bp = df.Blueprint()

_REASON_LENGTH = 256


Reason = Annotated[
    str,
    Field(max_length=_REASON_LENGTH, json_schema_extra={"pattern": PRINTABLE}),
    AfterValidator(printable),
]


class StopQuery(WireModel):
    """The query of a stop.

    Attributes:
        cancel_job: Whether the job is to be cancelled as well.
        reason: Why, for people: printable characters.
    """

    cancel_job: Flag = False
    reason: Reason = "Stopped through the API."

    @check("cancel_job")
    @classmethod
    def _can_be_done(cls, cancel_job: bool, info: ValidationInfo) -> bool:
        source = (info.context or {}).get("source")
        if cancel_job and (source is None or source.cancel is None):
            raise ValueError("can't be done: the source has no cancel")
        return cancel_job


@operation(
    {
        202: Answer("The watch will end.", ShownMonitor),
        200: Answer("The watch has ended already.", ShownMonitor),
    },
    problems=(400, 404, 503),
    query=StopQuery,
)
@bp.function_name("StopMonitor")
@bp.route(route="monitors/{id}/stop", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.STOP)
async def stop_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """End a watch, and with `cancelJob` the job as well.

    A watch that has ended without its job may have left the job running: then `cancelJob` cancels
    the job at once.
    """
    services = await at_store(get_services)
    row = await require_monitor(req, services)
    wish = read_query(req, StopQuery, {"source": services.sources.known(row.source)})
    stop = StopRequest(reason=wish.reason, cancel_job=wish.cancel_job, by=caller(req))
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
        return json_answer(HTTPStatus.ACCEPTED, ShownMonitor(monitor=row))
    if stop.cancel_job and not row.state.job_ended and row.cancel_result != "accepted":
        if written is None:
            _log(row, stop)
        row = await at_source(cancel_late, services, row)
    return json_answer(HTTPStatus.OK, ShownMonitor(monitor=row))


def _log(row: MonitorRow, stop: StopRequest) -> None:
    log_event("stopAsked", row, reason=stop.reason, cancel_job=stop.cancel_job, by=stop.by)
