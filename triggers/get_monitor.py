"""`GET /api/monitors/{id}`: the monitor now, with its runtime status and its log."""

from http import HTTPStatus
from typing import Annotated

import azure.durable_functions as df
import azure.functions as func
from pydantic import AwareDatetime, Field

from adapters import hub
from adapters.monitor_table import Stored
from adapters.outbox import SHOWN
from adapters.services import Services, get_services
from adapters.sweeper import has_sweep, sweep_of
from adapters.threads import at_store
from domain.errors import NoSuchMonitor
from domain.monitors.log import LogLine
from domain.monitors.monitor import MonitorRow
from domain.notices.delivery import Told
from domain.notices.notice import Event
from domain.wire import WireModel
from triggers.access import Role, requires
from triggers.answers import answers_problems, json_answer
from triggers.operation import Answer, operation
from triggers.requests import Digits, read_query
from triggers.require_monitor import named_id

bp = df.Blueprint()

_LINES_LIMIT = 99_999_999
"""The number of the last line that a log has a key for."""


class LogQuery(WireModel):
    """The query of a monitor.

    Attributes:
        log_after: Show the lines of the log after that number: 0 for its beginning.
    """

    log_after: Annotated[int, Field(ge=0, le=_LINES_LIMIT), Digits] | None = None


class MonitorSweep(WireModel):
    """The sweep that a monitor relies on: one look at all jobs of its source.

    Attributes:
        last_look_at: When the job was last looked at, by a sweep or by a poll.
        safety_poll_at: When the monitor polls for itself, unless the sweep wakes it before.
        fresh: Whether the sweep does its work. If not, the watchdog sends the monitor back to polls
            of its own.
    """

    last_look_at: AwareDatetime | None
    safety_poll_at: AwareDatetime | None
    fresh: bool


class ShownNotice(WireModel):
    """A notice, and what became of it.

    Attributes:
        id: Its id: the same at each attempt, and for the receiver.
        event: The occasion, like `ended`.
        at: When the row changed.
        channels: What became of it at each channel.
    """

    id: str
    event: Event
    at: AwareDatetime
    channels: dict[str, Told]


class MonitorDetails(WireModel):
    """A monitor with its instance and its log.

    Attributes:
        sweep: The sweep that it relies on; null if it polls for itself.
        runtime_status: The status of its instance as Durable Functions spells it; null if there is
            no instance.
        log: Lines of the log, oldest first: the newest 200, or with `logAfter` the next 200.
        log_lines: How many lines were written in all.
        log_next: The number to go on with as `logAfter`; null if no line follows.
        notices: The newest 50 notices of it, newest first.
    """

    monitor: MonitorRow
    sweep: MonitorSweep | None
    runtime_status: str | None
    log: list[LogLine]
    log_lines: int
    log_next: int | None
    notices: list[ShownNotice]


@operation(
    {200: Answer("The monitor.", MonitorDetails)},
    problems=(400, 404, 503),
    query=LogQuery,
)
@bp.function_name("GetMonitor")
@bp.route(route="monitors/{id}", methods=["GET"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.READ)
async def get_monitor(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Show a monitor as it is now, with its runtime status and its log."""
    after = read_query(req, LogQuery).log_after
    monitor_id = named_id(req)
    services = await at_store(get_services)
    stored = await at_store(services.monitors.read, monitor_id, after)
    if stored is None:
        raise NoSuchMonitor
    if (await hub.current_row(client, services, stored.row)) != stored.row:
        # This look saw the end first, and stored it, with a line of the log.
        stored = await at_store(services.monitors.read, monitor_id, after) or stored
    instance = await hub.find(client, monitor_id)
    sweep = await at_store(_sweep, services, stored.row)
    silent = sweep is not None and not sweep.fresh
    row = stored.row.model_copy(update={"stale": stored.row.stale or silent})
    return json_answer(
        HTTPStatus.OK,
        MonitorDetails(
            monitor=row,
            sweep=sweep,
            runtime_status=instance and instance.runtime_status,
            log=stored.log,
            log_lines=stored.lines,
            log_next=stored.next,
            notices=await _notices(services, stored),
        ),
    )


def _sweep(services: Services, row: MonitorRow) -> MonitorSweep | None:
    """The sweep that a live monitor relies on."""
    if row.state.final or not row.swept:
        return None
    state = sweep_of(services, row.source)
    looks = (row.last_poll_at, row.looked_at, state and state.sweep.looked_at)
    return MonitorSweep(
        last_look_at=max((at for at in looks if at), default=None),
        safety_poll_at=row.next_poll_at,
        fresh=has_sweep(services, row.source),
    )


async def _notices(services: Services, stored: Stored) -> list[ShownNotice]:
    """The newest notices; most monitors have none, and cost no question."""
    if not stored.notices:
        return []
    found = await at_store(services.monitors.outbox.of, stored.row.id)
    return [
        ShownNotice(
            id=each.notice.id, event=each.notice.event, at=each.notice.at, channels=each.told
        )
        for each in found[: -SHOWN - 1 : -1]
        if each.notice  # and not of a later release
    ]
