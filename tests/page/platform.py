"""The authentication of the platform, as the app meets it behind Azure's front end.

A small proxy: `/.auth/login/aad` signs Ann in with a cookie. Requests that bring the cookie reach
the app with the header that names her and her roles. A header of that name from outside is taken
away. Source: https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities.
"""

from collections.abc import Iterator
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from demo.serving import Serving
from tests.app.test_access import PRINCIPAL, principal

ANN = "ann@example.com"
_COOKIE = "AppServiceAuthSession"
_OF_A_CONNECTION = ("connection", "content-length", "transfer-encoding", "date", "server")


class Passed(NamedTuple):
    """A request that the app answered."""

    method: str
    path: str
    signed_in: bool
    headers: dict[str, str]
    status: int


class Platform(Serving["_Server"]):
    """The running proxy. `roles` are those of Ann, `passed` has what the app was asked."""

    def __init__(self, app: str) -> None:
        self.app = urlsplit(app)
        self.roles: tuple[str, ...] = ("read",)
        self.passed: list[Passed] = []
        super().__init__(_Server(self), look_every=0.01)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"


class _Server(ThreadingHTTPServer):
    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path != "/.auth/login/aad":
            self._pass_on()
            return
        self.send_response(302)
        self.send_header("Set-Cookie", f"{_COOKIE}=ann; Path=/; HttpOnly")
        self.send_header("Location", parse_qs(url.query)["post_login_redirect_uri"][0])
        self.end_headers()

    def do_POST(self) -> None:
        self._pass_on()

    do_PATCH = do_OPTIONS = do_POST  # noqa: N815

    def _pass_on(self) -> None:
        platform = self.server.platform
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self._own_headers())
        signed_in = _COOKIE in SimpleCookie(self.headers.get("Cookie"))
        if signed_in:
            headers |= principal(*platform.roles, preferred_username=ANN)
        app = HTTPConnection(str(platform.app.hostname), platform.app.port, timeout=30)
        try:
            app.request(self.command, self.path, body, headers)
            answer = app.getresponse()
            told = answer.read()
        finally:
            app.close()
        platform.passed.append(Passed(self.command, self.path, signed_in, headers, answer.status))
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def _own_headers(self) -> Iterator[tuple[str, str]]:
        for name, value in self.headers.items():
            forged = name.lower().startswith(PRINCIPAL.lower())
            if not forged and name.lower() not in _OF_A_CONNECTION:
                yield name, value
