"""Calls into the app's code: one pool, the timeout, ids of invocations, marked lines."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from devhost.worker import (
    FunctionFailed,
    Worker,
    invocation_id,
    mark_lines,
    thread_local_storage,
    threads_setting,
)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def worker_on(loop: asyncio.AbstractEventLoop, **options: Any) -> Worker:
    worker = Worker(**options)
    worker.loop = loop
    return worker


def test_plain_functions_share_one_pool(loop: asyncio.AbstractEventLoop) -> None:
    """So that slow ones of any kind hold up all others, as on the real worker."""
    gate, ran = threading.Event(), threading.Event()
    worker = worker_on(loop, threads=2)
    slow = [worker.call("slow", gate.wait) for _ in range(2)]
    behind = worker.call("orchestrator", ran.set)
    assert not ran.wait(0.2)
    assert not worker.join(0)
    gate.set()
    behind.result(60)
    assert [done.result(60) for done in slow] == [True, True]
    assert worker.join(60)


def test_async_functions_need_no_thread(loop: asyncio.AbstractEventLoop) -> None:
    gate = threading.Event()
    worker = worker_on(loop, threads=1)
    slow = worker.call("slow", gate.wait)

    async def quick() -> str:
        await asyncio.sleep(0)
        return "done"

    assert worker.call("quick", quick).result(60) == "done"
    gate.set()
    slow.result(60)


@pytest.mark.parametrize(("text", "size"), [("40", 40), ("0", None), ("many", None), (None, None)])
def test_the_size_of_the_pool(
    monkeypatch: pytest.MonkeyPatch, text: str | None, size: int | None
) -> None:
    monkeypatch.delenv("PYTHON_THREADPOOL_THREAD_COUNT", raising=False)
    if text is not None:
        monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", text)
    assert threads_setting() == size


def test_a_timeout_ends_an_invocation(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """Its thread goes on, and what it then returns is nobody's."""
    gate = threading.Event()
    worker = worker_on(loop, threads=1, timeout=timedelta(seconds=0.05))

    async def slow() -> None:
        await asyncio.sleep(60)

    calls = [worker.call("Sync", gate.wait), worker.call("Async", slow)]
    for call, name in zip(calls, ("Sync", "Async"), strict=True):
        with pytest.raises(FunctionFailed, match=f"exceeded by function '{name}'"):
            call.result(60)
    assert not worker.join(0)
    gate.set()
    assert worker.join(60)
    assert "the real host ends the worker" in caplog.text
    assert worker.call("Sync", lambda: "in time").result(60) == "in time"


def marked(name: str = "app") -> bool:
    record = logging.LogRecord(name, logging.INFO, "", 0, "text", (), None)
    mark_lines(record)
    return bool(record.mark)  # type: ignore[attr-defined] # the filter sets it


def test_lines_without_an_invocation_id_are_marked(loop: asyncio.AbstractEventLoop) -> None:
    """A thread of the app's own has none, unless the app hands it on as Microsoft documents it."""
    worker = worker_on(loop, threads=1)

    def in_thread(own_id: str | None) -> bool:
        seen: list[bool] = []

        def log() -> None:
            if own_id:
                thread_local_storage().invocation_id = own_id
            seen.append(marked())

        thread = threading.Thread(target=log)
        thread.start()
        thread.join()
        return seen[0]

    async def in_task() -> list[bool]:
        return [marked(), await asyncio.create_task(_marked()), await asyncio.to_thread(marked)]

    async def _marked() -> bool:
        return marked()

    assert marked()
    assert not marked("devhost.engine")
    assert worker.call("f", marked).result(60) is False
    assert worker.call("f", in_thread, None).result(60) is True
    assert worker.call("f", lambda: in_thread(invocation_id())).result(60) is False
    assert worker.call("f", in_task).result(60) == [False, False, True]
    assert marked()
