"""Azurite with its access log, and nothing on disk: else it writes all that it has every 5 s."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.azurite import Azurite


class CountedAzurite(Azurite):
    """Azurite whose requests can be counted. It forgets all when it stops."""

    def __init__(self, log: Path) -> None:
        super().__init__(None, log)

    def command(self) -> list[str]:
        return [each for each in super().command() if each != "--silent"]

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
