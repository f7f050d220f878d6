"""Calls into the app's code, as the Python worker makes them.

1. A plain function runs on one pool of threads, `PYTHON_THREADPOOL_THREAD_COUNT` of them:
   orchestrators, activities, HTTP and timer functions alike. The thread has the function's name
   meanwhile. An async function runs on the loop.
2. Whatever a function raises becomes a `FunctionFailed`: `SystemExit`, `KeyboardInterrupt` and
   `CancelledError` too. No function takes the host with it.
3. `functionTimeout` ends an invocation. Its thread goes on, as Python can't end a thread.
4. Each invocation has an id. The real worker sends a log line with the id of its invocation, and
   Azure shows no line without one: `mark_lines` marks these.
"""

import asyncio
import inspect
import logging
import os
import threading
import traceback
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, InvalidStateError, ThreadPoolExecutor, wait
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Protocol

from devhost.settings import HostSettings

Code = Mapping[str, Callable[[str], Any]]
"""Functions of the app by lower-case name: JSON text in, JSON text out, async or not."""

log = logging.getLogger("devhost.worker")

_THREADS = "PYTHON_THREADPOOL_THREAD_COUNT"
_HOST_LOGGERS = ("devhost", "aiohttp", "asyncio", "py.warnings")
_of_thread = threading.local()
_of_task: ContextVar[str | None] = ContextVar("invocation_id", default=None)


def printable(text: str) -> str:
    """The text with half characters, which no file and no database takes, written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def describe(error: BaseException) -> str:
    """An exception as `Type: message`, also one that raises when asked for its text."""
    try:
        text = str(error)
    except BaseException as second:  # noqa: BLE001 - `__str__` is the app's code as well
        text = f"<__str__ raised {type(second).__name__}>"
    return printable(f"{type(error).__name__}: {text}")


class FunctionFailed(Exception):
    """A function of the app ended with an exception; the text is `Type: message`."""

    def __init__(self, error: BaseException | str) -> None:
        """Take the text of the exception now, as it may not be had later."""
        super().__init__(error if isinstance(error, str) else describe(error))
        self.trace = "" if isinstance(error, str) else _trace(error)
        """The traceback as text, to be logged."""


def _trace(error: BaseException) -> str:
    try:
        return printable("".join(traceback.format_exception(error)).rstrip())
    except BaseException as second:  # noqa: BLE001 - see `describe`
        return f"<no traceback: {type(second).__name__}>"


class Functions(Protocol):
    """The app as the engine sees it."""

    @property
    def settings(self) -> HostSettings:
        """Those of host.json."""

    @property
    def orchestrators(self) -> Code:
        """The orchestrators."""

    @property
    def activities(self) -> Code:
        """The activities."""

    @property
    def left_out(self) -> Mapping[str, str]:
        """Why a function of the app is not served, by lower-case name."""

    def call(self, name: str, code: Callable[[str], Any], text: str) -> Future[str]:
        """Begin to run one of them; the result's one exception is `FunctionFailed`."""


def unknown(kind: str, name: str, functions: Functions) -> str:
    """Why there is no `activity` or `orchestrator` of that name."""
    if name.lower() in functions.left_out:
        return functions.left_out[name.lower()]
    code = functions.activities if kind == "activity" else functions.orchestrators
    known = ", ".join(f"'{name}'" for name in sorted(code)) or "none"
    return (
        f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. "
        f"Additional info: The following are the known {kind} functions: {known}."
    )


def threads_setting() -> int | None:
    """The size of the pool by the app settings; `None` is Python's own default."""
    text = os.environ.get(_THREADS)
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        log.warning("%s is %r, no number from 1 on: the default is used", _THREADS, text)
        return None
    return int(text)


