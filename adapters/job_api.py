"""Asks the job systems over HTTP; what they answer, `domain.source_answer` reads.

1. One deadline covers an exchange: request, redirects, headers and body, however slowly they drip.
   Only the look-up of the host's name is left to the system's own limits.
2. The body is read as a stream up to the source's limit, counted after decompression.
3. A redirect is followed only for GET, within the origin (scheme, host, port), three times.

Every call has a session of its own: threads share nothing, and no cookie outlives a call.
"""

import http.client
import io
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from socket import socket
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from domain.errors import SourceRefused
from domain.outcome import CancelResult, Outcome, Poll
from domain.source import Source
from domain.source_answer import SUCCESS, clean, read_answer, read_json
from domain.source_url import is_loopback, url_faults

_MAX_REDIRECTS = 3
_CHUNK = 65_536
_ANSWER_SHOWN = 500  # characters of a refusal
_REASON_SHOWN = 100
_JOB_ID_LENGTH = 1024


@dataclass(frozen=True)
class Answer:
    """What a source sent; the body is decompressed, and None if it is over the limit."""

    http_status: int
    headers: Mapping[str, str]
    body: bytes | None


class JobApi:
    """The job systems' HTTP APIs; safe to use from several threads."""

    def poll(self, source: Source, job_id: str, now: datetime) -> Poll:
        """One look at a job; HTTP trouble is an outcome. ValueError for an empty id, . or .. ."""
        return self.look(source, job_id, now)[0]

    def look(self, source: Source, job_id: str, now: datetime) -> tuple[Poll, Answer | None]:
        """A poll and the answer that it was read from, None if there was none."""
        url = source.status.url_for(job_id)
        try:
            answer = _exchange(source, source.status.method, url)
        except _NoAnswer as trouble:
            return Poll(outcome=Outcome.UNREACHABLE, detail=str(trouble)), None
        return read_answer(source, answer.http_status, answer.headers, answer.body, now), answer

    def submit(self, source: Source, job: Mapping[str, object]) -> str:
        """Have the source start a job and return its id; raises SourceRefused if it did not.

        Args:
            source: One with a submit table; ValueError if it has none.
            job: The body to send, as JSON.
        """
        if source.submit is None:
            raise ValueError(f"{source.name} has no submit")
        try:
            answer = _exchange(source, source.submit.method, source.submit.url, job)
        except _NoAnswer as trouble:
            # The request may have arrived: who sends it again must know that.
            what = f"{source.name}: {trouble}; the job may have been started"
            raise SourceRefused(what) from None
        if answer.http_status not in SUCCESS:
            raise SourceRefused(f"{source.name}: {_refusal(source, answer)}")
        try:
            return _job_id(source.submit.job_id.search(read_json(source, answer.body)))
        except ValueError as error:
            what = f"{source.name} took the job (HTTP {answer.http_status}) but {error}"
            raise SourceRefused(what) from None

    def cancel(self, source: Source, job_id: str) -> CancelResult:
        """Ask the source to cancel a job; ValueError if it has no cancel table or the id is bad."""
        if source.cancel is None:
            raise ValueError(f"{source.name} has no cancel")
        url = source.cancel.url_for(job_id)
        try:
            answer = _exchange(source, source.cancel.method, url)
        except _NoAnswer as trouble:
            return CancelResult(accepted=False, detail=str(trouble))
        if answer.http_status in SUCCESS:
            return CancelResult(accepted=True)
        return CancelResult(accepted=False, detail=_refusal(source, answer))


class _NoAnswer(Exception):
    """No usable answer came; the text is safe to show."""


def _refusal(source: Source, answer: Answer) -> str:
    body = b"" if answer.body is None else answer.body
    text = clean(source, body.decode("utf-8", "replace"), _ANSWER_SHOWN)
    return f"HTTP {answer.http_status}" + (f": {text}" if text else "")


def _job_id(value: object) -> str:
    job_id = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(job_id, str):
        raise ValueError("its answer holds no job id where the configuration looks for it")  # noqa: TRY004
    bad = any(unicodedata.category(each) in {"Cc", "Cs"} for each in job_id)
    if bad or job_id in {".", ".."} or not 1 <= len(job_id) <= _JOB_ID_LENGTH:
        raise ValueError("the job id in its answer can't be used")
    return job_id


def _exchange(
    source: Source, method: str, url: str, job: Mapping[str, object] | None = None
) -> Answer:
    deadline = time.monotonic() + source.http.timeout_seconds
    try:
        with _Session() as session:
            session.mount("http://", _DeadlineAdapter(deadline))
            session.mount("https://", _DeadlineAdapter(deadline))
            # The environment's proxies and CA bundles are the way out of a corporate network, and
            # count; but no proxy is a way to this machine itself. `_Credentials` keeps .netrc out.
            direct = (
                {"http": "", "https": ""} if is_loopback(urlsplit(url).hostname or "") else None
            )
            for _ in range(_MAX_REDIRECTS + 1):
                with session.request(
                    method,
                    url,
                    json=job,
                    auth=_Credentials(source),
                    headers={"Accept": "application/json", "User-Agent": "job-monitor"},
                    timeout=max(deadline - time.monotonic(), 0.001),
                    proxies=direct,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    target = _redirect(method, url, response)
                    if target is None:
                        body = _body(response, source.http.max_answer_bytes)
                        return Answer(response.status_code, response.headers, body)
                    url = target
            return Answer(response.status_code, response.headers, b"")
    except (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        late = time.monotonic() >= deadline or isinstance(error, requests.Timeout)
        limit = f"no complete answer within {source.http.timeout_seconds:g} s"
        raise _NoAnswer(limit if late else _reason(source, error)) from None


def _body(response: requests.Response, limit: int) -> bytes | None:
    body = bytearray()
    for chunk in response.iter_content(min(limit + 1, _CHUNK)):
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _redirect(method: str, url: str, response: requests.Response) -> str | None:
    """Where a redirect leads, if it may be followed."""
    if method != "GET" or not response.is_redirect:
        return None
    try:
        target = urljoin(url, response.headers["Location"]).partition("#")[0]
    except ValueError:
        return None
    if url_faults(target, allow_http=True) or _origin(target) != _origin(url):
        return None
    return target


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _reason(source: Source, error: BaseException) -> str:
    """Why a connection failed, in the system's words: those of requests quote the whole URL."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    words = error.strerror if isinstance(error, OSError) else None
    return "the connection failed: " + clean(source, words or type(error).__name__, _REASON_SHOWN)


class _Session(requests.Session):
    """Leaves redirects alone; requests reads the whole body of one even when told not to follow."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None


class _Credentials(AuthBase):
    """Adds the source's credentials; being there, it also keeps requests from reading .netrc."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._source.auth_headers())
        return request


class _DeadlineAdapter(HTTPAdapter):
    """Reads answers against one deadline; the timeout of requests starts again at every byte."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        reader = staticmethod(partial(_DeadlineResponse, self._deadline))
        pool.ConnectionCls = type("_Connection", (pool.ConnectionCls,), {"response_class": reader})
        return pool


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, deadline: float, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineStream(deadline, sock, self.fp.detach()))


class _DeadlineStream(io.RawIOBase):
    def __init__(self, deadline: float, sock: socket, stream: io.RawIOBase) -> None:
        self._deadline, self._sock, self._stream = deadline, sock, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()
