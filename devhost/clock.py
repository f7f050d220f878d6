"""Where the host takes its time from."""

import asyncio
import threading
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of time that can also wait."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""

    def wait(self, wake: threading.Event, until: datetime | None) -> None:
        """Return when `wake` is set or the time `until` has come; `None` is for ever."""

    async def sleep(self, until: datetime) -> None:
        """Return when the time `until` has come."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The machine's time."""
        return datetime.now(UTC)

    def wait(self, wake: threading.Event, until: datetime | None) -> None:
        """Sleep until woken or due."""
        # A clock set forward must not leave the host asleep, hence at most a second.
        seconds = 1.0 if until is None else (until - self.now()).total_seconds()
        wake.wait(min(max(seconds, 0.0), 1.0))

    async def sleep(self, until: datetime) -> None:
        """Sleep until due, by the clock as it is now."""
        await asyncio.sleep(max((until - self.now()).total_seconds(), 0.0))
