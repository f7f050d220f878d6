"""The Durable HTTP API: start, status, list, events, terminate, suspend, resume, restart, purge.

Status codes, headers and bodies are those of the Durable Functions extension 3.x, where a
start of a running instance is 409 and a purge of one is 412. The same routes are served for
people under `/runtime/webhooks/durabletask/` and for the SDK's client under `/durabletask/`.
Deliberate differences are listed in devhost/README.md.
"""

import asyncio
import base64
import json
import logging
import math
import re
import sqlite3
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from aiohttp import web

from devhost import payload
from devhost.engine import AlreadyExists, Engine
from devhost.events import EventType, moment, stamp
from devhost.rendering import status_payload
from devhost.settings import HostSettings
from devhost.store import TERMINAL, Instance

log = logging.getLogger("devhost.management")

WEBHOOK = "/runtime/webhooks/durabletask"
RPC = "/durabletask"
_PAGE = "x-ms-continuation-token"
_LONGEST_WAIT = 86_400
_LONGEST_ID = 512
_STORAGE_FAULT = "An error occurred while communicating with Azure Storage"
_STORAGE_EXCEPTION = "DurableTask.AzureStorage.Storage.DurableTaskStorageException"
_SOMETHING_WRONG = "Something went wrong while processing your request"
_NOT_JSON = "Newtonsoft.Json.JsonReaderException"
_STATUSES = {"Running", "Pending", "ContinuedAsNew", "Suspended", *TERMINAL}
_LINKS = {
    "statusQueryGetUri": "",
    "sendEventPostUri": "/raiseEvent/{eventName}",
    "terminatePostUri": "/terminate?reason={text}",
    "rewindPostUri": "/rewind?reason={text}",
    "purgeHistoryDeleteUri": "",
    "restartPostUri": "/restart",
    "suspendPostUri": "/suspend?reason={text}",
    "resumePostUri": "/resume?reason={text}",
}


