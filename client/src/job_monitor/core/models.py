"""The answers of the API, as typed objects.

A newer server may say more than this client knows, and may have other states. Fields that are not
known stay in `model_extra`; a word like a state or an outcome is a text. A field that an older
server does not have is None, or its usual value.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypedDict

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class State(StrEnum):
    """The states of a monitor that this client knows; all but the first are final."""

    MONITORING = "Monitoring"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    EXPIRED = "Expired"
    LOST = "Lost"
    UNREACHABLE = "Unreachable"
    STOPPED = "Stopped"
    TERMINATED = "Terminated"


_FINAL = frozenset(State) - {State.MONITORING}


class Start(TypedDict, total=False):
    """A start: what to watch, and how. Give `job_id` or `job`; all else is optional.

    Keys:
        source: The job system; optional if the server has one, or a default.
        job_id: A job that runs. Where ids have parts, an object.
        job: A job to start, in the form that the source takes.
        fresh: Whether another run begins also over a job that ended.
        expire_time: The latest end of the watch: a time with an offset, or its ISO 8601 text.
        timeout_seconds: The same, in seconds from now.
        poll_interval_seconds: Seconds between polls.
        on_expiry: `cancel` cancels the job when the watch expires.
        labels: Up to 16 names with values.
        warn_after_seconds: When a job that still runs is overdue.
        stall_after_seconds: When a job of which nothing moves is stalled.
        notify: The channels that tell of it, in the place of those of its source.
    """

    source: str
    job_id: str | Mapping[str, str]
    job: Mapping[str, Any]
    fresh: bool
    expire_time: datetime | str
    timeout_seconds: int
    poll_interval_seconds: int
    on_expiry: Literal["leave", "cancel"]
    labels: Mapping[str, str]
    warn_after_seconds: int
    stall_after_seconds: int
    notify: Sequence[str]


class Change(TypedDict, total=False):
    """The settings of a live watch that may change; one that is left out stays as it is."""

    expire_time: datetime | str
    timeout_seconds: int
    poll_interval_seconds: int
    on_expiry: Literal["leave", "cancel"]
    labels: Mapping[str, str]
    paused: bool
    notify: Sequence[str]


class Answered(BaseModel):
    """The base: camelCase in JSON, snake_case here. Fields that are not known are kept."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True
    )

    def to_wire(self) -> dict[str, Any]:
        """The answer as the server gave it, with the fields that this client does not know."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class StopWish(Answered):
    """Somebody's wish to end a watch."""

    reason: str = ""
    cancel_job: bool = False
    by: str | None = None


class Monitor(Answered):
    """The watch over one job. docs/operations.md of Job Monitor explains every field.

    Times are aware, in UTC.
    """

    id: str
    state: str
    source: str = ""
    job_id: str = ""
    run: int = 1
    started_at: AwareDatetime | None = None
    expire_time: AwareDatetime | None = None
    timeout_seconds: int | None = None
    poll_interval_seconds: int | None = None
    on_expiry: str = "leave"
    last_poll_at: AwareDatetime | None = None
    next_poll_at: AwareDatetime | None = None
    polls: int = 0
    failures: int = 0
    raw_status: str | None = None
    progress: float | None = None
    message: str | None = None
    outcome: str | None = None
    detail: str | None = None
    blind: bool = False
    stale: bool = False
    paused: bool = False
    overdue: bool = False
    stalled: bool = False
    stop: StopWish | None = None
    cancel_result: str | None = None
    reason: str | None = None
    ended_at: AwareDatetime | None = None
    result: str | None = None
    result_cut: bool = False
    labels: dict[str, str] = Field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether this run has ended, also in a state that this client does not know."""
        return self.state in _FINAL or self.ended_at is not None

    @property
    def succeeded(self) -> bool:
        """Whether the job succeeded."""
        return self.state == State.SUCCEEDED

    @property
    def flags(self) -> list[str]:
        """The names of the flags that are set, such as `blind`."""
        names = ("blind", "stale", "paused", "overdue", "stalled")
        return [name for name in names if getattr(self, name)]


class LogLine(Answered):
    """One line of a monitor's log."""

    at: AwareDatetime
    event: str
    run: int = 1
    poll: int = 0
    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None
    reason: str | None = None
    by: str | None = None


class Shown(Answered):
    """A monitor with the status of its instance and its log."""

    monitor: Monitor
    runtime_status: str | None = None
    log: list[LogLine] = Field(default_factory=list)
    log_lines: int = 0
    log_next: int | None = None


class Page(Answered):
    """A page of the list, and the token of the next one."""

    monitors: list[Monitor]
    next: str | None = None


class Source(Answered):
    """A job system, as the server has it."""

    name: str
    description: str | None = None
    auth: str | None = None
    takes_jobs: bool = False
    cancels_jobs: bool = False
    poll_interval_seconds: int | None = None
    timeout_seconds: int | None = None
    on_expiry: str | None = None
    paused_since: AwareDatetime | None = None


class NamedFault(Answered):
    """A fault in the server's configuration."""

    field: str = ""
    message: str = ""


class DisabledSource(Answered):
    """A source that can't be used, for its faults."""

    name: str
    errors: list[NamedFault] = Field(default_factory=list)


class Sources(Answered):
    """The sources; the name of the default, and the faults of the configuration."""

    sources: list[Source]
    default: str | None = None
    disabled: list[DisabledSource] = Field(default_factory=list)
    errors: list[NamedFault] = Field(default_factory=list)


class Poll(Answered):
    """One look at a job."""

    outcome: str
    raw_status: str | None = None
    progress: float | None = None
    message: str | None = None
    detail: str | None = None


class Check(Answered):
    """A dry run: one poll, and the rule that decided its outcome."""

    source: str
    poll: Poll
    decided_by: str | None = None


class Started(Answered):
    """The answer to a start.

    The server may add management URLs, which hold the key of the whole task hub. They are not kept
    here, so that no program prints them.

    Attributes:
        monitor: The monitor.
        new: Whether this start began the run: False if the job is watched already, or has ended.
    """

    model_config = ConfigDict(extra="ignore")

    monitor: Monitor
    new: bool = False


class OneAnswer(Answered):
    """The answer to one start of a batch: the status and the body that it would have alone."""

    status: int
    body: dict[str, Any]


class Answers(Answered):
    """The answers to a batch, in the order of its starts."""

    answers: list[OneAnswer]
