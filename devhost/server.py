"""The HTTP side: the app's routes and the Durable HTTP API on one loopback port.

There are no keys; `loopback` says which requests are refused instead.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azure.functions as func
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from azure.durable_functions.models.utils import http_utils
from multidict import MultiMapping

from devhost import timers
from devhost.app import App, FunctionInfo
from devhost.clock import Clock, SystemClock
from devhost.engine import Engine, Point
from devhost.loopback import foreign
from devhost.management import ManagementApi, error_response
from devhost.routing import Router, route_of
from devhost.store import Store
from devhost.worker import FunctionFailed

log = logging.getLogger("devhost.server")
http_log = logging.getLogger("devhost.http")

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
        *,
        like_azure: bool = False,
    ) -> None:
        """Open the state file; `:memory:` keeps nothing. For the other options see `Engine`.

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
            like_azure=like_azure,
            on_crash=self._crashed,
            on_point=on_point,
        )
        self._api = ManagementApi(self.engine, app.settings)
        prefix = app.settings.route_prefix
        routes = (route_of(prefix, f) for f in app.functions if f.kind == "httpTrigger")
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
        self._app.worker.loop, self._failure = loop, loop.create_future()
        http_log.addFilter(_no_traceback_of_malformed)
        site_app = web.Application(client_max_size=_BODY_LIMIT)
        # Any path; a dot would leave those with a line feed to aiohttp.
        site_app.add_routes([web.route("*", r"/{path:[\s\S]*}", self._serve)])
        self._runner = web.AppRunner(
            site_app,
            access_log=None,
            logger=http_log,
            shutdown_timeout=_LAST_ANSWERS_SECONDS,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, _ADDRESS, port)
        await site.start()
        origin = f"http://{_ADDRESS}:{self._runner.addresses[0][1]}"
        self._app.client_binding = self._api.client_binding(origin)
        self.engine.start()
        self._timers = [
            asyncio.create_task(timers.run(self._app, function, self._clock, self.store))
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
        # The SDK's client keeps a session for the process, and has no public way to close it;
        # before 1.5 it kept none.
        close_session = getattr(http_utils, "_close_session", None)
        if close_session:
            await close_session()
        ended = await asyncio.to_thread(self._app.worker.join, _LAST_ANSWERS_SECONDS) and ended
        if self._failure and self._failure.done():
            self._failure.exception()  # asyncio complains of one that nobody looked at
        if ended:
            self.store.close()
        return ended

    def _crashed(self, error: BaseException) -> None:
        failure, loop = self._failure, self._app.worker.loop

        def tell() -> None:
            if failure and not failure.done():
                failure.set_exception(error)

        if loop:
            loop.call_soon_threadsafe(tell)

    # -- HTTP -----------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request: the Durable HTTP API, a function, or 404 with an empty body."""
        if refusal := foreign(request):
            log.warning("%s %s is refused: %s", request.method, request.path, refusal)
            return error_response(403, refusal)
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
        if function.not_served:
            log.error("%s It was called.", function.why_not)
            return error_response(501, f"{function.why_not} See devhost/README.md.")
        body = await request.read()
        asked = func.HttpRequest(
            request.method,
            str(request.url),
            headers=_joined(request.headers),
            params={name: value for name, value in _joined(request.query).items() if value},
            route_params=route_values,
            # The Functions host hands on no body that does not say how long it is.
            body=body if "Content-Length" in request.headers else b"",
        )
        try:
            return _response(await asyncio.wrap_future(self._app.invoke(function, asked)))
        except FunctionFailed as failed:
            if self.engine.dead and request.transport:
                request.transport.abort()  # as of a killed host, no answer comes
            log.error("Function %s failed: %s\n%s", function.name, failed, failed.trace)  # noqa: TRY400
            return web.Response(status=500)
        except Exception:
            log.exception("Function %s gave no answer", function.name)
            return web.Response(status=500)


def _no_traceback_of_malformed(record: logging.LogRecord) -> bool:
    """A filter: a request that is no HTTP is the sender's fault, and worth one line at most."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, HttpProcessingError):
        return True
    record.exc_info, record.levelno, record.levelname = None, logging.DEBUG, "DEBUG"
    return http_log.isEnabledFor(logging.DEBUG)


def _joined(values: MultiMapping[str]) -> dict[str, str]:
    """Repeated names as the Functions host gives them to Python: one value with commas."""
    return {name: ",".join(values.getall(name)) for name in values}


def _response(answer: Any) -> web.Response:
    if isinstance(answer, str):
        return web.Response(text=answer)
    if not isinstance(answer, func.HttpResponse):
        raise TypeError(f"it returned {type(answer).__name__}, neither HttpResponse nor str")
    if answer.status_code not in _STATUSES:
        raise ValueError(f"{answer.status_code} is no status of an HTTP answer")
    response = web.Response(status=answer.status_code, body=answer.get_body())
    for name, value in answer.headers.items():
        if name.lower() == "set-cookie":
            response.headers.add(name, value)
        else:
            response.headers[name] = value  # of a name that comes again, the last one
    if "Content-Type" not in answer.headers:
        charset = f"; charset={answer.charset}" if answer.mimetype.startswith("text/") else ""
        response.headers["Content-Type"] = answer.mimetype + charset
    return response