class _Refused(Exception):
    """The request is wrong; the answer says how."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.text)
        self.answer = answer


class _Query:
    """Query parameters: names in any case, lenient values, as the extension reads them."""

    def __init__(self, request: web.Request) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in request.query.items():
            self._values.setdefault(name.lower(), []).append(value)

    def text(self, name: str) -> str | None:
        return self._values.get(name.lower(), [None])[0]

    def flag(self, name: str, *, default: bool) -> bool:
        return {"true": True, "false": False}.get((self.text(name) or "").lower(), default)

    def count(self, name: str) -> int | None:
        text = self.text(name) or ""
        if re.fullmatch("-[1-9][0-9]{0,8}", text):
            raise _Refused(_storage_fault())
        # More than nine digits is no 32-bit number, and the extension takes no other.
        return int(text) or None if re.fullmatch("[0-9]{1,9}", text) else None

    def seconds(self, name: str) -> float | None:
        text = self.text(name) or ""
        try:
            value = float(text)
        except ValueError:
            return None
        if math.isnan(value):
            why = "TimeSpan does not accept floating point Not-a-Number values."
            raise _Refused(error_response(400, why))
        if value > _LONGEST_WAIT:
            why = f"{name} must be a number of seconds, {_LONGEST_WAIT} at most."
            raise _Refused(error_response(400, why))
        return value

    def date(self, name: str) -> datetime | None:
        try:
            parsed = moment(self.text(name) or "")
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def statuses(self) -> list[str]:
        named = (v.split(",") for v in self._values.get("runtimestatus", []))
        return [s.strip() for values in named for s in values if s.strip() in _STATUSES]


class ManagementApi:
    """The handlers, over one engine."""

    def __init__(self, engine: Engine, settings: HostSettings) -> None:
        self._engine = engine
        self._store = engine.store
        self._settings = settings
        self._suffix = f"taskHub={quote(settings.hub)}&connection=Storage"

    def serves(self, path: str) -> bool:
        """Whether the path belongs to this API."""
        return _base_of(path) is not None

    def client_binding(self, origin: str) -> str:
        """The JSON text that a durable client parameter is given; `origin` without a slash."""
        create = f"{origin}{WEBHOOK}/orchestrators/{{functionName}}[/{{instanceId}}]?"
        return json.dumps(
            {
                "taskHubName": self._settings.hub,
                "connectionName": None,
                "creationUrls": {
                    "createNewInstancePostUri": create,
                    "createAndWaitOnNewInstancePostUri": create
                    + "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&",
                },
                "managementUrls": self._links(origin, "INSTANCEID"),
                "baseUrl": origin + WEBHOOK,
                "requiredQueryStringParameters": "",
                "rpcBaseUrl": f"{origin}{RPC}/",
                "httpBaseUrl": None,
            }
        )

    def _links(self, origin: str, id_: str) -> dict[str, str]:
        base = f"{origin}{WEBHOOK}/instances/{id_}"
        links = {
            name: base + path + ("&" if "?" in path else "?") + self._suffix
            for name, path in _LINKS.items()
        }
        return {"id": id_} | links

    # -- routing --------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request; a wrong one is 400 with JSON, as the SDK reads every body as JSON."""
        try:
            return await self._dispatch(request)
        except _Refused as refusal:
            return refusal.answer
        except sqlite3.ProgrammingError:
            return _fault(500, "The host stops.")
        except sqlite3.DatabaseError as error:
            # A damaged file stays so: a host that goes on would look healthy.
            self._engine.die(error)
            return _fault(500, f"The state file can't be used: {error}")
        except (web.HTTPException, web.RequestPayloadError, ConnectionError):
            raise
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            return _fault(500, f"{type(error).__name__}: {error}", kind="System.Exception")

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        """Go by verb and path; what is not known is 404 with an empty body."""
        raw = request.rel_url.raw_path
        # ASP.NET decodes once, and the extension once more what is then a form.
        rest = unquote_plus(unquote(raw[len(_base_of(raw) or "") :]))
        if "\0" in rest:
            return web.Response(status=400)
        parts = rest.strip("/").split("/")
        match request.method, [parts[0].lower(), *parts[1:]]:
            case "POST", ["orchestrators", name] if name:
                return await self._start(request, name, uuid.uuid4().hex)
            case "POST", ["orchestrators", name, id_] if name:
                return await self._start(request, name, id_)
            case "GET", ["instances"]:
                return self._list(request)
            case "DELETE", ["instances"]:
                return self._purge_by_filter(request)
            case "GET", ["instances", id_]:
                return self._status(request, id_)
            case "DELETE", ["instances", id_]:
                return self._purge(id_)
            case "POST", ["instances", id_, event, name] if event.lower() == "raiseevent":
                return await self._raise_event(request, id_, name)
            case "POST", ["instances", id_, operation]:
                return await self._operate(request, id_, operation.lower())
            case _, ["entities", *_]:
                why = "devhost does not serve entities; see devhost/README.md"
                log.error("%s %s: %s", request.method, request.path, why)
                return _json(501, why)
            case _:
                return web.Response(status=404)

    async def _operate(self, request: web.Request, id_: str, operation: str) -> web.Response:
        if operation == "restart":
            return await self._restart(request, id_)
        instance = self._store.instance(id_)
        reason = _Query(request).text("reason")
        if operation == "rewind":
            return self._rewind(instance, id_, reason)
        if operation not in ("terminate", "suspend", "resume") or instance is None:
            return web.Response(status=404)
        if instance.ended:
            return web.Response(status=410)
        self._check_text(reason)
        if operation == "terminate":
            self._engine.send(id_, EventType.EXECUTION_TERMINATED, Input=reason)
            return web.Response(status=202)
        if (operation == "suspend") == (instance.status == "Suspended"):
            return _fault(
                500,
                f"Cannot {operation} the orchestration instance {id_} because instance is in "
                f"the {instance.status} state.",
                kind="System.InvalidOperationException",
            )
        suspend = operation == "suspend"
        kind = EventType.EXECUTION_SUSPENDED if suspend else EventType.EXECUTION_RESUMED
        self._engine.send(id_, kind, Reason=reason)
        return web.Response(status=202)

    def _rewind(self, instance: Instance | None, id_: str, reason: str | None) -> web.Response:
        if instance is None:
            return _json(404, f'No orchestration with instance ID "${id_}" found.')
        if instance.status != "Failed":
            return _json(
                412,
                f"This orchestration has status {instance.status}, but only orchestrations in the "
                '"Failed" state can be rewound.',
            )
        self._engine.rewind(instance, reason)
        return web.Response(status=202)

    def _check_text(self, text: str | None) -> None:
        if not self._settings.carries(text):
            log.error("U+FFFE or U+FFFF in a message: no queue can carry the two, see README.md")
            raise _Refused(_storage_fault())

    # -- start and restart ----------------------------------------------------------------

    async def _start(self, request: web.Request, name: str, id_: str) -> web.Response:
        query = _Query(request)
        timeout, interval = query.seconds("timeout"), query.seconds("pollingInterval")
        if timeout is not None and interval is not None and interval > timeout:
            why = f"Total timeout {timeout:g} should be bigger than retry timeout {interval:g}"
            return error_response(400, why)
        if len(id_) > _LONGEST_ID:
            return _storage_fault()
        if not id_.strip():
            why = "An instance id of white space alone: on the real host this stalls the hub."
            log.error(why)
            return error_response(400, why)
        body = await _json_text(request)
        self._check_text(body)
        try:
            self._engine.create(name, id_, body or None, version=query.text("version"))
        except AlreadyExists as error:
            return error_response(409, str(error))
        return await self._check_status(request, id_, timeout, interval)

    async def _restart(self, request: web.Request, id_: str) -> web.Response:
        query = _Query(request)
        timeout, interval = query.seconds("timeout"), query.seconds("pollingInterval")
        known = self._store.instance(id_)
        if known is None:
            return _fault(
                400,
                f"No instance with ID '{id_}' was found. (Parameter 'instanceId')",
                message="InstanceId does not match a valid orchestration instance.",
            )
        new_id = uuid.uuid4().hex if query.flag("restartWithNewInstanceId", default=True) else id_
        try:
            self._engine.create(known.name, new_id, known.input, version=known.version)
        except AlreadyExists as error:
            return _fault(
                409,
                str(error),
                message="A non-terminal instance with this instance ID already exists.",
                kind="DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException",
            )
        return await self._check_status(request, new_id, timeout, interval)

    async def _check_status(
        self, request: web.Request, id_: str, patience: float | None, interval: float | None
    ) -> web.Response:
        """The answer to a start: 202 with links, or the end if the caller waits for it."""
        if patience is not None and interval is not None:
            now = asyncio.get_running_loop().time
            left, deadline = patience, now() + patience
            while left > 0:
                await asyncio.sleep(min(max(interval, 0.01), left))
                instance = self._store.instance(id_)
                if instance and instance.status == "Completed":
                    return web.Response(
                        text=instance.output or "null", content_type="application/json"
                    )
                if instance and instance.ended:
                    return _json(200, status_payload(instance))
                left = deadline - now()
        links = self._links(f"{request.scheme}://{request.host}", quote_plus(id_))
        links |= {"id": id_}
        del links["rewindPostUri"]  # the extension leaves it out here, the SDK does not
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": "10"}
        return _json(202, links, headers)

    # -- status and list ------------------------------------------------------------------

    def _status(self, request: web.Request, id_: str) -> web.Response:
        query = _Query(request)
        instance = self._store.instance(id_)
        if instance is None:
            return web.Response(status=404)
        show_history = query.flag("showHistory", default=False) and instance.status != "Pending"
        payload = status_payload(
            instance,
            history=self._store.history(id_) if show_history else None,
            show_input=query.flag("showInput", default=True),
            show_output=query.flag("showHistoryOutput", default=False),
        )
        if not instance.ended:
            return _json(202, payload, {"Location": str(request.url), "Retry-After": "5"})
        as_error = query.flag("returnInternalServerErrorOnFailure", default=False)
        return _json(500 if as_error and instance.status == "Failed" else 200, payload)

    def _list(self, request: web.Request) -> web.Response:
        query = _Query(request)
        top = query.count("top") or 100
        found = self._store.instances(
            prefix=query.text("instanceIdPrefix") or "",
            after=_open_token(request.headers.get(_PAGE, "")),
            created=_created_between(query),
            statuses=query.statuses(),
            limit=top + 1,
        )
        page, rest = found[:top], found[top:]
        token = base64.urlsafe_b64encode(page[-1].id.encode()).decode() if rest else ""
        show_input = query.flag("showInput", default=True)
        shown = [status_payload(i, show_input=show_input) for i in page]
        return _json(200, shown, {_PAGE: token} if token else None)

    # -- events ---------------------------------------------------------------------------

    async def _raise_event(self, request: web.Request, id_: str, name: str) -> web.Response:
        instance = self._store.instance(id_)
        if instance is None:
            return web.Response(status=404)
        if instance.ended:
            return web.Response(status=410)
        if request.content_type != "application/json":
            return error_response(400, "Only application/json request content is supported")
        body = await _json_text(request)
        if not body:
            return _invalid_json(
                "Error reading JToken from JsonReader. Path '', line 0, position 0."
            )
        data = payload.rewritten(body)
        self._check_text(data)
        self._engine.send(
            id_, EventType.EVENT_RAISED, Name=name, Input=data, ParentTraceContext=None
        )
        return web.Response(status=202)

    # -- purge ----------------------------------------------------------------------------

    def _purge(self, id_: str) -> web.Response:
        with self._store.transaction():
            instance = self._store.instance(id_)
            if instance is None:
                return web.Response(status=404)
            if not instance.ended:
                return _json(
                    412,
                    "Only orchestrations in a terminal state can be purged, but the orchestration "
                    f"with instance ID {id_} has status {instance.status}",
                )
            self._store.delete(id_)
        return _json(200, {"instancesDeleted": 1})

    def _purge_by_filter(self, request: web.Request) -> web.Response:
        query = _Query(request)
        if query.date("createdTimeFrom") is None:
            return _json(400, "Please provide value for 'createdTimeFrom' parameter.")
        # With no terminal status named, the extension deletes live instances too. Not here.
        statuses = sorted(TERMINAL & set(query.statuses())) or sorted(TERMINAL)
        with self._store.transaction():
            found = self._store.instances(statuses=statuses, created=_created_between(query))
            for instance in found:
                self._store.delete(instance.id)
        return _json(200, {"instancesDeleted": len(found)}) if found else web.Response(status=404)


