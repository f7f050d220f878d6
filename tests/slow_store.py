"""Table storage that takes its time: a proxy before a real one on 127.0.0.1.

with SlowStore(connection, seconds=2.0) as store:
    table = MonitorTable.connect(connection=store.connection)
"""

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from demo.serving import Serving

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class SlowStore(Serving["_Server"]):
    """The running proxy.

    Attributes:
        connection: The connection string that leads through it.
        seconds: How long each call takes at the least; may change at any time.
        answer: Given in the place of the store's own answer, if it is set: status, type and body.
        calls: How many calls came.
        most_at_once: How many were under way together, at the most.
    """

    def __init__(self, connection: str, seconds: float = 0.0) -> None:
        endpoint = connection.partition("TableEndpoint=")[2].partition(";")[0]
        self.seconds = seconds
        self.answer: tuple[int, str, bytes] | None = None
        self.calls = self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        super().__init__(_Server(self, urlsplit(endpoint).netloc), look_every=0.01)
        here = f"127.0.0.1:{self._server.server_port}"
        self.connection = connection.replace(
            endpoint, endpoint.replace(urlsplit(endpoint).netloc, here)
        )

    def wait(self) -> None:
        """Let a call take its time."""
        with self._lock:
            self.calls += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(self.seconds)

    def done(self) -> None:
        """A call is over."""
        with self._lock:
            self._at_once -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a client may keep its connections
    request_queue_size = 128

    def __init__(self, store: SlowStore, behind: str) -> None:
        self.store, self.behind = store, behind
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client may hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        store = self.server.store
        store.wait()
        try:
            if store.answer:
                status, kind, content = store.answer
                headers = [("Content-Type", kind)]
            else:
                status, headers, content = self._ask(body)
        finally:
            store.done()
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        behind = http.client.HTTPConnection(self.server.behind, timeout=60)
        try:
            behind.request(self.command, self.path, body, dict(self.headers.items()))
            answer = behind.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            behind.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_MERGE = _forward  # noqa: N815