class Worker:
    """Runs functions of the app."""

    def __init__(self, threads: int | None = None, timeout: timedelta | None = None) -> None:
        """Set up the pool; `timeout` ends an invocation, `None` never does."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        self._timeout = timeout
        self._running: set[Future[Any]] = set()

    def call(
        self, name: str, code: Callable[..., Any], /, *arguments: Any, id_: str = "", **named: Any
    ) -> Future[Any]:
        """Begin an invocation of a function; of an async one, on the loop.

        Returns:
            The result; its one exception is `FunctionFailed`.
        """
        id_ = id_ or str(uuid.uuid4())
        if inspect.iscoroutinefunction(code):
            loop = self.loop
            if loop is None:
                raise RuntimeError("an async function needs the loop of a server")
            work = _on_loop(id_, code, arguments, named)
            running = asyncio.run_coroutine_threadsafe(work, loop)
        else:
            running = self._pool.submit(self._on_thread, name, id_, code, arguments, named)
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        result: Future[Any] = Future()
        running.add_done_callback(lambda done: _hand_on(done, result))
        if self._timeout and self.loop:
            self.loop.call_soon_threadsafe(self._limit, name, id_, running, result)
        return result

    def join(self, seconds: float) -> bool:
        """Wait that long for the functions at work to end, and say whether they did."""
        return not wait(tuple(self._running), timeout=seconds).not_done

    def _on_thread(
        self, name: str, id_: str, code: Callable[..., Any], arguments: Any, named: Any
    ) -> Any:
        thread = threading.current_thread()
        before, thread.name, _of_thread.invocation_id = thread.name, name, id_
        try:
            return code(*arguments, **named)
        finally:
            thread.name, _of_thread.invocation_id = before, None

    def _limit(self, name: str, id_: str, running: Future[Any], result: Future[Any]) -> None:
        if self._timeout is None or self.loop is None or result.done():
            return

        def end() -> None:
            if result.done():
                return
            why = f"Timeout value of {self._timeout} exceeded by function '{name}' (Id: '{id_}')."
            log.error("%s Its thread goes on; the real host ends the worker.", why)
            _settle(result, FunctionFailed(why))
            running.cancel()

        waiting = self.loop.call_later(self._timeout.total_seconds(), end)
        result.add_done_callback(lambda _: _forget(self.loop, waiting))


def _forget(loop: asyncio.AbstractEventLoop | None, waiting: asyncio.TimerHandle) -> None:
    if loop and not loop.is_closed():
        loop.call_soon_threadsafe(waiting.cancel)


def _hand_on(running: Future[Any], result: Future[Any]) -> None:
    try:
        error = running.exception()
    except CancelledError as cancelled:
        error = cancelled
    if error is None:
        _settle(result, None, running.result())
    else:
        _settle(result, error if isinstance(error, FunctionFailed) else FunctionFailed(error))


def _settle(result: Future[Any], error: FunctionFailed | None, value: Any = None) -> None:
    try:
        if error:
            result.set_exception(error)
        else:
            result.set_result(value)
    except InvalidStateError:
        log.debug("An invocation ended after its timeout, or after its caller had left")


async def _on_loop(id_: str, code: Callable[..., Any], arguments: Any, named: Any) -> Any:
    _of_task.set(id_)
    try:
        return await code(*arguments, **named)
    except (KeyboardInterrupt, SystemExit) as error:
        # asyncio lets these two end the loop.
        raise FunctionFailed(error) from None


# -- log lines ------------------------------------------------------------------------------


def thread_local_storage() -> Any:
    """Where a thread of the app's own puts the id of its invocation, as `invocation_id`."""
    return _of_thread


def invocation_id() -> str | None:
    """The id of the invocation that the caller belongs to, if it belongs to one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return getattr(_of_thread, "invocation_id", None)
    return _of_task.get()


def mark_lines(record: logging.LogRecord) -> bool:
    """A filter for a log handler: sets `mark`, text to put before a line that Azure won't show."""
    of_host = record.name.partition(".")[0] in _HOST_LOGGERS
    record.mark = "" if of_host or invocation_id() else "[not in Azure: no invocation id] "
    return True
