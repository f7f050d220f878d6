"""A source: one configured job system, as its table in job_sources.toml describes it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StrictBool, ValidationInfo
from pydantic import field_validator as check

from domain.errors import Fault, InvalidInput
from domain.limits import DAY, MAX_POLL_INTERVAL_SECONDS, MAX_WATCH_SECONDS, OnExpiry
from domain.outcome import Outcome, Poll, Rules
from domain.sources import redaction
from domain.sources.auth import Table
from domain.sources.hint import HintRules
from domain.sources.job_id import JobId, job_id_of, joined
from domain.sources.listing import ListEndpoint
from domain.sources.peer import Peer
from domain.sources.request import (
    CancelEndpoint,
    Endpoint,
    Headers,
    Request,
    StatusEndpoint,
    SubmitEndpoint,
    template_of,
)
from domain.sources.template import JobValues

Statuses = tuple[str, ...]
PartName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class Outcomes(Table):
    """The source's raw statuses, exactly as it writes them, by their meanings.

    A list may also name an HTTP status, as `HTTP 204`: the raw status of an answer that has none of
    its own.

    Attributes:
        unknown: The meaning of a status in no list. No unknown word ends a watch: it is watched on,
            and flagged as unrecognised unless the source says that unknown ones are running.
        gone: The outcome that counts if a job that was seen is not found any more. Without it, such
            a watch is lost.
    """

    running: Statuses = ()
    succeeded: Annotated[Statuses, Field(min_length=1)]
    failed: Statuses = ()
    cancelled: Statuses = ()
    unknown: Literal["unrecognised", "running"] = "unrecognised"
    gone: Literal["succeeded", "failed", "cancelled"] | None = None

    @check("running", "succeeded", "failed", "cancelled")
    @classmethod
    def _listed_once(cls, statuses: Statuses, info: ValidationInfo) -> Statuses:
        for outcome, others in info.data.items():  # the lists before this one
            for status in sorted({*statuses} & {*others}):
                raise ValueError(f'lists "{status}", and so does {outcome}')
        return statuses

    def listed(self, raw_status: str) -> Outcome | None:
        """The outcome whose list holds the status."""
        for outcome in (Outcome.RUNNING, Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED):
            if raw_status in getattr(self, outcome.value):
                return outcome
        return None

    def outcome_of(self, raw_status: str) -> Outcome:
        """The outcome whose list holds the status, else that of unknown ones."""
        return self.listed(raw_status) or Outcome(self.unknown)


class Source(Peer):
    """One configured job system; times are in seconds.

    Attributes:
        job_id_parts: The names of the parts that ids have there, in their order; none for ids of
            one part. See `domain.sources.job_id`.
        max_concurrent_polls: How many polls an instance of the app makes at once.
        max_wait_seconds: The longest wait that the source may ask for with Retry-After.
        remembers_seconds: How long the system knows a job that ended. Polls come at least twice in
            that time.
        lost_after_seconds: How long "not found" must last until a watch is lost; three times as
            long for a job that was seen before.
        settle_seconds: For raw statuses of ends that the system may take back: how long each must
            last.
        warn_after_seconds: When a job that still runs is overdue.
        stall_after_seconds: When a job of which neither status nor progress nor message moves is
            stalled.
        hint: How the hints are read that the job system sends.
        notify: The channels that are told of the source's jobs, unless a start says otherwise.
        sweep: How one sweep looks at all jobs of the source, so that each watch polls now and then
            only: `list` asks with the list table, `each` asks job by job. Without it, a list table
            of the source's own means `list`; that of a preset waits for this key.
        safety_seconds: The time between two polls of a watch that a sweep looks after.
        progress_seconds: How often a sweep writes progress and message of a job whose status stays;
            0 for each time that they change.
    """

    description: str = ""
    allow_http: StrictBool = False
    poll_interval_seconds: int = Field(default=60, ge=1, le=MAX_POLL_INTERVAL_SECONDS)
    timeout_seconds: int = Field(default=DAY, ge=1, le=MAX_WATCH_SECONDS)
    on_expiry: OnExpiry = "leave"
    job_id_parts: Annotated[tuple[PartName, ...], Field(min_length=2)] = ()
    max_concurrent_polls: int = Field(default=8, ge=1, le=100)
    max_wait_seconds: int = Field(default=900, ge=1, le=DAY)
    remembers_seconds: int | None = Field(default=None, ge=2)
    lost_after_seconds: int = Field(default=300, ge=0, le=MAX_WATCH_SECONDS)
    settle_seconds: dict[str, Annotated[int, Field(ge=0, le=DAY)]] = Field(default={})
    warn_after_seconds: int | None = Field(default=None, ge=1, le=MAX_WATCH_SECONDS)
    stall_after_seconds: int | None = Field(default=None, ge=1, le=MAX_WATCH_SECONDS)
    sweep: Literal["off", "each", "list"] | None = None
    safety_seconds: int = Field(default=900, ge=60, le=MAX_POLL_INTERVAL_SECONDS)
    progress_seconds: int = Field(default=300, ge=0, le=DAY)
    headers: Headers = Field(default={}, repr=False)
    status: StatusEndpoint
    list: ListEndpoint | None = None
    submit: SubmitEndpoint | None = None
    cancel: CancelEndpoint | None = None
    outcomes: Outcomes
    hint: HintRules = HintRules()
    notify: tuple[str, ...] = ()

    @check("job_id_parts")
    @classmethod
    def _different_parts(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len({*names}) < len(names):
            raise ValueError("must be different names")
        return names

    @property
    def sweeps(self) -> bool:
        """Whether a sweep looks at the jobs of this source."""
        return self.sweep in {"each", "list"}

    @property
    def lists_all(self) -> bool:
        """Whether its sweep asks with a list that names every job that has not ended."""
        return self.sweep == "list" and self.list is not None and self.list.is_complete

    def job_id(self, text: str) -> JobId:
        """A job's id as requests take it; raises InvalidInput unless it has the source's parts."""
        try:
            return job_id_of(text, self.job_id_parts)
        except ValueError as error:
            raise InvalidInput([Fault("jobId", str(error))]) from None

    def job_id_text(self, value: object) -> str:
        """The one text of a job's id, from an answer or a start: a text, a number, or its parts.

        Raises:
            ValueError: It is no id of this source.
        """
        if isinstance(value, Mapping) and self.job_id_parts:
            if {*value} != {*self.job_id_parts}:
                raise ValueError(f"must have the parts {', '.join(self.job_id_parts)}")
            text = joined([_id_text(value[name]) for name in self.job_id_parts])
        else:
            text = _id_text(value)
        job_id_of(text, self.job_id_parts)
        return text

    def rules(self, raw_status: str | None) -> Rules:
        """The rules by which a poll that saw this status is read."""
        return Rules(
            lost_after_seconds=self.lost_after_seconds,
            longest_wait_seconds=self.remembers_seconds and self.remembers_seconds / 2,
            settle_seconds=self.settle_seconds.get(raw_status or "", 0),
            warn_after_seconds=self.warn_after_seconds,
            stall_after_seconds=self.stall_after_seconds,
            gone=Outcome(self.outcomes.gone) if self.outcomes.gone else None,
        )

    def granted(self, poll: Poll) -> Poll:
        """The poll with this source's rules, and with no longer a wait than they grant."""
        update: dict[str, object] = {"rules": self.rules(poll.raw_status)}
        asked = poll.retry_after_seconds
        if asked is not None and asked > self.max_wait_seconds:
            wish = f"the source asks for a wait of {asked:.0f} s, and gets {self.max_wait_seconds}"
            update["retry_after_seconds"] = self.max_wait_seconds
            update["detail"] = f"{poll.detail}; {wish}" if poll.detail else wish
        return poll.model_copy(update=update)

    def status_request(self, job_id: str) -> Request:
        """The request that asks for a job; raises ValueError for "", "." and ".."."""
        return self._about(self.status, job_id)

    def list_request(self, since: datetime, now: datetime, at: str | None) -> Request:
        """The request for a page of the list; ValueError if there is no list, or a bad position."""
        if self.list is None:
            raise ValueError(f"{self.name} has no list")
        return self.list.request(self._headers(self.list), since, now, at)

    def submit_request(self, job: Mapping[str, object]) -> tuple[Request, str | None]:
        """The request that starts a job, and the job's id where the caller names all of it.

        Raises:
            InvalidInput: The job lacks a value that the request needs, or names itself badly.
            ValueError: The source has no submit table.
        """
        if self.submit is None:
            raise ValueError(f"{self.name} has no submit")
        values = JobValues(job)
        headers = self._headers(self.submit)
        request = Request(
            method=self.submit.method,
            url=values.url(self.submit.url),
            headers=headers,
            body=values.body(template_of(self.submit.body, headers)),
        )
        named = self.submit.named(values)
        values.check()
        if named is None:
            return request, None
        try:
            return request, self.job_id_text(named)
        except ValueError as error:
            raise InvalidInput([Fault("job", f"names the job in a way that {error}")]) from None

    def cancel_request(self, job_id: str) -> Request:
        """The request that cancels a job; ValueError if there is no cancel or the id is bad."""
        if self.cancel is None:
            raise ValueError(f"{self.name} has no cancel")
        return self._about(self.cancel, job_id)

    def _about(self, endpoint: Endpoint, text: str) -> Request:
        job_id, headers = self.job_id(text), self._headers(endpoint)
        return Request(
            method=endpoint.method,
            url=endpoint.url_for(job_id),
            headers=headers,
            body=endpoint.body_for(job_id, headers),
        )

    def _headers(self, endpoint: Endpoint) -> dict[str, str]:
        """The source's headers, but for those that the endpoint has its own."""
        own = {name.lower() for name in endpoint.headers}
        common = {name: value for name, value in self.headers.items() if name.lower() not in own}
        return common | endpoint.headers

    def hidden(self) -> Iterator[str]:
        """The secrets of the credentials and of the requests."""
        yield from super().hidden()
        yield from redaction.in_headers(self.headers, self._settings)
        yield from (secret.get_secret_value() for secret in self.hint.secrets)
        for endpoint in filter(None, (self.status, self.list, self.submit, self.cancel)):
            yield from redaction.in_headers(endpoint.headers, self._settings)
            yield from redaction.in_body(endpoint.body, self._settings)
            yield from redaction.in_url(endpoint.url, self._settings)


def _id_text(value: object) -> str:
    """A job's id, or a part of one, that an answer or a start has as a text or a whole number."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise ValueError("holds no job id")  # noqa: TRY004  a fault of the answer
    return text
