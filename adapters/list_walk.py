"""Reads the pages of a list, within limits whatever the source says."""

from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from time import monotonic
from typing import NamedTuple

from adapters.services import Services
from adapters.threads import in_sweep
from domain.outcome import Outcome
from domain.sources.page import Page
from domain.sources.source import Source

MAX_BYTES = 256 << 20
"""Of all the pages that one activity reads."""

_LAST_PAGE = 15.0
"""Seconds that the last page may take beyond the time for all."""


class Read(NamedTuple):
    """A page, the position that it was asked for by, and when."""

    at: str | None
    asked_at: datetime
    page: Page


class Walk:
    """The pages of one list, in their order.

    Attributes:
        count: How many were asked for.
        whole: Whether all of them were read, and each item of them.
        more: Whether pages are left, for want of time or because of their number.
        failed: Whether the source did not give what it should.
        detail: Why not.
        wait: The seconds that it wants to be left alone.
    """

    def __init__(
        self,
        services: Services,
        source: Source,
        since: datetime,
        at: str | None,
        deadline: float,
    ) -> None:
        self.count = 0
        self.whole = False
        self.more = self.failed = False
        self.detail: str | None = None
        self.wait: float | None = None
        self._services, self._source, self._since = services, source, since
        self._at, self._deadline = at, deadline

    def fail(self, detail: str) -> None:
        """Note that the source did not give what it should."""
        self.failed, self.whole, self.detail = True, False, detail

    async def pages(self) -> AsyncIterator[Read]:
        """The pages, one by one; asked for only when the one before is done with."""
        endpoint = self._source.list
        if endpoint is None:
            raise ValueError(f"{self._source.name} has no list")
        at = self._at if self._at is not None else endpoint.first_position()
        asked: set[str | None] = set()
        size, whole = 0, True
        while True:
            if self.count >= endpoint.max_pages or monotonic() >= self._deadline:
                self.more = True
                return
            asked.add(at)
            asked_at = self._services.now()
            page, length = await self._page(at, asked_at)
            self.count += 1
            size += length
            whole &= page.whole
            yield Read(at, asked_at, page)
            if page.trouble:
                self.fail(page.detail or page.trouble)
                self.wait = page.wait if page.trouble is Outcome.THROTTLED else None
                return
            self.detail = self.detail or page.detail
            if page.next is None:
                self.whole = whole
                return
            if page.next in asked:
                self.fail("the list names a page twice")
                return
            if size > MAX_BYTES:
                self.fail(f"the list is larger than {MAX_BYTES} bytes")
                return
            at = page.next

    async def _page(self, at: str | None, now: datetime) -> tuple[Page, int]:
        until = self._deadline + _LAST_PAGE
        ask = partial(self._services.jobs.page, self._source, self._since, at, now, until)
        return await in_sweep(self._source.name, 1, ask)
