"""The task hub as the triggers need it, over the SDK's durable client.

The client shows an unknown instance as a falsy status, an error of the hub likewise, and a start
that lost a race as a bare `Exception`. Here an unknown instance is None, and a failed start is
followed by a look at the instance. If the hub does not answer, every function raises
`StoreUnavailable`.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import azure.durable_functions as df
from azure.durable_functions import OrchestrationRuntimeStatus
from pydantic import ValidationError

from adapters.cancelling import cancel_late
from adapters.ends import tell_end
from adapters.services import Services
from adapters.threads import at_source, at_store
from domain import names
from domain.errors import StoreUnavailable
from domain.monitors import transitions
from domain.monitors.cleanup import CleanupProgress, SeenHub, seen_hub
from domain.monitors.instance import ENDED, Instance
from domain.monitors.monitor import MonitorRow
from domain.monitors.recovery import REMOVED, effective_row
from domain.monitors.sweep import SweepTurn
from domain.notices.delivery import DeliveryProgress
from domain.sources.source import Source

log = logging.getLogger(__name__)

_ASKED_AGAIN = 3  # times for a status, while the hub contradicts itself

# A purge that names no status deletes running instances too.
_ENDED = [OrchestrationRuntimeStatus(status) for status in sorted(ENDED)]
_AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
_LOOK_AGAIN, _LONGEST_PAUSE = 0.05, 0.5  # seconds


async def find(
    client: df.DurableOrchestrationClient, instance_id: str, name: str = names.JOB_MONITORING
) -> Instance | None:
    """The instance, or None. One of another orchestrator than `name` watches no monitor."""
    status = await _status(client, instance_id)
    return _instance(status, name) if status else None


def _instance(status: Any, name: str) -> Instance:
    foreign = _is_foreign(status, name)
    run = None if foreign else (_object(status.input_) or {}).get("run")
    return Instance(
        status.runtime_status.value,
        run if isinstance(run, int) else None,
        status.output if isinstance(status.output, str) else None,
        status.last_updated_time and status.last_updated_time.astimezone(UTC),
        foreign,
    )


def _is_foreign(status: Any, name: str) -> bool:
    """Whether an instance is of another orchestrator; the host takes names in any case."""
    return bool(status.name) and status.name.casefold() != name.casefold()


async def current_row(
    client: df.DurableOrchestrationClient, services: Services, row: MonitorRow
) -> MonitorRow:
    """The row as its instance shows it; asks the task hub only about a live one.

    The first caller that sees an end from outside stores that end.
    """
    if row.state.final:
        return row
    instance = await find(client, row.id)
    since = None
    if instance is None and row.last_poll_at:
        since = await hub_since(client, services)
    shown = effective_row(row, instance, since, services.now())
    return await store_end(client, services, shown) if shown.state.final else row


async def store_end(
    client: df.DurableOrchestrationClient, services: Services, end: MonitorRow
) -> MonitorRow:
    """Store an end that the task hub told of; the row as it is then."""
    monitors = services.monitors
    written = await at_store(monitors.change, end.id, lambda row: transitions.terminated(row, end))
    if written:
        await wake_delivery(client, services, written.told)
        await at_store(tell_end, services, written.now)
        if written.before.stop and written.before.stop.cancel_job:
            # Whoever asked for it has an answer that promised it.
            return await at_source(cancel_late, services, written.now)
        return written.now
    return await at_store(monitors.get, end.id) or end


async def hub_since(client: df.DurableOrchestrationClient, services: Services) -> datetime | None:
    """Since when the task hub is this one; None if that is not known, for want of a cleanup.

    What is known is read before the cleanup is looked at, whose count only grows. So a lower count
    is that of a hub put back from a copy, and not of a look that another one has overtaken.
    """
    known = await at_store(services.app_state.hub)
    return await _since(services, known, await _status(client, names.CLEANUP_INSTANCE))


async def _since(services: Services, known: SeenHub | None, status: Any | None) -> datetime | None:
    """The same, by the status of the cleanup."""
    if status is None or _is_foreign(status, names.PERIODIC_CLEANUP):
        return None
    seen = seen_hub(known, _progress(status.input_), services.now())
    if seen != known:
        await at_store(services.app_state.note_hub, seen)
    return seen.since


async def hint(
    client: df.DurableOrchestrationClient,
    row: MonitorRow,
    services: Services,
    *,
    wake: bool = False,
) -> None:
    """Send a hint to a live watch; start the watch again if its instance is gone.

    Args:
        client: The durable client.
        row: The row of the watch.
        services: The services.
        wake: Whether a suspended watch is resumed, since it handles no event before.

    Raises:
        StoreUnavailable: The task hub did not take the hint.
    """
    await ensure_watched(client, row, services)
    try:
        if wake:
            await resume_suspended(client, row)
        await client.raise_event(row.id, names.HINT, {})
    except Exception as error:
        instance = await find(client, row.id)
        if instance and not instance.ended:
            raise StoreUnavailable("the task hub did not take the hint") from error


async def resume_suspended(client: df.DurableOrchestrationClient, row: MonitorRow) -> None:
    """Resume the instance of a watch that is to end, if somebody suspended it."""
    instance = await find(client, row.id)
    if instance and instance.suspended:
        with _errors():
            await client.resume(row.id, "Resumed, for the watch is to end.")


async def ensure_watched(
    client: df.DurableOrchestrationClient,
    row: MonitorRow,
    services: Services,
    poll_at: datetime | None = None,
) -> bool:
    """Start the orchestrator of a live row unless it runs. Two calls, also at once, do no harm.

    An earlier run that has stored its end, which let this one begin, may be about to complete: the
    start waits for that. An earlier caller may have been cut off before it wrote the indexes, so
    every start writes them.

    Args:
        client: The durable client.
        row: The row.
        services: The services.
        poll_at: When a watch that is started polls first; None for at once.

    Returns:
        Whether the orchestrator was started.

    Raises:
        StoreUnavailable: The task hub did not take the start. The row stays, and the next
            caller starts it.
    """
    async for instance in _looks(client, row.id, services):
        if instance and instance.run == row.run:
            if not instance.ended:
                return False
            # The instance may have ended since the row was read. If its end is stored, all is done.
            known = await at_store(services.monitors.get, row.id)
            if known is None or known.run != row.run:
                return False
            if effective_row(known, instance, None, row.started_at).state.final:
                return False
        if instance and not instance.ended:
            if await _is_past(row, services):
                return False
            continue
        watch = row.first_watch(poll_at).to_wire()
        if await _start(client, names.JOB_MONITORING, row.id, watch):
            await at_store(services.monitors.sync_indexes, row)
            return True
        # Something runs under that id by now: this run, or the earlier one after all.
    raise StoreUnavailable("the task hub has not ended the earlier run of this monitor yet")


async def remove_earlier(
    client: df.DurableOrchestrationClient, row: MonitorRow, services: Services
) -> None:
    """Remove the instance of an earlier run: terminate it, wait for its end, purge it.

    Somebody else may remove it at the same time, or have begun a later run, whose instance stays.

    Raises:
        StoreUnavailable: The instance did not end in time. The watchdog goes on from here.
    """
    told = False
    async for instance in _looks(client, row.id, services):
        if instance is None or instance.run == row.run or await _is_past(row, services):
            return
        with suppress(StoreUnavailable):  # somebody else was first; the next look shows it
            if instance.ended:
                await purge(client, row.id)
                return
            if not told:
                with _errors():
                    await client.terminate(row.id, REMOVED)
                told = True
    raise StoreUnavailable("the task hub did not end the stuck instance")


async def _is_past(row: MonitorRow, services: Services) -> bool:
    """Whether the run of a row is over, so that the instance is none of its business."""
    known = await at_store(services.monitors.get, row.id)
    return known is None or known.run > row.run or known.state.final


async def _looks(
    client: df.DurableOrchestrationClient, instance_id: str, services: Services
) -> AsyncIterator[Instance | None]:
    """An instance, again and again, as long as the hub may take for a change."""
    deadline = monotonic() + services.settings.hub_patience.total_seconds()
    pause = _LOOK_AGAIN
    while True:
        yield await find(client, instance_id)
        if monotonic() >= deadline:
            return
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


async def purge(client: df.DurableOrchestrationClient, instance_id: str) -> int:
    """Remove an instance that has ended. Returns the number removed: 0 if there was none.

    Raises:
        StoreUnavailable: The task hub did not do it, as for an instance that runs.
    """
    with _errors():
        return int((await client.purge_instance_history(instance_id)).instances_deleted)


async def purge_ended(client: df.DurableOrchestrationClient, begin: datetime, end: datetime) -> int:
    """Remove the instances created in a span of time that have ended. Returns their number."""
    with _errors():
        done = await client.purge_instance_history_by(begin, end, _ENDED)
    return int(done.instances_deleted)


async def cleanup(client: df.DurableOrchestrationClient) -> tuple[str, CleanupProgress] | None:
    """The runtime status of `PeriodicCleanup`, and its progress; None if it never began."""
    status = await _status(client, names.CLEANUP_INSTANCE)
    if status is None or _is_foreign(status, names.PERIODIC_CLEANUP):
        return None
    return status.runtime_status.value, _progress(status.custom_status)


async def ensure_cleanup(
    client: df.DurableOrchestrationClient, services: Services
) -> tuple[CleanupProgress, datetime | None]:
    """Start `PeriodicCleanup` unless it runs; its count of runs goes on.

    Returns:
        Its progress, as its custom status shows it, and what `hub_since` gives.

    Raises:
        StoreUnavailable: The task hub did not take the start.
    """
    instance_id, name = names.CLEANUP_INSTANCE, names.PERIODIC_CLEANUP
    known = await at_store(services.app_state.hub)
    status = await _status(client, instance_id)
    instance = _instance(status, name) if status else None
    why = await _cause_to_start(client, services, instance, instance_id)
    if status is not None and why is None:
        return _progress(status.custom_status), await _since(services, known, status)
    progress = CleanupProgress()
    if status is not None and not _is_foreign(status, name):
        progress = _progress(status.input_)  # of the one that ended
    if progress.hub is None:
        progress = progress.model_copy(update={"hub": services.now().isoformat()})
    await _start(client, name, instance_id, progress.to_wire())
    log.info("Started %s", name)
    return progress, await hub_since(client, services)


async def ensure_sweep(
    client: df.DurableOrchestrationClient, services: Services, source: Source
) -> str | None:
    """Start the `SourceSweep` of a source unless it runs and is heard of.

    Returns:
        Why it was started: `missing`, or `silent`; None if it runs.

    Raises:
        StoreUnavailable: The task hub did not take the start, or did not end a silent one.
    """
    instance_id = names.sweep_instance(source.name)
    interval = timedelta(seconds=source.poll_interval_seconds)

    def is_silent() -> bool:
        sweep, alive_at = services.app_state.sweep_state(source.name)
        return sweep.is_silent(alive_at, interval, services.now())

    instance = await find(client, instance_id, names.SOURCE_SWEEP)
    why = await _cause_to_start(client, services, instance, instance_id, is_silent)
    if why:
        await at_store(services.app_state.note_sweep, source.name, services.now())
        await _start(client, names.SOURCE_SWEEP, instance_id, SweepTurn().to_wire())
    return why


async def _cause_to_start(
    client: df.DurableOrchestrationClient,
    services: Services,
    instance: Instance | None,
    instance_id: str,
    is_silent: Callable[[], bool] | None = None,
) -> str | None:
    """Why an eternal orchestration is to be started. An instance in its way is removed.

    Args:
        client: The durable client.
        services: The services.
        instance: Its one instance as it is, None if there is none.
        instance_id: The id of that.
        is_silent: Asks the store whether one that runs does nothing any more.

    Returns:
        `missing`, or `silent`; None if it runs.

    Raises:
        StoreUnavailable: The task hub did not end the instance in the way.
    """
    if instance is None or instance.ended:
        return "missing"
    if not instance.foreign and (is_silent is None or not await at_store(is_silent)):
        return None
    await _end_and_purge(client, services, instance_id)
    return "silent"


async def _end_and_purge(
    client: df.DurableOrchestrationClient, services: Services, instance_id: str
) -> None:
    """Terminate an instance, wait for its end, and remove it."""
    with _errors():
        await client.terminate(instance_id, "Removed, for it does not do what its id says.")
    async for instance in _looks(client, instance_id, services):
        if instance is None:
            return
        if instance.ended:
            await purge(client, instance_id)
            return
    raise StoreUnavailable("the task hub did not end an instance in the way")


async def wake_delivery(
    client: df.DurableOrchestrationClient, services: Services, channels: Iterable[str]
) -> None:
    """Tell the `Delivery` of each channel that notices wait; trouble is left to the watchdog."""
    for channel in channels:
        if not services.monitors.outbox.wakes(channel):
            continue
        try:
            await ensure_delivery(client, services, channel)
        except StoreUnavailable as error:
            log.warning("%s: not woken: %s", names.delivery_instance(channel), error)


async def ensure_delivery(
    client: df.DurableOrchestrationClient,
    services: Services,
    channel: str,
    is_silent: Callable[[], bool] | None = None,
) -> str | None:
    """Wake the `Delivery` of a channel; start it unless it runs.

    Args:
        client: The durable client.
        services: The services.
        channel: The channel.
        is_silent: Asks the store whether one that runs was woken in vain; it is started anew.

    Returns:
        Why it was started: `missing`, or `silent`; None if it runs.

    Raises:
        StoreUnavailable: The task hub took neither, or did not end a silent one.
    """
    instance_id = names.delivery_instance(channel)
    instance = await find(client, instance_id, names.DELIVERY)
    why = await _cause_to_start(client, services, instance, instance_id, is_silent)
    if why:
        progress = DeliveryProgress(channel=channel, look_at=_AT_ONCE)
        await _start(client, names.DELIVERY, instance_id, progress.to_wire())
    # One that is just started, too: the notices of the next second wake nobody (`Outbox.wakes`),
    # and one that is woken looks twice.
    with _errors():
        await client.raise_event(instance_id, names.NOTICES, {})
    return why


async def _start(
    client: df.DurableOrchestrationClient, name: str, instance_id: str, input_: dict[str, object]
) -> bool:
    """Start an instance. Returns whether this call started it."""
    try:
        await client.start_new(name, instance_id, input_)
    except Exception as error:
        # Another caller may have been first. Then the instance runs, as asked.
        instance = await find(client, instance_id)
        if instance is None or instance.ended:
            raise StoreUnavailable("the task hub did not take the start") from error
        return False
    return True


@contextmanager
def _errors() -> Iterator[None]:
    """Turn the client's errors, often a bare `Exception`, into `StoreUnavailable`."""
    try:
        yield
    except Exception as error:
        what = f"the task hub did not answer: {type(error).__name__}"
        raise StoreUnavailable(what) from error


async def _status(client: df.DurableOrchestrationClient, instance_id: str) -> Any | None:
    """The status of an instance as the SDK has it, or None if there is no such instance.

    The client answers alike for an unknown instance and for an error of the hub. A query for the
    instance does not: it raises, or shows the instance. It may have been started meanwhile.
    """
    for _ in range(_ASKED_AGAIN):
        with _errors():
            status = await client.get_status(instance_id, show_input=True)
            if status and status.runtime_status is not None:
                return status
            found = await client.get_status_by(instance_id_prefix=instance_id)
        if not any(each.instance_id == instance_id for each in found):
            return None
    raise StoreUnavailable("the task hub did not answer for an instance that it has")


def _progress(value: object) -> CleanupProgress:
    """The progress of a cleanup; one that somebody crafted counts as none."""
    try:
        return CleanupProgress.model_validate(_object(value) or {})
    except ValidationError:
        return CleanupProgress()


def _object(text: object) -> dict[str, Any] | None:
    """The JSON object that an instance's input is, or is the text of."""
    try:
        value = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
