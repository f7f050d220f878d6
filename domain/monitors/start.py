"""The request that starts a monitor: parsed, checked whole, and compared with a live one."""

import unicodedata
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import from_json

from domain.errors import Fault, InvalidInput
from domain.faults import fault_text
from domain.limits import MAX_POLL_INTERVAL_SECONDS, MAX_WATCH_SECONDS, OnExpiry
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.monitor_id import monitor_id
from domain.sources.file import Sources
from domain.sources.source import Source
from domain.wire import WireModel

JOB_ID_LENGTH = 1_024


def job_id_fault(job_id: str) -> str | None:
    """Why a text can't be a job id, or None. Spaces, slashes and unicode are fine."""
    if not 1 <= len(job_id) <= JOB_ID_LENGTH:
        return f"must have 1 to {JOB_ID_LENGTH} characters"
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in job_id):
        return "must not hold control characters"
    if job_id in (".", ".."):
        return "must not be . or .., which mean another place in a URL"
    return None


def _valid_job_id(job_id: str) -> str:
    fault = job_id_fault(job_id)
    if fault:
        raise ValueError(fault)
    return job_id


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


class StartRequest(WireModel):
    """The body of `POST /api/monitors`.

    Attributes:
        source: Name of a source; may be left out if there is one, or a default.
        job_id: A job to watch. This or `job`.
        job: What the source is to start, then to be watched; as the source takes it.
        expire_time: When the watch ends at the latest, with an offset. This or the next.
        timeout_seconds: The same as a time from now.
        poll_interval_seconds: Time between polls.
        on_expiry: `cancel` to have the job cancelled when the watch expires, else `leave`.
    """

    source: str | None = None
    job_id: Annotated[str, AfterValidator(_valid_job_id)] | None = None
    job: dict[str, JsonValue] | None = None
    expire_time: Annotated[
        Annotated[AwareDatetime, AfterValidator(_still_to_come)] | None,
        BeforeValidator(_parse_moment),
    ] = None
    timeout_seconds: Annotated[int, Field(ge=1, le=MAX_WATCH_SECONDS)] | None = None
    poll_interval_seconds: Annotated[int, Field(ge=1, le=MAX_POLL_INTERVAL_SECONDS)] | None = None
    on_expiry: OnExpiry | None = None

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
        )

    def differences(self, row: MonitorRow) -> list[Fault]:
        """What this request asks for and the live watch does not do; what it leaves out is fine."""
        asked = ("expire_time", "timeout_seconds", "poll_interval_seconds", "on_expiry")
        return [
            Fault(wire_name, f"is {self._show(name)} here, the live monitor has {live}")
            for name in asked
            if (value := getattr(self, name)) is not None and value != getattr(row, name)
            for wire_name in [type(self).model_fields[name].alias or name]
            for live in [row.to_wire()[wire_name]]
        ]

    def _show(self, name: str) -> Any:
        return self.to_wire()[type(self).model_fields[name].alias or name]


@dataclass(frozen=True)
class Start:
    """A request that is sound, with the source it means."""

    request: StartRequest
    source: Source


def parse_start(body: bytes, sources: Sources, now: datetime) -> Start:
    """Read and check a request body.

    Raises:
        InvalidInput: Names every fault of the request.
    """
    body = body.removeprefix(BOM_UTF8)  # some clients begin with one; strict parsers refuse it
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput([Fault("body", f"is not valid JSON: {error}")]) from None
    if not isinstance(document, dict):
        raise InvalidInput([Fault("body", "must be a JSON object")])
    faults: list[Fault] = []
    try:
        request = StartRequest.model_validate_json(body, strict=True, context={"now": now})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        faults = [Fault(str(each["loc"][0]), fault_text(each)) for each in details]
    source = _source(document.get("source"), sources, faults)
    faults += _faults_of_the_whole(document, source)
    if faults or source is None:
        raise InvalidInput(faults)
    return Start(request, source)


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
    """What no field shows alone."""
    given = {name for name, value in document.items() if value is not None}
    if len(given & {"jobId", "job"}) != 1:
        yield Fault("jobId", "give exactly one of jobId and job")
    if {"expireTime", "timeoutSeconds"} <= given:
        yield Fault("expireTime", "give expireTime or timeoutSeconds, not both")
    if "job" in given and source and source.submit is None:
        yield Fault("job", f"can't be started: source {source.name} has no submit")
    if document.get("onExpiry") == "cancel" and source and source.cancel is None:
        yield Fault("onExpiry", f"can't be cancel: source {source.name} has no cancel")
