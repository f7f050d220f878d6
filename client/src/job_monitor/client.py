"""The sync client."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar, Unpack

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


class Client:
    """The API of a Job Monitor.

    Use it in `with`, or `close` it. It may be used by several threads.

    Every method raises `ApiError` if the API refuses the request, `NoAnswer` if no answer comes,
    and `SignInFailed` if Entra ID gives no token.

    Args:
        url: The URL of the server. Default: JOBMON_URL, else http://127.0.0.1:7071.
        key: A function key. Default: JOBMON_KEY.
        scope: The scope of Entra ID, as in `api://CLIENT_ID/.default`. Default: JOBMON_SCOPE.
        credential: A credential of azure-identity. Default: its DefaultAzureCredential.
        patience: Seconds for which a call is repeated, if that is safe.
        timeout: Seconds that one request may take.

    Raises:
        NotConfigured: One of these can't be used.
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
        self._http = httpx.Client(**self._connection.options)

    @property
    def url(self) -> str:
        """The URL of the server."""
        return self._connection.url

    def start(self, *, idempotency_key: str | None = None, **wanted: Unpack[Start]) -> Started:
        """Start a watch, and with `job` the job: `start(source="demo", job={...})`.

        A repeat starts no second job: each call has an Idempotency-Key. Give one of your own to
        repeat a start over the life of this program.
        """
        return self.start_as(wanted, idempotency_key)

    def start_as(self, wanted: Mapping[str, Any], idempotency_key: str | None = None) -> Started:
        """The same with the body as a mapping, also with fields that this client does not know."""
        return self._call(calls.start(wanted, idempotency_key or calls.new_key()))

    def start_many(self, starts: Iterable[Mapping[str, Any]]) -> Iterator[Started | ApiError]:
        """Start many watches: a result for each, in order; one that fails stops no other.

        Each is the body of a start. Its `idempotency_key` repeats it over the life of this program.
        """
        for some in batches(starts):
            yield from self._run(start_many(some, self._patience))

    def get(self, monitor_id: str, *, log_after: int | None = None) -> Shown:
        """A monitor, with its newest log lines, or with those after a number."""
        return self._call(calls.get(monitor_id, log_after))

    def find(self, job_id: str, source: str | None = None) -> Monitor | None:
        """The monitor of a job, in the source or in any; None if there is none."""
        page = self._call(calls.page({"jobId": job_id, "source": source}))
        return next(iter(page.monitors), None)

    def monitors(
        self,
        *,
        state: str | None = None,
        source: str | None = None,
        job_id: str | None = None,
        label: str | None = None,
        top: int | None = None,
    ) -> Iterator[Monitor]:
        """The monitors, newest first, page after page.

        Args:
            state: Only those in this state.
            source: Only those of this source.
            job_id: Only those of this job.
            label: Only those with this label, as `name:value`.
            top: The size of a page.
        """
        filters = {"state": state, "source": source, "jobId": job_id, "label": label, "top": top}
        token = None
        while True:
            page = self._call(calls.page(filters, token))
            yield from page.monitors
            token = page.next
            if token is None:
                return

    def follow(self, monitor_id: str) -> Iterator[Monitor]:
        """The monitor now, and again whenever something of it changes, until it ends.

        Looks come when the server is about to look at the job, a minute apart at the most. The
        server may be away for an hour in between. Leaving the loop ends no watch.
        """
        seen: Look | None = None
        while seen is None or not seen.monitor.ended:
            seen = self._run(next_look(monitor_id, seen))
            yield seen.monitor

    def wait(self, monitor_id: str) -> Monitor:
        """The monitor when it has ended. Every watch ends by its expire time."""
        *_, last = self.follow(monitor_id)
        return last

    def change(self, monitor_id: str, **settings: Unpack[Change]) -> Monitor:
        """Change settings of a live watch."""
        return self._call(calls.change(monitor_id, settings))

    def hint(self, monitor_id: str) -> Monitor:
        """Have the watch poll now."""
        return self._call(calls.hint(monitor_id))

    def stop(
        self, monitor_id: str, *, cancel_job: bool = False, reason: str | None = None
    ) -> Monitor:
        """End the watch, and with `cancel_job` the job as well. The end comes with a poll."""
        return self._call(calls.stop(monitor_id, reason, cancel_job=cancel_job))

    def restart(self, monitor_id: str) -> Monitor:
        """Free a stuck monitor. This alone is not repeated if no answer comes."""
        return self._call(calls.restart(monitor_id))

    def sources(self) -> Sources:
        """The configured sources."""
        return self._call(calls.sources())

    def check(self, source: str, job_id: str) -> Check:
        """Poll a job once; that starts and stores nothing."""
        return self._call(calls.check(source, job_id))

    def pause_source(self, source: str) -> Source:
        """Hold all polls of a source."""
        return self._call(calls.hold(source, paused=True))

    def resume_source(self, source: str) -> Source:
        """Let the polls of a source go on."""
        return self._call(calls.hold(source, paused=False))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, call: Call[T]) -> T:
        return self._run(perform(call, self._patience))

    def _run(self, steps: Steps[T]) -> T:
        came: Answer | Failed | None = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as end:
                result: T = end.value
                return result
            match step:
                case Send(call):
                    came = self._send(call)
                case Pause(seconds):
                    time.sleep(seconds)
                    came = None

    def _send(self, call: Call[Any]) -> Answer | Failed:
        began = time.monotonic()
        try:
            response = self._http.request(**self._connection.arguments(call))
        except httpx.HTTPError as error:
            return self._connection.failed(error, began)
        return self._connection.answer(response, began)
