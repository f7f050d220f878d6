"""Azurite with its access log, and nothing on disk: else it writes all that it has every 5 s."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from demo.azurite import Azurite


class MemoryAzurite(Azurite):
    """Azurite that forgets all when it stops."""

    def command(self) -> list[str]:
        left_out = {"--silent", "--location", str(self._data)}
        return [*(e for e in super().command() if e not in left_out), "--inMemoryPersistence"]

    @property
    def endpoint(self) -> str:
        """Of its table service."""
        return self._endpoint(2)

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Count the requests by their methods; there once the block is over."""
        begin, counts = self.log.stat().st_size, Counter[str]()
        yield counts
        with self.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(begin)
            counts.update(re.findall(r'"([A-Z]+) /', log.read()))
