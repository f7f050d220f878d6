"""`Watchdog`: a timer that keeps the promise that every accepted start comes to its end.

1. Start `PeriodicCleanup`, and the `SourceSweep` of each source that sweeps, if it is not running:
   an eternal orchestration may die unseen. A sweep that is silent is started anew.
2. Go through the monitors that may be live, and recover each as `domain.monitors.recovery` decides.
3. Compare a slice of the list with the rows.
4. Log the state of all that it saw, as one event: its absence shows that the watchdog does not run.
5. Note the trouble of the watchdog and of the cleanup, which is told if it lasts.
6. Wake the deliveries for which notices wait. One that was woken in vain is started anew.

The work grows with the live monitors, not with the stored results (I4). A run that reaches its
time budget stops, and the next run goes on from there. Two runs at once do no harm: each step may
be done twice.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import islice
from time import monotonic

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.app_state import Place
from adapters.event_log import log_event
from adapters.monitor_table import Claim
from adapters.services import Services, get_services
from adapters.sweeper import has_sweep, net_of
from adapters.threads import at_store, long_at_store
from domain.errors import JobMonitorError
from domain.monitors import transitions
from domain.monitors.census import Census, take_census, watched_by_source
from domain.monitors.instance import Instance
from domain.monitors.monitor import MonitorRow
from domain.monitors.recovery import CLAIM_GRACE, Recovery, decide_recovery, effective_row
from domain.monitors.sweep import is_other, resumed_poll_at
from domain.notices.notice import Notice
from domain.notices.trouble import Part, of_cleanup
from domain.sources.source import Source

bp = df.Blueprint()
log = logging.getLogger(__name__)

_TIME_BUDGET = 120.0  # seconds
_AT_ONCE = 16
"""Monitors that are checked in parallel."""

_FALL_BACKS = 2_000
"""Watches that one run sends back to their own polls. So they do not all poll at once."""

_LIST_SLICE = 100
"""Entries of the list that a run holds against their rows."""


# `run_on_startup` is for the local host and Core Tools, whose start then finds a hub that was lost.
# On Flex Consumption this function has instances of its own, which start for the schedule anyway;
# there it runs twice after a cold start, which does no harm.
@bp.function_name("Watchdog")
@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *", run_on_startup=True)
@bp.durable_client_input(client_name="client")
async def watchdog(
    timer: func.TimerRequest,  # noqa: ARG001 - the trigger passes it
    client: df.DurableOrchestrationClient,
) -> None:
    """Run every five minutes, and when the host starts."""
    services = None
    try:
        services = await at_store(get_services)
        cleanup, since = await hub.ensure_cleanup(client, services)
        await asyncio.gather(*(_keep_sweep(client, services, s) for s in _sweeping(services)))
        unchecked = await watch_over_all(client, services, since)
        missed = f"The watchdog can't check {unchecked} of the monitors" if unchecked else None
        cleanups = of_cleanup(cleanup, services.now())
        await _note_troubles(services, {Part.WATCHDOG: missed, Part.CLEANUP: cleanups})
        await _wake_deliveries(client, services)
    except Exception as error:  # the next run tries again
        what = str(error) if isinstance(error, JobMonitorError) else type(error).__name__
        log_event("watchdogFailed", None, level=logging.ERROR, detail=what)
        if services:
            await _tell_failure(client, services, what)
        if not isinstance(error, JobMonitorError):
            raise


async def _note_troubles(services: Services, details: Mapping[Part, str | None]) -> None:
    """Note how parts of the app do, for any channel that takes notices of trouble."""
    channels = services.sources.channels

    def takers(notice: Notice) -> list[str]:
        return channels.takers(channels.names, notice)

    await at_store(services.troubles.note, details, services.now(), takers)


async def _tell_failure(
    client: df.DurableOrchestrationClient, services: Services, what: str
) -> None:
    """Note that a run failed, and wake the deliveries if store and hub can be reached."""
    with suppress(JobMonitorError):  # the log tells of the failure in any case
        await at_store(services.app_state.note_run, failed_at=services.now(), detail=what)
        await _note_troubles(services, {Part.WATCHDOG: f"The watchdog fails: {what}"})
        await _wake_deliveries(client, services)


def _sweeping(services: Services) -> list[Source]:
    return [source for source in services.sources.by_name.values() if source.sweeps]


async def _keep_sweep(
    client: df.DurableOrchestrationClient, services: Services, source: Source
) -> None:
    """Keep the sweep of a source running; trouble with it must not keep the others."""
    try:
        why = await hub.ensure_sweep(client, services, source)
    except JobMonitorError as error:
        log_event(
            "sweepNotStarted", None, level=logging.WARNING, source=source.name, detail=str(error)
        )
        return
    if why:
        level = logging.WARNING if why == "silent" else logging.INFO
        log_event("sweepStarted", None, level=level, source=source.name, found=why)


async def _wake_deliveries(client: df.DurableOrchestrationClient, services: Services) -> None:
    """Wake the deliveries for which notices wait; those that do not run are started."""
    waiting = await at_store(lambda: [*services.monitors.outbox.channels_with_notices()])
    await asyncio.gather(*(_keep_delivery(client, services, channel) for channel in waiting))


async def _keep_delivery(
    client: df.DurableOrchestrationClient, services: Services, channel: str
) -> None:
    """Keep the delivery of a channel running; trouble with it must not keep the others."""
    is_silent = partial(services.monitors.outbox.is_silent, channel)
    try:
        why = await hub.ensure_delivery(client, services, channel, is_silent)
    except JobMonitorError as error:
        log_event(
            "deliveryNotStarted", None, level=logging.WARNING, channel=channel, detail=str(error)
        )
        return
    if why:
        level = logging.WARNING if why == "silent" else logging.INFO
        log_event("deliveryStarted", None, level=level, channel=channel, found=why)


async def watch_over_all(
    client: df.DurableOrchestrationClient, services: Services, hub_since: datetime | None
) -> int:
    """Look at the monitors that may be live, a batch at a time, from where the last run stopped.

    Then hold a slice of the list against the rows, and log the state of all.

    Args:
        client: The durable client.
        services: The services.
        hub_since: See `effective_row`.

    Returns:
        How many could not be checked.
    """
    seen: list[MonitorRow] = []
    unchecked = 0
    fall_backs = iter(range(_FALL_BACKS))
    deadline = monotonic() + _TIME_BUDGET
    place = await at_store(services.app_state.place)
    after, live = place.live, services.monitors.live(place.live)
    while monotonic() < deadline:
        batch = await at_store(lambda: list(islice(live, _AT_ONCE)))
        looks = (
            _look(client, services, hub_since, *each, seen=seen, fall_backs=fall_backs)
            for each in batch
        )
        unchecked += (await asyncio.gather(*looks)).count(False)
        after = batch[-1][1].key if len(batch) == _AT_ONCE else ""
        if not after:
            break
    reached = place._replace(live=after)
    if reached != place:
        await at_store(services.app_state.remember_place, reached)
    listed = await long_at_store(services.monitors.check_list, place.listed, _LIST_SLICE, seen)
    if listed != place.listed:
        await at_store(services.app_state.remember_place, Place(after, listed))
    whole = not place.live and not after
    ends = await at_store(services.app_state.take_ends)
    census, ended_at = take_census(seen, ends), services.now()
    _log_census(census, whole=whole, unchecked=unchecked)
    watched = watched_by_source(seen, ended_at, complete=whole)
    await at_store(services.app_state.note_watched, watched)
    await at_store(
        services.app_state.note_run,
        ended_at=ended_at,
        complete=whole,
        live=census.live,
        blind=census.blind,
        stale=census.stale,
        unchecked=unchecked,
    )
    return unchecked


def _log_census(census: Census, *, whole: bool, unchecked: int) -> None:
    log_event(
        "watched",
        None,
        complete=whole,
        unchecked=unchecked,
        live=census.live,
        ends=census.ends,
        by_source=census.by_source,
        blind=census.blind,
        stale=census.stale,
        overdue=census.overdue,
        stalled=census.stalled,
        paused=census.paused,
        swept=census.swept,
        unrecognised=census.unrecognised,
        poll_latency_p50=census.poll_latency_p50,
        poll_latency_p95=census.poll_latency_p95,
        end_lag_p50=census.end_lag_p50,
        end_lag_p95=census.end_lag_p95,
    )


async def _look(
    client: df.DurableOrchestrationClient,
    services: Services,
    hub_since: datetime | None,
    monitor_id: str,
    claim: Claim,
    *,
    seen: list[MonitorRow],
    fall_backs: Iterator[int],
) -> bool:
    """Check one monitor; trouble with it must not stop the check of the others.

    Returns:
        Whether it was checked.
    """
    try:
        await watch_over(
            client, services, hub_since, monitor_id, claim, seen=seen, fall_backs=fall_backs
        )
    except Exception as error:  # the next run tries again
        known = isinstance(error, JobMonitorError)
        what = str(error) if known else type(error).__name__
        log_event("notChecked", None, level=logging.WARNING, monitor=monitor_id, detail=what)
        if not known:
            log.warning("%s: can't be checked now", monitor_id, exc_info=True)
        return False
    return True


def _note(row: MonitorRow, todo: Recovery, seen: list[MonitorRow] | None, *, stale: bool) -> None:
    """Note a live monitor for the census. One that is blind is told at every run, as a stale is."""
    if row.blind:
        log_event("blind", row, level=logging.WARNING, detail=row.detail)
    if seen is not None:
        stale = stale or row.stale or todo is Recovery.FLAG_STALE
        seen.append(row.model_copy(update={"stale": stale}))


async def watch_over(
    client: df.DurableOrchestrationClient,
    services: Services,
    hub_since: datetime | None,
    monitor_id: str,
    claim: Claim,
    *,
    seen: list[MonitorRow] | None = None,
    fall_backs: Iterator[int] | None = None,
) -> Recovery:
    """Recover one monitor with an entry in `~live`, if it needs that.

    Args:
        client: The durable client.
        services: The services.
        hub_since: See `effective_row`.
        monitor_id: The monitor.
        claim: Its entry.
        seen: Takes the row of the monitor, if that is live.
        fall_backs: One for each watch that may be sent back to its own polls in this run; None for
            any number.
    """
    # The instance comes first: one that completed has stored its end, so the row then shows it.
    instance = await hub.find(client, monitor_id)
    row = await at_store(services.monitors.get, monitor_id)
    now = services.now()
    if (row is None or row.run < claim.run) and now < claim.since + CLAIM_GRACE:
        return Recovery.NOTHING  # its caller may be about to claim it
    if row is None or row.run != claim.run:
        # The entry is left over: its caller died before the claim, or a later run began.
        if row:
            await at_store(services.monitors.sync_indexes, row)
        await at_store(services.monitors.drop_live, monitor_id, claim.run)
    if row is None:
        return Recovery.NOTHING
    relied_on = not row.swept or has_sweep(services, row.source)
    todo = decide_recovery(row, instance, hub_since, now, has_sweep=relied_on)
    if todo is Recovery.END and instance is None:
        # It may have been started after the look for it, and the hub lost since that was asked.
        instance = await hub.find(client, monitor_id)
        hub_since = await hub.hub_since(client, services)
        todo = decide_recovery(row, instance, hub_since, now, has_sweep=relied_on)
    if todo not in (Recovery.END, Recovery.SYNC_INDEXES):
        # A watch that relies on a silent sweep is looked at by nobody.
        _note(row, todo, seen, stale=not relied_on)
        if row.swept and claim.mark and is_other(claim.mark, row):
            await at_store(services.monitors.remark, row)
    if todo is Recovery.END:
        await hub.store_end(client, services, effective_row(row, instance, hub_since, now))
    elif todo is not Recovery.FALL_BACK or not fall_backs or next(fall_backs, None) is not None:
        await _carry_out(todo, client, services, row, instance)
    return todo


async def _carry_out(
    todo: Recovery,
    client: df.DurableOrchestrationClient,
    services: Services,
    row: MonitorRow,
    instance: Instance | None,
) -> None:
    """Do what helps a monitor, whose watch goes on."""
    now, status = services.now(), instance.runtime_status if instance else None
    match todo:
        case Recovery.SYNC_INDEXES:
            await at_store(services.monitors.sync_indexes, row)
        case Recovery.RESUME:
            poll_at = _poll_at(services, row, now)
            note = partial(transitions.resumed, run=row.run, at=now, poll_at=poll_at)
            await at_store(services.monitors.change, row.id, note)
            await hub.remove_earlier(client, row, services)
            await hub.ensure_watched(client, row, services, poll_at)
            log_event("resumed", row, found=status or "no instance")
        case Recovery.WAKE:
            await hub.resume_suspended(client, row)
            log_event("woken", row, expire_time=row.expire_time)
        case Recovery.FLAG_STALE:
            await _tell_stale(client, services, row, instance)
        case Recovery.FALL_BACK:
            await hub.hint(client, row, services)
            log_event("fellBack", row, next_poll_at=row.next_poll_at)


def _poll_at(services: Services, row: MonitorRow, now: datetime) -> datetime | None:
    """When a watch that is started again polls; None for at once."""
    source = services.sources.known(row.source)
    net = net_of(source) if source else None
    return resumed_poll_at(row, net.safety, now) if net else None


async def _tell_stale(
    client: df.DurableOrchestrationClient,
    services: Services,
    row: MonitorRow,
    instance: Instance | None,
) -> None:
    """Flag a silent watch as stale, and send it a hint unless somebody suspended it."""
    flag = partial(transitions.flagged_stale, run=row.run, at=services.now())
    written = await at_store(services.monitors.change, row.id, flag)
    if written:
        await hub.wake_delivery(client, services, written.told)
    # At every run, so that the log shows the monitors that are stale now.
    log_event(
        "stale",
        row,
        level=logging.WARNING,
        last_poll_at=row.last_poll_at,
        runtime_status=instance.runtime_status if instance else None,
    )
    if instance and not instance.suspended:
        await hub.hint(client, row, services)
