"""A client of the app that behaves as clients should: it asks again until the answer is clear."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Mapping
from random import Random
from typing import Any, NamedTuple

import aiohttp

_CLEAR = frozenset({200, 202, 400, 404, 409, 410, 412, 413, 422})
_PAUSE = 0.2, 1.5  # seconds before it asks again
PATIENCE = 20.0
"""Seconds that it waits for an answer."""


class Answer(NamedTuple):
    """An answer: its HTTP status, 0 if none came; its body, or why none came; the request's time.

    Attributes:
        status: The HTTP status.
        body: The JSON of the body, or the name of the error.
        sent_at: When the request was sent.
    """

    status: int
    body: Any
    sent_at: float


class Client:
    """Asks the app. It gives up at `until`; `answers` counts the answers by their status."""

    def __init__(self, begin: float, until: float, rest: aiohttp.ClientSession) -> None:
        self.begin = begin
        self._until = until
        self._session = rest
        self.answers: Counter[str] = Counter()

    async def at(self, seconds: float) -> None:
        """Wait for a time of the plan."""
        await asyncio.sleep(max(self.begin + seconds - time.time(), 0))

    async def insist(
        self,
        rng: Random,
        method: str,
        url: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        clear: Collection[int] = (),
    ) -> Answer:
        """Ask until there is a clear answer; `clear` adds to the statuses that are."""
        while True:
            answer = await self.ask(method, url, body, headers)
            self.answers[str(answer.status or answer.body)] += 1
            is_clear = answer.status in _CLEAR or answer.status in clear
            if is_clear or time.time() > self._until:
                return answer
            await asyncio.sleep(rng.uniform(*_PAUSE))

    async def ask(
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask once."""
        now = time.time()
        try:
            async with self._session.request(method, url, json=body, headers=headers) as answer:
                return Answer(answer.status, await answer.json(content_type=None), now)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return Answer(0, type(error).__name__, now)

    def gives_up(self) -> bool:
        """Whether it is time to give up."""
        return time.time() > self._until


def new_session() -> aiohttp.ClientSession:
    """A session for a client, with its limits.

    Of many requests at once a kill would cut off nearly all, and again those that come for them.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=16), timeout=aiohttp.ClientTimeout(total=PATIENCE)
    )
