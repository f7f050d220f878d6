"""One HTTP exchange with a source, or with the receiver of a channel: a peer.

1. One deadline covers an exchange: request, redirects, headers and body, however slowly they drip.
   Only the look-up of the host's name is left to the system's own limits.
2. The body is read as a stream up to the peer's limit, counted after decompression.
3. A redirect is followed only for GET, within the origin (scheme, host, port), three times, and
   only with a status that the peer follows.
4. Each thread keeps a connection to each origin: a new one costs a poll more than all the rest. The
   threads share one TLS context for each set of certificates, and nothing else.
5. Only a GET goes over a kept connection. If the source closes one meanwhile, nobody knows whether
   the request arrived. A GET is sent once more, over a new connection. Another request might start
   a second job.
6. A connection that rested for long is not used. A network forgets it without a word: Azure's
   after four minutes.
7. No cookie outlives its exchange.
"""

import http.client
import io
import ssl
import threading
import time
from functools import lru_cache, partial
from pathlib import Path
from socket import socket
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter
from requests.auth import AuthBase

from adapters.environment import KeptEnvironment
from adapters.settings import APP_FOLDER
from domain.sources.answer import Answer, clean
from domain.sources.peer import Peer
from domain.sources.request import Request
from domain.sources.url import is_loopback, url_faults

_MAX_REDIRECTS = 3
_CHUNK = 65_536
_REASON_SHOWN = 100
_KEPT_SECONDS = 100.0
_of_this_thread = threading.local()
_reading_certificates = threading.Lock()


class NoAnswer(Exception):
    """No usable answer came; the text is safe to show."""


def exchange(peer: Peer, asked: Request, deadline: float) -> Answer:
    """Send a request with the peer's credentials and read the answer.

    Args:
        peer: Whose request it is: its credentials go along, its limits hold.
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
    http = peer.http
    certificate, key = _file(http.client_certificate), _file(http.client_key)
    session = _session(asked.method, url)
    session.state.deadline = deadline
    # The environment's proxies and CA bundles are the way out of a corporate network, and
    # count; but no proxy is a way to this machine itself. `_Credentials` keeps .netrc out.
    direct = {"http": "", "https": ""} if is_loopback(urlsplit(url).hostname or "") else None
    try:
        for _ in range(_MAX_REDIRECTS + 1):
            with session.send_once_more(
                asked.method,
                url,
                data=content,
                auth=_Credentials(peer),
                headers=headers,
                proxies=direct,
                verify=_file(http.ca_file),
                cert=(certificate, key) if certificate and key else certificate,
            ) as response:
                target = _redirect(peer, asked.method, url, response)
                if target is None:
                    body = _body(response, peer.http.max_answer_bytes)
                    return Answer(response.status_code, response.headers, body)
                url = target
        return Answer(response.status_code, response.headers, b"")
    except (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        late = time.monotonic() >= deadline or isinstance(error, requests.Timeout)
        limit = f"no complete answer within {peer.http.timeout_seconds:g} s"
        raise NoAnswer(limit if late else _reason(peer, error)) from None
    finally:
        session.used_at = time.monotonic()


def _session(method: str, url: str) -> "_Session":
    """This thread's session with the origin of a URL, as a request may use it."""
    sessions: dict[Any, _Session] = _of_this_thread.__dict__.setdefault("sessions", {})
    session = sessions.setdefault(_origin(url), _Session())
    session.cookies.clear()
    if method != "GET" or time.monotonic() - session.used_at > _KEPT_SECONDS:
        session.close()
    return session


def _file(name: str | None) -> str | None:
    """A file that a peer names, from the app's folder."""
    return str(APP_FOLDER / name) if name else None


def _body(response: requests.Response, limit: int) -> bytes | None:
    body = bytearray()
    for chunk in response.iter_content(min(limit + 1, _CHUNK)):
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _redirect(peer: Peer, method: str, url: str, response: requests.Response) -> str | None:
    """Where a redirect leads, if it may be followed."""
    follows = response.status_code in peer.http.follow_redirects
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


def _reason(peer: Peer, error: BaseException) -> str:
    """Why a connection failed, in the system's words: those of requests quote the whole URL."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    words = error.strerror if isinstance(error, OSError) else None
    return "the connection failed: " + clean(peer, words or type(error).__name__, _REASON_SHOWN)


class _State:
    """An exchange under way, as its connection must know it."""

    deadline = 0.0
    connected = False


class _Session(KeptEnvironment):
    """The connection of a thread with an origin. Closed, it makes a new one for the next request.

    It leaves redirects alone; requests reads the whole body of one even when told not to follow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = _State()
        self.used_at = time.monotonic()
        adapter = _Adapter(self.state)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None

    def send_once_more(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send a request, and send it again if the source had closed the kept connection."""
        for again in (False, True):
            self.state.connected = False
            left = max(self.state.deadline - time.monotonic(), 0.001)
            try:
                return self.request(
                    method, url, **options, timeout=left, allow_redirects=False, stream=True
                )
            except requests.ConnectionError:
                late = time.monotonic() >= self.state.deadline
                if again or late or self.state.connected:
                    raise
        raise AssertionError


class _Credentials(AuthBase):
    """Adds the peer's credentials; being there, it also keeps requests from reading .netrc."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._peer.auth_headers())
        return request


class _Adapter(HTTPAdapter):
    """Reads answers against one deadline; the timeout of requests starts again at every byte."""

    def __init__(self, state: _State) -> None:
        self._state = state
        super().__init__(pool_maxsize=1)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        tls: Any
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https":
            bundle = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
            own = cert if isinstance(cert, tuple) else (cert, None)
            files = [_as_it_is(each) if each else None for each in (bundle, *own)]
            with _reading_certificates:
                tls = {"ssl_context": _tls_context(*files)}
        return host, tls

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Have a TLS proxy held to the same certificates; the peer's own has its context."""
        if conn.proxy:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not issubclass(pool.ConnectionCls, _Connection):
            # The connection knows the state alone: a way from it to its pool would keep the pool
            # from being closed at the end of its thread.
            reader = staticmethod(partial(_DeadlineResponse, self._state))
            members = {"state": self._state, "response_class": reader}
            pool.ConnectionCls = type("_Kept", (_Connection, pool.ConnectionCls), members)
        return pool


class _Connection:
    """Tells that it is new."""

    state: _State

    def connect(self) -> None:
        self.state.connected = True
        super().connect()  # type: ignore[misc]


class _File(NamedTuple):
    """A file of certificates, and when it last changed, in nanoseconds."""

    name: str
    changed_at: int


def _as_it_is(name: str) -> _File:
    """A file as it is now; OSError if it is not there."""
    return _File(name, Path(name).stat().st_mtime_ns)


@lru_cache(32)
def _tls_context(bundle: _File, certificate: _File | None, key: _File | None) -> ssl.SSLContext:
    """The context for these files. To read a bundle takes 30 ms; one that changed is read again."""
    context = urllib3.util.ssl_.create_urllib3_context()
    if Path(bundle.name).is_dir():
        context.load_verify_locations(capath=bundle.name)
    else:
        context.load_verify_locations(bundle.name)
    if certificate:
        context.load_cert_chain(certificate.name, key.name if key else None)
    return context


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, state: _State, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineStream(state.deadline, sock, self.fp.detach()))


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
