"""The HTTP side: the app's routes and the Durable HTTP API on one loopback port."""

import asyncio
import logging
import re
from collections.abc import Iterable
from pathlib import Path

import azure.functions as func
from aiohttp import web
from aiohttp.typedefs import Handler
from azure.durable_functions.models.utils import http_utils

from devhost import timers
from devhost.app import App, FunctionInfo
from devhost.clock import Clock, SystemClock
from devhost.engine import Engine
from devhost.management import ManagementApi
from devhost.store import Store

log = logging.getLogger("devhost.server")

_ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_BODY_LIMIT = 100 * 1024 * 1024  # that of the Functions host
_ADDRESS = "127.0.0.1"


class Server:
    """A host: one app, one task hub, one port."""

    def __init__(self, app: App, state: Path | str, clock: Clock | None = None) -> None:
        """Open the state file; `:memory:` keeps nothing.

        Raises:
            StateFileError: The state file can't be used.
            AppError: A timer's schedule can't be read.
        """
        timers.check(app)
        self._app = app
        self._clock = clock or SystemClock()
        self._failure: asyncio.Future[None] | None = None
        self.store = Store(state)
        self.engine = Engine(
            self.store,
            app,
            self._clock,
            activity_threads=app.activity_threads,
            on_crash=self._crashed,
        )
        self._api = ManagementApi(self.engine, app.hub, app.default_version)
        self._runner: web.AppRunner | None = None
        self._timers: list[asyncio.Task[None]] = []

    async def start(self, port: int) -> str:
        """Listen, and begin to work.

        Returns:
            The origin, `http://127.0.0.1:PORT`.

        Raises:
            OSError: The port is taken.
        """
        loop = asyncio.get_running_loop()
        self._app.loop, self._failure = loop, loop.create_future()
        site_app = web.Application(client_max_size=_BODY_LIMIT)
        site_app.add_routes([*self._api.routes(), *self._routes()])
        self._runner = web.AppRunner(site_app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _ADDRESS, port)
        await site.start()
        origin = f"http://{_ADDRESS}:{self._runner.addresses[0][1]}"
        self._app.client_binding = self._api.client_binding(origin)
        self.engine.start()
        self._timers = [
            asyncio.create_task(timers.run(self._app, function, self._clock))
            for function in self._app.of_kind("timerTrigger")
        ]
        return origin

    async def failed(self) -> None:
        """Wait until the engine dies, and raise what it died of."""
        if self._failure is None:
            raise RuntimeError("the server was not started")
        await asyncio.shield(self._failure)

    async def stop(self, grace: float = 5.0) -> bool:
        """Stop listening, give running activities `grace` seconds, close the state file.

        Returns:
            Whether all activities ended; if not, the file stays open for their threads.
        """
        for task in self._timers:
            task.cancel()
        ended = await asyncio.to_thread(self.engine.stop, grace)
        # The SDK's client keeps a session for the process, and has no public way to close it.
        await http_utils._close_session()  # noqa: SLF001
        if self._runner:
            await self._runner.cleanup()
        if ended:
            self.store.close()
        return ended

    def _crashed(self, error: BaseException) -> None:
        failure, loop = self._failure, self._app.loop

        def tell() -> None:
            if failure and not failure.done():
                failure.set_exception(error)

        if loop:
            loop.call_soon_threadsafe(tell)

    # -- HTTP triggers --------------------------------------------------------------------

    def _routes(self) -> Iterable[web.RouteDef]:
        """Routes of the HTTP functions; literal segments win over parameters."""
        found = [
            (path, method, function)
            for function in self._app.of_kind("httpTrigger")
            for path in paths(self._app.route_prefix, function)
            for method in methods(function)
        ]
        found.sort(key=lambda entry: [part.startswith("{") for part in entry[0].split("/")])
        return [web.route(method, path, self._handler(f)) for path, method, f in found]

    def _handler(self, function: FunctionInfo) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            asked = func.HttpRequest(
                request.method,
                str(request.url),
                headers=dict(request.headers),
                params=dict(request.query),
                route_params=dict(request.match_info),
                body=body,
            )
            try:
                answer = await self._app.invoke(function, asked)
            except Exception:
                log.exception("Function %s failed", function.name)
                return web.Response(status=500)
            return _response(answer)

        return handle


def methods(function: FunctionInfo) -> tuple[str, ...]:
    """The verbs that an HTTP function answers to."""
    named = function.trigger.methods or _ALL_METHODS
    return tuple(str(getattr(method, "value", method)).upper() for method in named)


def paths(prefix: str, function: FunctionInfo) -> list[str]:
    """The paths of an HTTP function in aiohttp's form; an optional parameter makes two."""
    route = (function.trigger.route or function.name).strip("/")
    path = "/" + "/".join(part for part in (prefix, route) if part)
    path = re.sub(r"\{\*(\w+)\}", r"{\1:.*}", path)
    path = re.sub(r"\{(\w+):\w+(\?)?\}", r"{\1\2}", path)  # constraints are not checked
    if "?}" not in path:
        return [path]
    return [path.replace("?}", "}"), re.sub(r"/\{\w+\?\}", "", path)]


def _response(answer: object) -> web.Response:
    if answer is None:
        return web.Response(status=204)
    if not isinstance(answer, func.HttpResponse):
        return web.Response(text=str(answer))
    response = web.Response(status=answer.status_code, body=answer.get_body())
    for name, value in answer.headers.items():
        response.headers.add(name, value)
    if "Content-Type" not in answer.headers:
        charset = f"; charset={answer.charset}" if answer.mimetype.startswith("text/") else ""
        response.headers["Content-Type"] = answer.mimetype + charset
    return response