def _base_of(path: str) -> str | None:
    """Under which of the two bases a path is."""
    lower = path.lower() + "/"
    return next((base for base in (WEBHOOK, RPC) if lower.startswith(base + "/")), None)


def _created_between(query: _Query) -> tuple[str, str]:
    bounds = query.date("createdTimeFrom"), query.date("createdTimeTo")
    return stamp(bounds[0]) if bounds[0] else "", stamp(bounds[1]) if bounds[1] else "9999"


def _open_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError:
        return ""


async def _json_text(request: web.Request) -> str:
    """The body, which is JSON or empty."""
    body = await request.read()
    try:
        text = body.decode(request.charset or "utf-8").removeprefix("\ufeff")
        text.encode()
    except (ValueError, LookupError) as error:
        # A LookupError is a charset that Python does not know.
        raise _Refused(_invalid_json(str(error))) from error
    try:
        if text:
            payload.read(text)
    except json.JSONDecodeError as error:
        if text.lstrip().startswith(("/*", "//")):
            log.error("A body that begins with a comment: there it is taken, and fails later")  # noqa: TRY400
        at_end = error.pos >= len(text.rstrip()) and not error.msg.startswith("Unterminated")
        if text.lstrip().startswith("{") and at_end:
            cut = "Newtonsoft.Json.JsonSerializationException"
            raise _Refused(_fault(500, f"The object is cut off: {error}", kind=cut)) from error
        raise _Refused(_invalid_json(str(error))) from error
    except (ValueError, RecursionError) as error:
        raise _Refused(_invalid_json(str(error))) from error
    return text


def _invalid_json(why: str) -> web.Response:
    return _fault(400, why, message="Invalid JSON content", kind=_NOT_JSON)


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    text = payload.write(body)
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)


def error_response(status: int, message: str) -> web.Response:
    """An error that has no exception behind it."""
    return _json(status, {"Message": message})


def _fault(
    status: int,
    exception_message: str,
    *,
    message: str = "",
    kind: str = "System.ArgumentException",
) -> web.Response:
    """An error as ASP.NET renders an exception, without a stack of ours."""
    body = {
        "Message": message or _SOMETHING_WRONG,
        "ExceptionMessage": exception_message,
        "ExceptionType": kind,
        "StackTrace": "",
    }
    return _json(status, body)


def _storage_fault() -> web.Response:
    return _fault(500, _STORAGE_FAULT, kind=_STORAGE_EXCEPTION)
