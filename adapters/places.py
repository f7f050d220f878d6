"""A limit of polls at once for each source, so that a slow one leaves room for the others.

The host runs a number of activities at once. Without a limit the polls of one source that hangs
take all of them. A poll that finds no place is not made, and comes again soon. There is no circuit
breaker beside that: the back-off of each watch is one.
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
        self._lock = threading.Lock()

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
            with self._lock:
                self._taken[source.name] -= found

    def _tell(self, source: Source) -> None:
        now = time.monotonic()
        if now - self._told_at.get(source.name, -_TELL_EVERY) >= _TELL_EVERY:
            self._told_at[source.name] = now
            limit = source.max_concurrent_polls
            log_event("crowded", None, level=logging.WARNING, source=source.name, limit=limit)
