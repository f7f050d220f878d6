"""The async client: the methods of the sync one, whose docstrings hold here as well."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self, TypeVar, Unpack

import anyio
import httpx

from job_monitor.connection import REQUEST_TIMEOUT, Connection, Credential
from job_monitor.core import calls
from job_monitor.core.answer import Answer
from job_monitor.core.calls import Call
from job_monitor.core.errors import ApiError
from job_monitor.core.models import Change, Check, Monitor, Shown, Source, Sources, Start, Started
from job_monitor.core.steps import (
    PATIENCE,
    Failed,
    Look,
    Pause,
    Send,
    Steps,
    batches,
    next_look,
    perform,
    start_many,
)

T = TypeVar("T")


class AsyncClient:
    """The API of a Job Monitor, for asyncio and trio.

    Use it in `async with`, or `aclose` it. Arguments and errors are those of `Client`; a
    `credential` may be sync or async.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        scope: str | None = None,
        credential: Credential | None = None,
        patience: float = PATIENCE,
        timeout: float = REQUEST_TIMEOUT,
    ) -> None:
        self._connection = Connection(url, key, scope, credential, timeout)
        self._patience = patience
        self._http = httpx.AsyncClient(**self._connection.options)

    @property
    def url(self) -> str:
        """The URL of the server."""
        return self._connection.url

    async def start(
        self, *, idempotency_key: str | None = None, **wanted: Unpack[Start]
    ) -> Started:
        """Start a watch, and with `job` the job: `start(source="demo", job={...})`."""
        return await self.start_as(wanted, idempotency_key)

    async def start_as(
        self, wanted: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Started:
        """The same with the body as a mapping, also with fields that this client does not know."""
        return await self._call(calls.start(wanted, idempotency_key or calls.new_key()))

    async def start_many(
        self, starts: Iterable[Mapping[str, Any]]
    ) -> AsyncIterator[Started | ApiError]:
        """Start many watches: a result for each, in order; one that fails stops no other."""
        for some in batches(starts):
            for result in await self._run(start_many(some, self._patience)):
                yield result

    async def get(self, monitor_id: str, *, log_after: int | None = None) -> Shown:
        """A monitor, with its newest log lines, or with those after a number."""
        return await self._call(calls.get(monitor_id, log_after))

    async def find(self, job_id: str, source: str | None = None) -> Monitor | None:
        """The monitor of a job, in the source or in any; None if there is none."""
        page = await self._call(calls.page({"jobId": job_id, "source": source}))
        return next(iter(page.monitors), None)

    async def monitors(
        self,
        *,
        state: str | None = None,
        source: str | None = None,
        job_id: str | None = None,
        label: str | None = None,
        top: int | None = None,
    ) -> AsyncIterator[Monitor]:
        """The monitors, newest first, page after page."""
        filters = {"state": state, "source": source, "jobId": job_id, "label": label, "top": top}
        token = None
        while True:
            page = await self._call(calls.page(filters, token))
            for monitor in page.monitors:
                yield monitor
            token = page.next
            if token is None:
                return

    async def follow(self, monitor_id: str) -> AsyncIterator[Monitor]:
        """The monitor now, and again whenever something of it changes, until it ends."""
        seen: Look | None = None
        while seen is None or not seen.monitor.ended:
            seen = await self._run(next_look(monitor_id, seen))
            yield seen.monitor

    async def wait(self, monitor_id: str) -> Monitor:
        """The monitor when it has ended. Every watch ends by its expire time."""
        async for monitor in self.follow(monitor_id):
            last = monitor
        return last

    async def change(self, monitor_id: str, **settings: Unpack[Change]) -> Monitor:
        """Change settings of a live watch."""
        return await self._call(calls.change(monitor_id, settings))

    async def hint(self, monitor_id: str) -> Monitor:
        """Have the watch poll now."""
        return await self._call(calls.hint(monitor_id))

    async def stop(
        self, monitor_id: str, *, cancel_job: bool = False, reason: str | None = None
    ) -> Monitor:
        """End the watch, and with `cancel_job` the job as well. The end comes with a poll."""
        return await self._call(calls.stop(monitor_id, reason, cancel_job=cancel_job))

    async def restart(self, monitor_id: str) -> Monitor:
        """Free a stuck monitor. This alone is not repeated if no answer comes."""
        return await self._call(calls.restart(monitor_id))

    async def sources(self) -> Sources:
        """The configured sources."""
        return await self._call(calls.sources())

    async def check(self, source: str, job_id: str) -> Check:
        """Poll a job once; that starts and stores nothing."""
        return await self._call(calls.check(source, job_id))

    async def pause_source(self, source: str) -> Source:
        """Hold all polls of a source."""
        return await self._call(calls.hold(source, paused=True))

    async def resume_source(self, source: str) -> Source:
        """Let the polls of a source go on."""
        return await self._call(calls.hold(source, paused=False))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _call(self, call: Call[T]) -> T:
        return await self._run(perform(call, self._patience))

    async def _run(self, steps: Steps[T]) -> T:
        came: Answer | Failed | None = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as end:
                result: T = end.value
                return result
            match step:
                case Send(call):
                    came = await self._send(call)
                case Pause(seconds):
                    await anyio.sleep(seconds)
                    came = None

    async def _send(self, call: Call[Any]) -> Answer | Failed:
        began = time.monotonic()
        try:
            response = await self._http.request(**self._connection.arguments(call))
        except httpx.HTTPError as error:
            return self._connection.failed(error, began)
        return self._connection.answer(response, began)
