"""Threads for the calls that wait, so that an async function does not hold up the others.

1. Calls to sources have threads of their own, and so have calls to the store, and activities that
   are coroutines for the sake of the durable client: none waits for the others.
   `asyncio.to_thread`, whose threads are few, is left to the health check. The sweep of each source
   has threads of its own, too, so that a source that hangs delays no other sweep.
2. A call to the store has a limit. The client itself tries again, for up to half a minute, which is
   longer than a caller of the API waits. A call that is cut off may still be carried out: that is
   as if the app had died in its midst.
3. The events of a thread are held, and logged by the function that waits for it. The Functions host
   keeps a log line only with the id of an invocation. The Python worker knows the id by the task
   that logs, or by a thread that it started itself for a function (`get_current_invocation_id` in
   dispatcher.py of Azure/azure-functions-python-worker). These threads have none.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from adapters.event_log import Held, hold_events, log_held
from domain.errors import StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")

_source_calls = ThreadPoolExecutor(16, "source")
_store_calls = ThreadPoolExecutor(16, "store")
_sweeps: dict[tuple[str, int], ThreadPoolExecutor] = {}
_activities = ThreadPoolExecutor(16, "activity")  # as many as a host runs at once
_STORE_SECONDS = 20.0


async def at_source(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a call that asks a source."""
    return await _in(_source_calls, partial(call, *args, **kwargs))


async def in_sweep(source: str, size: int, call: Callable[[], T]) -> T:
    """The result of a call that a source's sweep makes, which makes up to `size` at once."""
    pool = _sweeps.get((source, size))
    if pool is None:
        pool = _sweeps[source, size] = ThreadPoolExecutor(size, f"sweep-{source}")
    return await _in(pool, call)


async def in_activity(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of the work of an activity."""
    return await _in(_activities, partial(call, *args, **kwargs))


async def at_store(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a call that asks the store; StoreUnavailable if it takes too long."""
    try:
        return await asyncio.wait_for(long_at_store(call, *args, **kwargs), _STORE_SECONDS)
    except TimeoutError:
        what = f"Table storage did not answer within {_STORE_SECONDS:g} s"
        raise StoreUnavailable(what) from None


async def long_at_store(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a call that asks the store many times, for a caller with time of its own."""
    return await _in(_store_calls, partial(call, *args, **kwargs))


async def _in(pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    held: Held = []
    context = contextvars.copy_context()
    context.run(hold_events, held)
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, context.run, call)
    finally:
        log_held(held)
