"""The task hub as the triggers need it, over the SDK's durable client.

The client tells an unknown instance by a falsy status, and a start that lost a race by a bare
`Exception`. Here the first is `None`, and the second is looked up. Where the hub does not answer,
every function raises `StoreUnavailable`.
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import azure.durable_functions as df

from adapters.monitor_table import MonitorTable
from domain import names
from domain.errors import StoreUnavailable
from domain.monitors.instance import Instance
from domain.monitors.monitor import MonitorRow
from domain.monitors.recovery import effective_row

log = logging.getLogger(__name__)

_PATIENCE, _LOOK_AGAIN = 5.0, 0.05  # seconds


async def find(client: df.DurableOrchestrationClient, instance_id: str) -> Instance | None:
    """The instance, or None."""
    with _errors():
        status = await client.get_status(instance_id, show_input=True)
    if not status or status.runtime_status is None:
        return None
    output = status.output
    return Instance(
        status.runtime_status.value,
        _run(status.input_),
        output if isinstance(output, str) else None,
    )


async def current_row(
    client: df.DurableOrchestrationClient, row: MonitorRow, now: datetime
) -> MonitorRow:
    """The row as its instance shows it; asks the task hub only about a live one."""
    return row if row.state.final else effective_row(row, await find(client, row.id), now)


async def hint(
    client: df.DurableOrchestrationClient, row: MonitorRow, monitors: MonitorTable
) -> None:
    """Have a live watch poll soon; one whose instance is gone is started again.

    Raises:
        StoreUnavailable: The task hub did not take it.
    """
    await ensure_watched(client, row, monitors)
    try:
        await client.raise_event(row.id, names.HINT, {})
    except Exception as error:
        instance = await find(client, row.id)
        if instance and not instance.ended:
            raise StoreUnavailable("the task hub did not take the hint") from error


async def ensure_watched(
    client: df.DurableOrchestrationClient, row: MonitorRow, monitors: MonitorTable
) -> bool:
    """Start the orchestrator of a live row unless it runs. Safe to call again, and at once twice.

    An earlier caller may have been cut off before the indexes knew of the row. So they are
    brought in line with every start.

    Returns:
        Whether the orchestrator was started.

    Raises:
        StoreUnavailable: The task hub did not take the start. The row stays, and the next
            caller starts it.
    """
    instance = await find(client, row.id)
    patience = _PATIENCE
    while instance and not instance.ended and instance.run != row.run and patience > 0:
        # The run before has stored its end, which let this one begin, and is about to complete.
        await asyncio.sleep(_LOOK_AGAIN)
        patience -= _LOOK_AGAIN
        instance = await find(client, row.id)
    if instance and instance.run == row.run:
        if not instance.ended:
            return False
        # It may have ended since the row was read. If its end is stored, nothing is left to do.
        known = await asyncio.to_thread(monitors.get, row.id)
        if known is None or known.run != row.run:
            return False
        if effective_row(known, instance, row.started_at).state.final:
            return False
    started = await _start(client, names.JOB_MONITORING, row.id, row.first_watch().to_wire())
    if started:
        await asyncio.to_thread(monitors.sync_indexes, row)
    return started


async def remove_earlier(client: df.DurableOrchestrationClient, row: MonitorRow) -> None:
    """Remove the instance of an earlier run: terminate it, wait for its end, purge it.

    Raises:
        StoreUnavailable: It did not end in time. The watchdog goes on from here.
    """
    patience, told = _PATIENCE, False
    while (instance := await find(client, row.id)) and instance.run != row.run:
        if instance.ended:
            with _errors():
                await client.purge_instance_history(row.id)
            return
        if patience <= 0:
            raise StoreUnavailable("the task hub did not end the stuck instance")
        if not told:
            with _errors():
                await client.terminate(row.id, "Removed to free a stuck monitor.")
            told = True
        await asyncio.sleep(_LOOK_AGAIN)
        patience -= _LOOK_AGAIN


async def ensure_cleanup(client: df.DurableOrchestrationClient) -> None:
    """Start `PeriodicCleanup` unless it runs.

    Raises:
        StoreUnavailable: The task hub did not take the start.
    """
    instance = await find(client, names.CLEANUP_INSTANCE)
    if instance is None or instance.ended:
        await _start(client, names.PERIODIC_CLEANUP, names.CLEANUP_INSTANCE, {})
        log.info("Started %s", names.PERIODIC_CLEANUP)


async def _start(
    client: df.DurableOrchestrationClient, name: str, instance_id: str, input_: dict[str, object]
) -> bool:
    """Start an instance; whether it was this call that did."""
    try:
        await client.start_new(name, instance_id, input_)
    except Exception as error:
        # Somebody else may have been first; then it runs, which is all that was asked for.
        instance = await find(client, instance_id)
        if instance is None or instance.ended:
            raise StoreUnavailable("the task hub did not take the start") from error
        return False
    return True


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what the client raises, often a bare `Exception`, into our error."""
    try:
        yield
    except Exception as error:
        what = f"the task hub did not answer: {type(error).__name__}"
        raise StoreUnavailable(what) from error


def _run(input_: object) -> int | None:
    """The run in the input of a `JobMonitoring` instance: JSON text of a `Watch`."""
    try:
        watch = json.loads(input_) if isinstance(input_, str) else input_
    except ValueError:
        return None
    run = watch.get("run") if isinstance(watch, dict) else None
    return run if isinstance(run, int) else None
