"""One HTTP exchange with a source.

1. One deadline covers an exchange: request, redirects, headers and body, however slowly they drip.
   Only the look-up of the host's name is left to the system's own limits.
2. The body is read as a stream up to the source's limit, counted after decompression.
3. A redirect is followed only for GET, within the origin (scheme, host, port), three times, and
   only with a status that the source follows.

Every exchange has a session of its own: threads share nothing, and no cookie outlives it.
"""

import http.client
import io
import time
from functools import partial
from socket import socket
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from adapters.settings import APP_FOLDER
from domain.sources.answer import Answer, clean
from domain.sources.request import Request
from domain.sources.source import Source
from domain.sources.url import is_loopback, url_faults

_MAX_REDIRECTS = 3
_CHUNK = 65_536
_REASON_SHOWN = 100


class NoAnswer(Exception):
    """No usable answer came; the text is safe to show."""


def exchange(source: Source, asked: Request, deadline: float) -> Answer:
    """Send a request with the source's credentials and read the answer.

    Args:
        source: Whose request it is: its credentials go along, its limits hold.
        asked: What to send.
        deadline: When to give up, on the clock of `time.monotonic`.

    Raises:
        NoAnswer: None came whole before the deadline.
    """
    url = asked.url
    headers = requests.structures.CaseInsensitiveDict(
        {"Accept": "application/json", "User-Agent": "job-monitor"}
    )
    headers.update(asked.headers)
    content, kind = asked.content()
    if content is not None:
        headers.setdefault("Content-Type", kind)
    http = source.http
    certificate, key = _file(http.client_certificate), _file(http.client_key)
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
                    asked.method,
                    url,
                    data=content,
                    auth=_Credentials(source),
                    headers=headers,
                    timeout=max(deadline - time.monotonic(), 0.001),
                    proxies=direct,
                    verify=_file(http.ca_file),
                    cert=(certificate, key) if certificate and key else certificate,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    target = _redirect(source, asked.method, url, response)
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
        raise NoAnswer(limit if late else _reason(source, error)) from None


def _file(name: str | None) -> str | None:
    """A file that a source names, from the app's folder."""
    return str(APP_FOLDER / name) if name else None


def _body(response: requests.Response, limit: int) -> bytes | None:
    body = bytearray()
    for chunk in response.iter_content(min(limit + 1, _CHUNK)):
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _redirect(source: Source, method: str, url: str, response: requests.Response) -> str | None:
    """Where a redirect leads, if it may be followed."""
    follows = response.status_code in source.http.follow_redirects
    if method != "GET" or not follows or not response.is_redirect:
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
