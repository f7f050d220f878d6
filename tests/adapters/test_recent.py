"""One result for all who ask within ten seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from adapters.recent import Recent
from domain.errors import StoreUnavailable

BEGIN = datetime(2026, 1, 2, tzinfo=UTC)


class Question:
    """Counts how often it was asked; each answer waits until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.free = asyncio.Event()
        self.fault: Exception | None = None

    async def ask(self) -> int:
        self.asked += 1
        answer = self.asked
        await self.free.wait()
        if self.fault:
            raise self.fault
        return answer


def with_question(play: Callable[[Question], Awaitable[None]]) -> None:
    async def go() -> None:
        await play(Question())

    asyncio.run(go())


def test_who_asks_meanwhile_waits_for_the_same_answer() -> None:
    async def play(question: Question) -> None:
        recent = Recent[int]()
        asked = [asyncio.create_task(recent.get(question.ask, lambda: BEGIN)) for _ in range(5)]
        await asyncio.sleep(0)
        question.free.set()
        assert await asyncio.gather(*asked) == [1] * 5

    with_question(play)


@pytest.mark.parametrize(("seconds", "found"), [(0, 1), (9.999, 1), (10, 2), (-1, 2)])
def test_an_answer_is_kept_for_ten_seconds(seconds: float, found: int) -> None:
    async def play(question: Question) -> None:
        question.free.set()
        recent = Recent[int]()
        assert await recent.get(question.ask, lambda: BEGIN) == 1
        later = BEGIN + timedelta(seconds=seconds)
        assert await recent.get(question.ask, lambda: later) == found

    with_question(play)


def test_the_ten_seconds_begin_when_a_slow_answer_comes() -> None:
    times = [BEGIN]

    async def play(question: Question) -> None:
        recent = Recent[int]()
        asked = asyncio.create_task(recent.get(question.ask, lambda: times[-1]))
        await asyncio.sleep(0)
        times.append(BEGIN + timedelta(minutes=1))
        question.free.set()
        assert await asked == await recent.get(question.ask, lambda: times[-1]) == 1

    with_question(play)


def test_a_failure_is_told_to_all_and_not_kept() -> None:
    async def play(question: Question) -> None:
        question.fault = StoreUnavailable("away")
        recent = Recent[int]()
        asked = [asyncio.create_task(recent.get(question.ask, lambda: BEGIN)) for _ in range(3)]
        await asyncio.sleep(0)
        question.free.set()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert (told, question.asked) == ([question.fault] * 3, 1)
        question.fault = None
        assert await recent.get(question.ask, lambda: BEGIN) == 2

    with_question(play)


def test_a_caller_who_gives_up_takes_the_answer_from_nobody() -> None:
    async def play(question: Question) -> None:
        recent = Recent[int]()
        first, other = (
            asyncio.create_task(recent.get(question.ask, lambda: BEGIN)) for _ in range(2)
        )
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        question.free.set()
        assert (await other, first.cancelled()) == (1, True)

    with_question(play)
