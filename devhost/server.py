"""The HTTP side: the app's routes and the Durable HTTP API on one loopback port."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import azure.functions as func
from aiohttp import web
from azure.durable_functions.models.utils import http_utils
from multidict import MultiMapping

from devhost import timers
from devhost.app import App, FunctionInfo
from devhost.clock import Clock, SystemClock
from devhost.engine import Engine, Point
from devhost.management import ManagementApi, error_response
from devhost.routing import Router, route_of
from devhost.store import Store

log = logging.getLogger("devhost.server")

_BODY_LIMIT = 100 * 1024 * 1024  # that of the Functions host
_STATUSES = range(200, 1000)
_ADDRESS = "127.0.0.1"
_LAST_ANSWERS_SECONDS = 1.0


class Server:
    """A host: one app, one task hub, one port."""

    def __init__(
        self,
        app: App,
        state: Path | str,
        clock: Clock | None = None,
        on_point: Callable[[Point, str], None] | None = None,
    ) -> None:
        """Open the state file; `:memory:` keeps nothing. For `on_point` see `Engine`.

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
            default_version=app.default_version,
            on_crash=self._crashed,
            on_point=on_point,
        )
        self._api = ManagementApi(self.engine, app.hub)
        routes = (route_of(app.route_prefix, f) for f in app.of_kind("httpTrigger"))
        self._router = Router(routes)
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
        site_app.add_routes([web.route("*", "/{path:.*}", self._serve)])
        self._runner = web.AppRunner(
            site_app, access_log=None, shutdown_timeout=_LAST_ANSWERS_SECONDS
        )
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
        """Give running activities `grace` seconds, stop listening, close the state file.

        Returns:
            Whether all code ended; if not, the file stays open for its threads.
        """
        for task in self._timers:
            task.cancel()
        # It listens to the last, for the durable clients of activities that are at work.
        ended = await asyncio.to_thread(self.engine.stop, grace)
        if self._runner:
            await self._runner.cleanup()
        # The SDK's client keeps a session for the process, and has no public way to close it.
        await http_utils._close_session()  # noqa: SLF001
        ended = ended and self._app.idle
        if self._failure and self._failure.done():
            self._failure.exception()  # asyncio complains of one that nobody looked at
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

    # -- HTTP -----------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request: the Durable HTTP API, a function, or 404 with an empty body."""
        try:
            if self._api.serves(request.path):
                return await self._api.handle(request)
            # Path values are decoded but for %2F, as in ASP.NET.
            path = request.rel_url.path_safe.replace("%25", "%")
            found = self._router.find(request.method, path)
            if found is None:
                return web.Response(status=404)
            return await self._call(request, *found)
        except web.HTTPRequestEntityTooLarge:
            answer = error_response(413, f"The body is larger than {_BODY_LIMIT} bytes.")
        except (web.RequestPayloadError, ConnectionError):
            answer = error_response(400, "The body can't be read to its end.")
        # What is left of the body must not pass for the next request.
        answer.force_close()
        return answer

    async def _call(
        self, request: web.Request, function: FunctionInfo, route_values: dict[str, str]
    ) -> web.Response:
        asked = func.HttpRequest(
            request.method,
            str(request.url),
            headers=_joined(request.headers),
            params=_joined(request.query),
            route_params=route_values,
            body=await request.read(),
        )
        try:
            return _response(await self._app.invoke(function, asked))
        except Exception:
            log.exception("Function %s failed", function.name)
            return web.Response(status=500)


def _joined(values: MultiMapping[str]) -> dict[str, str]:
    """Repeated names as the Functions host gives them to Python: one value with commas."""
    return {name: ",".join(values.getall(name)) for name in values}


def _response(answer: object) -> web.Response:
    if answer is None:
        return web.Response(status=204)
    if isinstance(answer, str):
        return web.Response(text=answer)
    if not isinstance(answer, func.HttpResponse):
        raise TypeError(f"it returned {type(answer).__name__}, neither HttpResponse nor str")
    if answer.status_code not in _STATUSES:
        raise ValueError(f"{answer.status_code} is no status of an HTTP answer")
    response = web.Response(status=answer.status_code, body=answer.get_body())
    for name, value in answer.headers.items():
        response.headers.add(name, value)
    if "Content-Type" not in answer.headers:
        charset = f"; charset={answer.charset}" if answer.mimetype.startswith("text/") else ""
        response.headers["Content-Type"] = answer.mimetype + charset
    return response
