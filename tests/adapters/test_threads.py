"""Calls in threads: of two kinds, neither of which waits for the other."""

import asyncio
import contextvars
import threading

import pytest

from adapters import threads
from adapters.threads import at_source, at_store, long_at_store
from domain.errors import StoreUnavailable


async def test_calls_to_sources_hold_up_no_call_to_the_store() -> None:
    go_on, waiting = threading.Event(), threading.Semaphore(0)

    def slow() -> bool:
        waiting.release()
        return go_on.wait(60)

    asked = [asyncio.create_task(at_source(slow)) for _ in range(40)]
    for _ in range(16):
        assert await asyncio.to_thread(waiting.acquire, timeout=60)
    assert await at_store(lambda: "quick") == "quick"
    assert not any(each.done() for each in asked)
    go_on.set()
    assert all(await asyncio.gather(*asked))


async def test_a_call_to_the_store_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_STORE_SECONDS", 0.05)
    go_on = threading.Event()
    with pytest.raises(StoreUnavailable, match="did not answer within"):
        await at_store(go_on.wait, 10)
    go_on.set()
    assert await long_at_store(lambda: "done") == "done"


async def test_an_error_and_the_context_go_along() -> None:
    request = contextvars.ContextVar("request", default="none")
    request.set("mine")
    assert await at_store(request.get) == "mine"

    def fails() -> None:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable, match="away"):
        await at_store(fails)
