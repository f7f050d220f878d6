"""The request that starts a monitor: parsed, checked whole, and compared with a live one."""

import re
import unicodedata
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic_core import from_json

from domain.errors import Fault, InvalidInput
from domain.faults import fault_text
from domain.limits import MAX_POLL_INTERVAL_SECONDS, MAX_WATCH_SECONDS, OnExpiry
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.monitor_id import monitor_id
from domain.sources.file import NAME, Sources
from domain.sources.source import Source
from domain.sources.tree import json_has, leaves
from domain.text import PRINTABLE, is_carriable
from domain.wire import WireModel

JOB_ID_LENGTH = 1_024
LABELS, LABEL_LENGTH = 16, 128
CHANNELS = 32
_LABEL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,63}")


def job_id_fault(job_id: str) -> str | None:
    """Why a text can't be a job id, or None. Spaces, slashes and unicode are fine."""
    if not 1 <= len(job_id) <= JOB_ID_LENGTH:
        return f"must have 1 to {JOB_ID_LENGTH} characters"
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in job_id) or not is_carriable(job_id):
        return "must not hold control characters"
    if job_id in (".", ".."):
        return "must not be . or .., which mean another place in a URL"
    return None


def _one_text(value: object, info: ValidationInfo) -> object:
    """The one text of a job's id that has parts, if it came as an object."""
    source = (info.context or {}).get("source")
    if isinstance(value, dict) and source and source.job_id_parts:
        return source.job_id_text(value)
    return value


def _valid_job_id(job_id: str, info: ValidationInfo) -> str:
    fault = job_id_fault(job_id)
    if fault:
        raise ValueError(fault)
    source = (info.context or {}).get("source")
    if source:
        source.job_id_text(job_id)
    return job_id


