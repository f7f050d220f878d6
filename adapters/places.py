"""A limit of polls at once for each source, so that a slow one leaves room for the others.

The host runs a number of activities at once. Without a limit the polls of one source that hangs
take all of them. A poll that finds no place is not made, and comes again soon. There is no circuit
breaker beside that: the back-off of each watch is one.

A sweep asks job by job in these places, too. It waits for a place, and leaves one to the polls.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.event_log import log_event
from domain.sources.source import Source

_TELL_EVERY = 60.0  # seconds


class Places:
    """The polls under way in this process; safe to use from several threads."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._told_at: dict[str, float] = {}
        self._lock = threading.Condition()

    @contextmanager
    def take(self, source: Source, *, always: bool) -> Iterator[bool]:
        """A place for the poll in the block; with `always` beyond the limit, too.

        Yields:
            Whether there was one.
        """
        with self._lock:
            found = always or self._taken[source.name] < source.max_concurrent_polls
            self._taken[source.name] += found
        try:
            if not found:
                self._tell(source)
            yield found
        finally:
            self._give_back(source, taken=found)

    @contextmanager
    def wait(self, source: Source, until: float) -> Iterator[bool]:
        """A place for a request of a sweep in the block, once there is one.

        Args:
            source: Whose.
            until: When to give up, on the clock of `time.monotonic`.

        Yields:
            Whether there was one in time.
        """
        limit = places_of_sweep(source)
        with self._lock:
            left = max(until - time.monotonic(), 0.0)
            found = self._lock.wait_for(lambda: self._taken[source.name] < limit, left)
            self._taken[source.name] += found
        try:
            yield found
        finally:
            self._give_back(source, taken=found)

    def _give_back(self, source: Source, *, taken: bool) -> None:
        with self._lock:
            self._taken[source.name] -= taken
            self._lock.notify_all()

    def _tell(self, source: Source) -> None:
        now = time.monotonic()
        if now - self._told_at.get(source.name, -_TELL_EVERY) >= _TELL_EVERY:
            self._told_at[source.name] = now
            limit = source.max_concurrent_polls
            log_event("crowded", None, level=logging.WARNING, source=source.name, limit=limit)


def places_of_sweep(source: Source) -> int:
    """How many jobs a sweep asks for at once: all but one, if there are several."""
    return max(source.max_concurrent_polls - 1, 1)
