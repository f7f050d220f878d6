"""Each route of the API as data: the request, and the way to read its answer."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

from pydantic.alias_generators import to_camel

from job_monitor.core.answer import PROBLEM, Answer
from job_monitor.core.errors import ApiError
from job_monitor.core.models import (
    Answers,
    Check,
    Monitor,
    OneAnswer,
    Page,
    Shown,
    Source,
    Sources,
    Started,
)

T = TypeVar("T")

BATCH = 100
"""The starts of one request at the most."""

Query = Mapping[str, str | int | None]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and the way to read its answer.

    Attributes:
        method: The HTTP method.
        path: The path below the URL of the server, with its query left out.
        read: The result of an answer; raises ApiError.
        query: The parameters of the query.
        body: The JSON body; None for none.
        headers: Headers beside those of all requests.
        repeatable: Whether the request may be sent twice: the second changes nothing more.
    """

    method: str
    path: str
    read: Callable[[Answer], T]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True


def new_key() -> str:
    """An Idempotency-Key. One is made for each start, and goes with all its repeats."""
    return secrets.token_urlsafe(18)


def start(wanted: Mapping[str, Any], key: str) -> Call[Started]:
    """Start a watch."""
    return Call(
        "POST",
        "/api/monitors",
        _started,
        body=to_body(wanted),
        headers={"Idempotency-Key": key},
    )


def _started(answer: Answer) -> Started:
    monitor = answer.read(Monitor, within="monitor")
    return Started(monitor=monitor, new=answer.status == HTTPStatus.ACCEPTED)


class Keyed(NamedTuple):
    """A start of many: its body, and its Idempotency-Key."""

    wanted: Mapping[str, Any]
    key: str


def keyed(wanted: Mapping[str, Any]) -> Keyed:
    """A start that may bring its own `idempotencyKey`; else it gets one."""
    body = to_wire(wanted)
    return Keyed(body, body.pop("idempotencyKey", None) or new_key())


class Batch(NamedTuple):
    """The results of many starts, in their order, and the seconds that the request took."""

    seconds: float
    results: list[Started | ApiError]


def start_batch(starts: Iterable[Keyed]) -> Call[Batch]:
    """Start watches, `BATCH` at the most."""

    def read(answer: Answer) -> Batch:
        return Batch(answer.seconds, [_one(each) for each in answer.read(Answers).answers])

    each = [{**to_wire(wanted), "idempotencyKey": key} for wanted, key in starts]
    return Call("POST", "/api/monitors:batch", read, body=to_body({"starts": each}))


def _one(told: OneAnswer) -> Started | ApiError:
    """An answer of a batch, read as that of a single start."""
    body = json.dumps(told.body).encode()
    try:
        return _started(Answer(told.status, {"content-type": PROBLEM}, body))
    except ApiError as error:
        return error


def get(monitor_id: str, log_after: int | None = None) -> Call[Shown]:
    """Read a monitor and its log."""
    return Call(
        "GET",
        _monitor(monitor_id),
        lambda answer: answer.read(Shown),
        query=to_query({"logAfter": log_after}),
    )


def page(filters: Query, token: str | None = None) -> Call[Page]:
    """Read a page of the list."""
    return Call(
        "GET",
        "/api/monitors",
        lambda answer: answer.read(Page),
        query=to_query({**filters, "token": token}),
    )


def change(monitor_id: str, settings: Mapping[str, Any]) -> Call[Monitor]:
    """Change the settings of a live watch."""
    return Call("PATCH", _monitor(monitor_id), _monitor_in, body=to_body(settings))


def hint(monitor_id: str) -> Call[Monitor]:
    """Have the watch poll now."""
    return Call("POST", _monitor(monitor_id, "notify"), _monitor_in)


def stop(monitor_id: str, reason: str | None, *, cancel_job: bool) -> Call[Monitor]:
    """End a watch. A wish joins an earlier one, so that a repeat changes nothing."""
    query = to_query({"reason": reason, "cancelJob": "true" if cancel_job else None})
    return Call("POST", _monitor(monitor_id, "stop"), _monitor_in, query=query)


def restart(monitor_id: str) -> Call[Monitor]:
    """Free a stuck monitor. Each restart begins a run, so that it is not repeated."""
    return Call("POST", _monitor(monitor_id, "restart"), _monitor_in, repeatable=False)


def sources() -> Call[Sources]:
    """Read the sources."""
    return Call("GET", "/api/sources", lambda answer: answer.read(Sources))


def check(source: str, job_id: str) -> Call[Check]:
    """Poll a job once; that starts and stores nothing."""
    return Call(
        "POST",
        _source(source, "check"),
        lambda answer: answer.read(Check),
        query={"jobId": job_id},
    )


def hold(source: str, *, paused: bool) -> Call[Source]:
    """Hold all polls of a source, or let them go on."""
    path = _source(source, "pause" if paused else "resume")
    return Call("POST", path, lambda answer: answer.read(Source))


def _monitor_in(answer: Answer) -> Monitor:
    return answer.read(Monitor, within="monitor")


def _monitor(monitor_id: str, *action: str) -> str:
    return "/".join(["/api/monitors", _segment(monitor_id), *action])


def _source(name: str, action: str) -> str:
    return f"/api/sources/{_segment(name)}/{action}"


def _segment(text: str) -> str:
    """A text as one segment of a path; "." and ".." would mean another place."""
    return quote(text, safe="~").replace(".", "%2E") if text in (".", "..") else quote(text, "~")


def to_query(wanted: Query) -> dict[str, str]:
    """The parameters that have a value."""
    return {name: str(value) for name, value in wanted.items() if value not in (None, "")}


def to_wire(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The keys in camelCase, values as JSON has them; keys that have None are left out."""
    return {
        to_camel(name): value.isoformat() if isinstance(value, datetime) else value
        for name, value in wanted.items()
        if value is not None
    }


def to_body(wanted: Mapping[str, Any]) -> bytes:
    """The JSON body of a request."""
    return json.dumps(to_wire(wanted)).encode()