def _sendable(job: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The job, unless JSON has no form for one of its numbers: 1e999 is read as infinity."""
    if not all(json_has(leaf) for _, leaf in leaves(job)):
        raise ValueError("must not hold a number that is out of range")
    return job


def _parse_moment(value: object) -> object:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and "T" in value else None
    except ValueError:
        moment = None
    if value is not None and (moment is None or moment.tzinfo is None):
        raise ValueError("must be ISO 8601 with an offset, like 2030-01-31T12:00:00Z")
    return moment


def _still_to_come(moment: datetime, info: ValidationInfo) -> datetime:
    now: datetime = info.context["now"] if info.context else moment
    if moment <= now:
        raise ValueError("must be in the future")
    if moment > now + timedelta(seconds=MAX_WATCH_SECONDS):
        raise ValueError("must be within 366 days")
    return moment.astimezone(UTC)


def _valid_labels(labels: dict[str, str]) -> dict[str, str]:
    if len(labels) > LABELS:
        raise ValueError(f"must be {LABELS} pairs at the most")
    for name, value in labels.items():
        if not _LABEL_NAME.fullmatch(name):
            raise ValueError("must have names of 1 to 63 of A-Z, a-z, 0-9, _, . and -")
        if not 0 < len(value) <= LABEL_LENGTH or not value.isprintable():
            raise ValueError(f"must have values of 1 to {LABEL_LENGTH} printable characters")
    return labels


def _configured(names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    known = (info.context or {}).get("channels")
    unknown = [name for name in names if known is not None and name not in known]
    if unknown:
        there = ", ".join(known or ()) or "none"
        raise ValueError(f"names {', '.join(unknown)}, not configured; there are: {there}")
    return tuple(dict.fromkeys(names))


_JOB_ID_SCHEMA = {
    "type": "string",
    "minLength": 1,
    "maxLength": JOB_ID_LENGTH,
    "pattern": r"^(?!\.{1,2}$)[^\x00-\x1f\x7f-\x9f\ufffe\uffff]+$",
}
_PARTS_SCHEMA = {
    "type": "object",
    "minProperties": 2,
    "additionalProperties": {"type": ["string", "integer"]},
    "description": "Where ids have parts: each part by its name.",
}
OneJobId = Annotated[str, AfterValidator(_valid_job_id), WithJsonSchema(_JOB_ID_SCHEMA)]
"""The id of a job as one text. The context of the validation may have its `source`."""

Moment = Annotated[
    Annotated[AwareDatetime, AfterValidator(_still_to_come)] | None,
    BeforeValidator(_parse_moment),
]
Seconds = Annotated[int, Field(ge=1, le=MAX_WATCH_SECONDS)]
Interval = Annotated[int, Field(ge=1, le=MAX_POLL_INTERVAL_SECONDS)]
Labels = Annotated[
    dict[str, str],
    AfterValidator(_valid_labels),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": LABELS,
            "propertyNames": {"pattern": f"^{_LABEL_NAME.pattern}$"},
            "additionalProperties": {
                "type": "string",
                "minLength": 1,
                "maxLength": LABEL_LENGTH,
                "pattern": PRINTABLE,
            },
        }
    ),
]

ChannelName = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})]
Notify = Annotated[tuple[ChannelName, ...], Field(max_length=CHANNELS), AfterValidator(_configured)]
"""Names of channels. The context of the validation has the `channels` there are."""


_GIVEN: JsonDict = {"not": {"type": "null"}}
_BOTH_JOBS: JsonDict = {
    "required": ["jobId", "job"],
    "properties": {"jobId": _GIVEN, "job": _GIVEN},
}
_NO_JOB: JsonDict = {"properties": {"jobId": {"type": "null"}, "job": {"type": "null"}}}
_BOTH_TIMES: JsonDict = {
    "required": ["expireTime", "timeoutSeconds"],
    "properties": {"expireTime": _GIVEN, "timeoutSeconds": _GIVEN},
}


class StartRequest(WireModel):
    """The body of `POST /api/monitors`.

    Attributes:
        source: Name of a source; may be left out if there is one, or a default.
        job_id: A job to watch. This or `job`. Where ids have parts, the request may have an object;
            here it is one text.
        job: A job for the source to start, which is watched then; as the source takes it.
        fresh: Whether a watch over a job that ended begins again.
        expire_time: When the watch ends at the latest, with an offset. This or the next.
        timeout_seconds: The same as a time from now.
        poll_interval_seconds: Time between polls.
        on_expiry: `cancel` to let the source cancel the job when the watch expires, else `leave`.
        labels: Names and values, for people and for filters.
        warn_after_seconds: When the job is overdue, if it still runs.
        stall_after_seconds: When the job is stalled, if nothing of it moves.
        notify: The channels that tell of it, in the place of those of its source; empty for none.
    """

    model_config = ConfigDict(
        json_schema_extra={"not": {"anyOf": [_BOTH_JOBS, _NO_JOB, _BOTH_TIMES]}}
    )

    source: str | None = None
    job_id: Annotated[
        OneJobId | None,
        BeforeValidator(_one_text),
        WithJsonSchema({"anyOf": [_JOB_ID_SCHEMA, _PARTS_SCHEMA, {"type": "null"}]}),
    ] = None
    job: Annotated[dict[str, JsonValue], AfterValidator(_sendable)] | None = None
    fresh: bool = False
    expire_time: Moment = None
    timeout_seconds: Seconds | None = None
    poll_interval_seconds: Interval | None = None
    on_expiry: OnExpiry | None = None
    labels: Labels | None = None
    warn_after_seconds: Seconds | None = None
    stall_after_seconds: Seconds | None = None
    notify: Notify | None = None

    def new_row(self, source: Source, job_id: str, now: datetime) -> MonitorRow:
        """The row of the first watch over a job, which starts now."""
        seconds = None if self.expire_time else self.timeout_seconds or source.timeout_seconds
        return MonitorRow(
            id=monitor_id(source.name, job_id),
            source=source.name,
            job_id=job_id,
            run=1,
            state=State.MONITORING,
            started_at=now,
            expire_time=self.expire_time or now + timedelta(seconds=seconds or 0),
            timeout_seconds=seconds,
            poll_interval_seconds=self.poll_interval_seconds or source.poll_interval_seconds,
            on_expiry=self.on_expiry or source.on_expiry,
            labels=self.labels or {},
            warn_after_seconds=self.warn_after_seconds,
            stall_after_seconds=self.stall_after_seconds,
            notify=self.notify,
        )

    def differences(self, row: MonitorRow) -> list[Fault]:
        """The wishes of this request that the live watch does not meet."""
        asked = (
            "expire_time",
            "timeout_seconds",
            "poll_interval_seconds",
            "on_expiry",
            "labels",
            "warn_after_seconds",
            "stall_after_seconds",
            "notify",
        )
        return [
            Fault(wire_name, f"is {self._show(name)} here, the live monitor has {live}")
            for name in asked
            if (value := getattr(self, name)) is not None and value != getattr(row, name)
            for wire_name in [type(self).model_fields[name].alias or name]
            for live in [row.to_wire()[wire_name]]
        ]

    def _show(self, name: str) -> Any:
        return self.to_wire()[type(self).model_fields[name].alias or name]


class ChangeRequest(WireModel):
    """The body of `PATCH /api/monitors/{id}`: a setting that is left out stays as it is.

    Attributes:
        expire_time: When the watch ends at the latest, with an offset. This or the next.
        timeout_seconds: The same as a time from now.
        poll_interval_seconds: Time between polls.
        on_expiry: `cancel` or `leave`.
        labels: All labels; an empty object takes them away.
        paused: Whether the polls are held. A paused watch still expires.
        notify: The channels that tell of it from now on, in the place of those that do; empty for
            none. A notice that waits goes where it was to go.
    """

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "not": _BOTH_TIMES})

    expire_time: Moment = None
    timeout_seconds: Seconds | None = None
    poll_interval_seconds: Interval | None = None
    on_expiry: OnExpiry | None = None
    labels: Labels | None = None
    paused: bool | None = None
    notify: Notify | None = None

    def settings(self, now: datetime) -> dict[str, object]:
        """The new values of the row's fields."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        settings = {name: value for name, value in given.items() if value is not None}
        if self.timeout_seconds is not None:
            settings["expire_time"] = now + timedelta(seconds=self.timeout_seconds)
        elif self.expire_time is not None:
            settings["timeout_seconds"] = None
        return settings


@dataclass(frozen=True)
class Start:
    """A valid request, with its source."""

    request: StartRequest
    source: Source


def parse_start(body: bytes, sources: Sources, now: datetime) -> Start:
    """Read and check a request body.

    Raises:
        InvalidInput: Names every fault of the request.
    """
    document = read_object(body)
    source_faults: list[Fault] = []
    source = _source(document.get("source"), sources, source_faults)
    context = {"now": now, "source": source, "channels": sources.channels.names}
    request, faults = read_model(body, StartRequest, context)
    faults += source_faults
    faults += _faults_of_the_whole(document, source)
    if faults or source is None or request is None:
        raise InvalidInput(faults)
    return Start(request, source)


def parse_change(
    body: bytes, source: Source | None, now: datetime, channels: Sequence[str]
) -> ChangeRequest:
    """Read and check the body of a change; InvalidInput names every fault."""
    document = read_object(body)
    request, faults = read_model(body, ChangeRequest, {"now": now, "channels": channels})
    faults += _faults_of_both_times(document)
    if document.get("onExpiry") == "cancel" and (source is None or source.cancel is None):
        faults.append(Fault("onExpiry", "can't be cancel: the source has no cancel"))
    if not document:
        faults.append(Fault("body", "must name at least one setting"))
    if faults or request is None:
        raise InvalidInput(faults)
    return request


Request = TypeVar("Request", bound=WireModel)


def read_object(body: bytes) -> dict[str, object]:
    """The body as a JSON object; InvalidInput if it is none."""
    try:
        document = from_json(_without_mark(body), allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput([Fault("body", f"is not valid JSON: {error}")]) from None
    if not isinstance(document, dict):
        raise InvalidInput([Fault("body", "must be a JSON object")])
    return document


def read_model(
    body: bytes, model: type[Request], context: Mapping[str, Any]
) -> tuple[Request | None, list[Fault]]:
    """The body as the model, and the faults of its fields."""
    try:
        text, about = _without_mark(body), dict(context)
        return model.model_validate_json(
            text, strict=True, context=about, by_alias=True, by_name=False
        ), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return None, [Fault(str(each["loc"][0]), fault_text(each)) for each in details]


def _without_mark(body: bytes) -> bytes:
    """The body without the byte order mark of some clients, which strict parsers refuse."""
    return body.removeprefix(BOM_UTF8)


def _source(name: object, sources: Sources, faults: list[Fault]) -> Source | None:
    """The source that the request means; a name of a wrong type is a fault of its field."""
    if name is not None and not isinstance(name, str):
        return None
    try:
        return sources.get(name)
    except InvalidInput as error:
        faults += error.faults
        return None


def _faults_of_the_whole(document: dict[str, object], source: Source | None) -> Iterator[Fault]:
    """The faults that no field shows alone."""
    given = {name for name, value in document.items() if value is not None}
    if len(given & {"jobId", "job"}) != 1:
        yield Fault("jobId", "give exactly one of jobId and job")
    yield from _faults_of_both_times(document)
    if "job" in given and source and source.submit is None:
        yield Fault("job", f"can't be started: source {source.name} has no submit")
    if document.get("onExpiry") == "cancel" and source and source.cancel is None:
        yield Fault("onExpiry", f"can't be cancel: source {source.name} has no cancel")


def _faults_of_both_times(document: dict[str, object]) -> Iterator[Fault]:
    if document.get("expireTime") is not None and document.get("timeoutSeconds") is not None:
        yield Fault("expireTime", "give expireTime or timeoutSeconds, not both")
