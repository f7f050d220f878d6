"""A job system that misbehaves on order: a real HTTP server on 127.0.0.1.

    with FaultySource() as source:
        source.jobs["a"] = {"id": "a", "status": "processing"}     # answered as it stands
        source.behave("b", "500", "429-seconds", {"status": "completed"})  # in turn; the last stays

- `GET /jobs/{id}` takes the next step ordered for the id. Without an order, an id that is the
  name of a behaviour, or begins with one and a dash ("drip-7"), gets that behaviour. Any other
  gets its entry in `jobs`, or 404.
- `POST /jobs` takes the steps ordered for "submit", else adds a queued job and answers 201.
- `POST /jobs/{id}/cancel` takes the steps ordered for "cancel", else sets the job to cancelled.
- PUT, PATCH and DELETE are as POST.

`requests` records what came in, with the target exactly as it was on the wire.
"""

import contextlib
import json
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from demo.serving import Serving

HUGE = 50 * 1024 * 1024
RETRY_DATE = "Fri, 02 Jan 2026 00:02:00 GMT"
_STEP_SECONDS = 0.02
SLOW_SECONDS = 5
"""Slow answers give up then, so that a client without a deadline fails, and does not hang."""


@dataclass(frozen=True)
class Recorded:
    """A request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer given as it is; `Content-Length` is added unless it is set here."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


Answer = str | Reply | dict[str, object]
Step = Answer | Callable[[], Answer]
"""A callable decides, or waits, while the request is in flight."""


class FaultySource(Serving["_Server"]):
    """The running server; `elsewhere` is where the behaviour "redirect-other" points.

    With a server's TLS context it speaks https. With `keep_alive` a connection lasts until the
    client closes it, or `hang_up` all; `connections` counts them.
    """

    def __init__(
        self,
        elsewhere: str = "http://127.0.0.1:9",
        tls: ssl.SSLContext | None = None,
        *,
        keep_alive: bool = False,
    ) -> None:
        self.jobs: dict[str, dict[str, object]] = {}
        self.requests: list[Recorded] = []
        self.elsewhere = elsewhere
        self.bytes_sent = 0
        self.keep_alive = keep_alive
        self.connections = 0
        self.closing = threading.Event()
        self._orders: dict[str, list[Step]] = {}
        self._lock = threading.Lock()
        self._scheme = "https" if tls else "http"
        server = _Server(self)
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        super().__init__(server, look_every=0.01)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def behave(self, key: str, *steps: Step) -> None:
        """Order steps for a job id, "submit" or "cancel": behaviours, replies or JSON bodies."""
        with self._lock:
            self._orders[key] = list(steps)

    def forget(self) -> None:
        """Drop jobs, orders and recorded requests."""
        with self._lock:
            self.jobs.clear()
            self.requests.clear()
            self._orders.clear()

    def hang_up(self) -> None:
        """Close the connections that are open."""
        for each in list(self._server.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def next_step(self, key: str) -> Step | None:
        with self._lock:
            steps = self._orders.get(key)
            if not steps:
                return None
            return steps.pop(0) if len(steps) > 1 else steps[0]

    def _let_go(self) -> None:
        self.closing.set()
        if self.keep_alive:
            self.hang_up()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128  # of five, a burst of connections would lose some for a second

    def __init__(self, source: FaultySource) -> None:
        self.source = source
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.source.connections += 1
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = SLOW_SECONDS

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        job_id = self._received()
        step = self.server.source.next_step(job_id) or _behaviour_in(job_id)
        if step is None:
            job = self.server.source.jobs.get(job_id)
            step = Reply(404) if job is None else job
        self._take(step)

    def do_POST(self) -> None:
        job_id = self._received()
        source = self.server.source
        key = "cancel" if self.path.endswith("/cancel") else "submit"
        step = source.next_step(key)
        if step is None and key == "submit":
            job_id = f"job-{len(source.jobs) + 1}"
            source.jobs[job_id] = {"id": job_id, "status": "queued", "progress": 0, "message": ""}
            step = Reply(201, json.dumps(source.jobs[job_id]).encode())
        elif step is None and job_id in source.jobs:
            source.jobs[job_id]["status"] = "cancelled"
            step = source.jobs[job_id]
        self._take(step or Reply(404))

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815

    def _received(self) -> str:
        """Record the request; the job id in its path."""
        self.close_connection = not self.server.source.keep_alive
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # The path attribute has lost a second leading slash.
        target = self.requestline.split(" ")[1]
        self.server.source.requests.append(
            Recorded(self.command, target, dict(self.headers.items()), body)
        )
        segments = self.path.partition("?")[0].split("/")
        return unquote(segments[2]) if len(segments) > 2 else ""

    def _take(self, step: Step) -> None:
        if callable(step):
            step = step()
        if isinstance(step, str):
            BEHAVIOURS[step](self)
        elif isinstance(step, Reply):
            self.reply(step.status, step.body, *step.headers)
        else:
            self.reply(200, json.dumps(step).encode())

    def reply(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        names = {name.lower() for name, _ in headers}
        if not names & {"content-length", "transfer-encoding"}:
            headers = (*headers, ("Content-Length", str(len(body))))
        self.send_response(status)
        last = (("Connection", "close"),) if self.close_connection else ()
        for name, value in (*headers, *last):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, piece: bytes) -> None:
        """Send the piece again and again, well inside any timeout of a single read."""
        for _ in range(int(SLOW_SECONDS / _STEP_SECONDS)):
            if self.server.source.closing.wait(_STEP_SECONDS):
                return
            self.wfile.write(piece)

    def pour(self, pieces: Iterator[bytes]) -> None:
        """Send the pieces and count the bytes that the client let through."""
        for piece in pieces:
            self.wfile.write(piece)
            self.server.source.bytes_sent += len(piece)


def _behaviour_in(job_id: str) -> str | None:
    names = [name for name in BEHAVIOURS if job_id == name or job_id.startswith(f"{name}-")]
    return max(names, key=len, default=None)


def _slow_headers(handler: _Handler) -> None:
    handler.server.source.closing.wait(SLOW_SECONDS)


def _drip_headers(handler: _Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    handler.drip(b"x")


def _drip(handler: _Handler) -> None:
    handler.reply(200, b"", ("Content-Length", str(HUGE)))
    handler.drip(b" ")


def _drip_chunks(handler: _Handler) -> None:
    handler.reply(200, b"", ("Transfer-Encoding", "chunked"))
    handler.drip(b"1\r\n \r\n")


def _cut_off(handler: _Handler) -> None:
    handler.reply(200, b'{"status": "compl', ("Content-Length", "200"))


def _broken_chunks(handler: _Handler) -> None:
    handler.reply(200, b"this is no length\r\n", ("Transfer-Encoding", "chunked"))


def _huge(handler: _Handler) -> None:
    handler.reply(200, b"", ("Content-Length", str(HUGE)))
    handler.pour(b" " * 65_536 for _ in range(HUGE // 65_536))


def _redirect_huge(handler: _Handler) -> None:
    headers = (("Location", f"{handler.path}&moved"), ("Content-Length", str(HUGE)))
    handler.reply(302, b"", *headers)
    handler.pour(b" " * 65_536 for _ in range(HUGE // 65_536))


def _gzip_bomb(handler: _Handler) -> None:
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
    pieces = [squeeze.compress(bytes(1 << 20)) for _ in range(HUGE >> 20)]
    handler.reply(200, b"".join([*pieces, squeeze.flush()]), ("Content-Encoding", "gzip"))


def _reset(handler: _Handler) -> None:
    # Closing with a linger time of zero sends RST instead of FIN.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def _hang_up(handler: _Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def _redirect_same(handler: _Handler) -> None:
    if "moved" in handler.path:
        handler.reply(200, b'{"status": "completed"}')
    else:
        handler.reply(302, b"", ("Location", f"{handler.path}?moved"))


def _redirect_loop(handler: _Handler) -> None:
    handler.reply(302, b"", ("Location", handler.path))


def _redirect_other(handler: _Handler) -> None:
    handler.reply(302, b"", ("Location", f"{handler.server.source.elsewhere}/jobs/a"))


def _echo(handler: _Handler) -> None:
    seen = json.dumps([handler.requestline, *handler.headers.values()])
    handler.reply(200, json.dumps({"status": "processing", "message": seen}).encode())


def _echo_all(status: int) -> Callable[[_Handler], None]:
    """Everything that came in: request line, headers and body."""

    def echo(handler: _Handler) -> None:
        request = handler.server.source.requests[-1]
        seen = [request.target, dict(request.headers), request.body.decode()]
        body = {"status": "processing", "message": json.dumps(seen)}
        handler.reply(status, json.dumps(body).encode())

    return echo


def _fixed(status: int, body: bytes = b"", *headers: tuple[str, str]) -> Callable[[_Handler], None]:
    return lambda handler: handler.reply(status, body, *headers)


BEHAVIOURS: dict[str, Callable[[_Handler], None]] = {
    "ok": _fixed(200, b'{"status": "processing", "progress": 50, "message": "half way"}'),
    "done": _fixed(200, b'{"status": "completed", "progress": 100}'),
    "401": _fixed(401),
    "404": _fixed(404),
    "429-seconds": _fixed(429, b"", ("Retry-After", "7")),
    "429-date": _fixed(429, b"", ("Retry-After", RETRY_DATE)),
    "500": _fixed(500, b"Internal error"),
    "html": _fixed(200, b"<html><body>Sign in</body></html>", ("Content-Type", "text/html")),
    "half-json": _fixed(200, b'{"status": "compl'),
    "empty": _fixed(200),
    "slow-headers": _slow_headers,
    "drip-headers": _drip_headers,
    "drip": _drip,
    "drip-chunks": _drip_chunks,
    "cut-off": _cut_off,
    "broken-chunks": _broken_chunks,
    "huge": _huge,
    "gzip-bomb": _gzip_bomb,
    "not-gzip": _fixed(200, b"plain", ("Content-Encoding", "gzip")),
    "reset": _reset,
    "hang-up": _hang_up,
    "redirect-same": _redirect_same,
    "redirect-loop": _redirect_loop,
    "redirect-other": _redirect_other,
    "redirect-huge": _redirect_huge,
    "echo": _echo,
    "echo-all": _echo_all(200),
    "echo-all-500": _echo_all(500),
}
