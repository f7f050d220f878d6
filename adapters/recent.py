"""A result that costs much, and that many ask for."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")

_KEPT = timedelta(seconds=10)


class Recent(Generic[T]):
    """The newest result of one question, ten seconds old at the most.

    Callers who come while the question is under way wait for its result, instead of asking too. A
    failure is told to all of them, and is not kept.
    """

    def __init__(self) -> None:
        self._known: tuple[datetime, T] | None = None
        self._under_way: asyncio.Task[T] | None = None

    async def get(self, ask: Callable[[], Awaitable[T]], now: Callable[[], datetime]) -> T:
        """The result, asked for with `ask` unless it is known."""
        if self._known and timedelta(0) <= now() - self._known[0] < _KEPT:
            return self._known[1]
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._ask(ask, now))
        # A caller who is cancelled must not take the result from the others.
        return await asyncio.shield(self._under_way)

    async def _ask(self, ask: Callable[[], Awaitable[T]], now: Callable[[], datetime]) -> T:
        try:
            result = await ask()
            self._known = (now(), result)
            return result
        finally:
            self._under_way = None
