"""`Watchdog`: a timer that keeps the promise that every accepted start comes to its end.

1. Start `PeriodicCleanup` if it is not running: an eternal orchestration may die unseen.
2. Go through the monitors that may be live, and do what `domain.watch_over` says about each.

The work grows with the live monitors, not with the stored results. What does not fit into the
time budget is left to the next run, which goes on from there. Two of it at once do no harm: all
that it does may be done twice.
"""

import asyncio
import logging
from datetime import datetime
from itertools import islice
from time import monotonic

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.event_log import tell
from adapters.services import Services, services
from domain.errors import JobMonitorError
from domain.watch_over import START_GRACE, Measure, measure

bp = df.Blueprint()
log = logging.getLogger(__name__)

_TIME_BUDGET = 120.0  # seconds
_AT_ONCE = 16
"""Monitors that are looked at side by side."""


# It may run at each start of the host, on every machine: a hub that was lost is found at once.
@bp.function_name("Watchdog")
@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *", run_on_startup=True)
@bp.durable_client_input(client_name="client")
async def watchdog(
    timer: func.TimerRequest,  # noqa: ARG001 - the trigger passes it
    client: df.DurableOrchestrationClient,
) -> None:
    """Run every five minutes, and when the host starts."""
    try:
        tools = await asyncio.to_thread(services)
        await hub.ensure_cleanup(client)
        await watch_over_all(client, tools)
    except JobMonitorError as error:
        log.warning("The watchdog could not do its work, and tries again: %s", error)


async def watch_over_all(client: df.DurableOrchestrationClient, tools: Services) -> None:
    """Look at the monitors that may be live, a batch at a time, from where the last run stopped."""
    deadline = monotonic() + _TIME_BUDGET
    after = await asyncio.to_thread(tools.monitors.recall_watchdog)
    while monotonic() < deadline:
        batch = await asyncio.to_thread(_batch, tools, after)
        await asyncio.gather(*(watch_over(client, tools, *each) for each in batch))
        after = batch[-1][0] if len(batch) == _AT_ONCE else ""
        if not after:
            break
    await asyncio.to_thread(tools.monitors.remember_watchdog, after)


def _batch(tools: Services, after: str) -> list[tuple[str, datetime]]:
    return list(islice(tools.monitors.live(after), _AT_ONCE))


async def watch_over(
    client: df.DurableOrchestrationClient, tools: Services, monitor_id: str, since: datetime
) -> Measure:
    """Do what is to be done about one monitor that is said to be live since then."""
    row = await asyncio.to_thread(tools.monitors.get, monitor_id)
    now = tools.now()
    if row is None:
        if now >= since + START_GRACE:  # the caller died before its claim
            await asyncio.to_thread(tools.monitors.drop_live, monitor_id)
        return Measure.NOTHING
    instance = None if row.state.final else await hub.find(client, monitor_id)
    status = instance.runtime_status if instance else None
    todo = measure(row, status, instance.run if instance else None, now)
    match todo:
        case Measure.SETTLE:
            await asyncio.to_thread(tools.monitors.settle, row)
        case Measure.END:
            ended = hub.truth(row, instance, now)
            await asyncio.to_thread(tools.monitors.finish, ended)
            tell("ended", ended, state=ended.state, reason=ended.reason)
        case Measure.RESUME:
            await asyncio.to_thread(tools.monitors.note_resumed, row, now)
            await hub.ensure_watched(client, row)
            tell("resumed", row, found=status or "no instance")
        case Measure.FLAG_STALE:
            await asyncio.to_thread(tools.monitors.flag_stale, row)
            tell("stale", row, last_poll_at=row.last_poll_at, runtime_status=status)
    return todo
