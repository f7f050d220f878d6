"""Does what a sweep asks for: writes rows that changed, and wakes watches.

For each job that a sweep saw, `domain.monitors.sweep` says what follows. A watch that nothing
follows for costs nothing. For the others the row is read, and decides again. It is written before
its watch is woken, so that the poll finds the reason. If the app dies in between, the next sweep
finds that this one did not come to its end, and wakes the watch again.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import NamedTuple

import azure.durable_functions as df

from adapters import hub
from adapters.event_log import log_event
from adapters.services import Services
from adapters.threads import at_store
from domain.errors import StoreUnavailable
from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow
from domain.monitors.sweep import (
    Look,
    Mark,
    Net,
    SweepState,
    ToDo,
    safety_seconds,
    to_do,
    woken_and_silent,
)
from domain.outcome import Poll
from domain.sources.page import Sight
from domain.sources.source import Source

log = logging.getLogger(__name__)

MAX_WAKES = 1_000
"""Watches that one sweep wakes at the most: each costs the task hub a turn."""

BUDGET = 25.0
"""Seconds that an activity works, so that it ends within the minute that hides its message."""

_AT_ONCE = 12
_NOW = timedelta(0)


class Seen(NamedTuple):
    """A job that a sweep saw: the monitor that it may have, and its entry in `~live` if known."""

    monitor_id: str
    sight: Sight
    look: Look
    run: int | None = None
    mark: Mark | None = None


class Sweeper:
    """One activity of a sweep, with what it did.

    Attributes:
        deadline: When it is to stop, on the clock of `time.monotonic`.
        changed: The rows that it wrote because the job changed.
        woken: The watches that it woke.
        failed: The jobs for which it could not do what was to be done.
        error: Why not.
        left: Whether there was no time, or no wake left, for some of them.
        woken_all: Whether it was for want of wakes.
    """

    def __init__(
        self,
        client: df.DurableOrchestrationClient,
        services: Services,
        wakes: int = MAX_WAKES,
    ) -> None:
        self.deadline = monotonic() + BUDGET
        self.changed = self.woken = self.failed = 0
        self.error: str | None = None
        self.left = self.woken_all = False
        self._client, self._services = client, services
        self._wakes = wakes
        self._places = asyncio.Semaphore(_AT_ONCE)

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return monotonic() >= self.deadline

    async def take_all(self, seen: Iterable[Seen]) -> list[bool]:
        """Do what each asks for. Returns of each whether nothing is left to do for it."""
        return await asyncio.gather(*(self.take(each) for each in seen))

    async def take(self, seen: Seen) -> bool:
        """Do what one asks for; trouble with it must not keep the others."""
        async with self._places:
            if self.late:
                self.left = True
                return False
            try:
                return await self._take(seen)
            except StoreUnavailable as error:
                self.failed += 1
                self.error = self.error or f"{seen.monitor_id}: {error}"
                return False

    async def _take(self, seen: Seen) -> bool:
        monitors = self._services.monitors
        known = await at_store(monitors.snapshot, seen.monitor_id)
        if known is None or known.row.state.final or seen.run not in (None, known.row.run):
            return True
        row = known.row
        todo = _to_do(row, seen)
        if not _asks(todo):
            if seen.run is not None and seen.mark != Mark.of(row):
                await at_store(monitors.remark, row)
            return _is_done(row, seen)
        if todo.wake:
            if self._wakes <= 0:
                self.left = self.woken_all = True
                return False
            self._wakes -= 1
        take = partial(
            transitions.swept,
            run=row.run,
            sight=seen.sight,
            look=seen.look,
            at=self._services.now(),
        )
        written = await at_store(monitors.change, row.id, take, known)
        if written is None:
            return True
        await hub.wake_delivery(self._client, self._services, written.told)
        if written.now.looked_at != written.before.looked_at:
            self.changed += 1
        if written.now.raw_status != written.before.raw_status:
            before, now = written.before.raw_status, written.now.raw_status
            log_event("changed", written.now, before=before, now=now)
        if todo.wake and written.now.woken_for == todo.wake:
            await hub.hint(self._client, written.now, self._services)
            self.woken += 1
        return _is_done(written.now, seen)


def needs(seen: Seen) -> bool:
    """Whether a job asks for anything, as far as its entry in `~live` tells."""
    if seen.mark is None or seen.run is None:
        return True
    return _asks(to_do(seen.mark, seen.sight, seen.look))


def _asks(todo: ToDo) -> bool:
    return todo != ToDo()


def _is_done(row: MonitorRow, seen: Seen) -> bool:
    """Whether the row has all that a sweep saw, and not a progress that is to be written later.

    A watch whose first poll is on its way is not done with: that poll may have asked before.
    """
    at_once = seen._replace(look=seen.look._replace(progress_every=_NOW))
    return row.outcome is not None and not _to_do(row, at_once).status


def _to_do(row: MonitorRow, seen: Seen) -> ToDo:
    polled = woken_and_silent(row) is None
    return to_do(Mark.of(row), seen.sight, seen.look, polled=polled)


def net_of(source: Source) -> Net | None:
    """What a source says of its sweep to its watches; None if it does not sweep."""
    if not source.sweeps:
        return None
    return Net(
        timedelta(seconds=source.safety_seconds),
        timedelta(seconds=source.poll_interval_seconds),
        listing=source.lists_all,
    )


def with_safety(services: Services, row: MonitorRow, poll: Poll) -> Poll:
    """The poll with the wait of the safety net, if a sweep looks after the watch."""
    source = services.sources.known(row.source)
    net = net_of(source) if source else None
    if net is None or poll.rules is None:
        return poll
    now = services.now()
    state = sweep_of(services, row.source)
    wait = safety_seconds(net, state and state.sweep, row, poll, now)
    rules = poll.rules.model_copy(update={"safety_seconds": wait})
    return poll.model_copy(update={"rules": rules})


def sweep_of(services: Services, source: str) -> SweepState | None:
    """The state of a source's sweep; None if there is none, or the store does not answer."""
    try:
        return services.app_state.sweeps(services.now()).get(source)
    except StoreUnavailable as error:
        log.warning("%s: state of the sweep not read: %s", source, error)
        return None


def has_sweep(services: Services, name: str) -> bool:
    """Whether a source has a sweep that its watches may rely on."""
    source = services.sources.known(name)
    net = net_of(source) if source else None
    state = sweep_of(services, name) if net else None
    return bool(net and state and state.sweep.is_fresh(net.interval, services.now()))
