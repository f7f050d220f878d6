"""What one poll of a job saw."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from domain.limits import OnExpiry
from domain.text import Text
from domain.wire import InternalModel

RAW_STATUS_LENGTH = 256
MESSAGE_LENGTH = 1_024
"""Characters of a source's texts that are kept: see `domain.text.both_ends`."""


class Outcome(StrEnum):
    """The kinds of answer that a poll can get.

    The first four are the job's own word. `NOT_FOUND` is the source's word that it
    knows no such job. The next three say that this poll could not see the job.
    `UNRECOGNISED` is an answer with a status that the source's configuration does not list.
    """

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NOT_FOUND = "notFound"
    THROTTLED = "throttled"
    UNAUTHORIZED = "unauthorized"
    UNREACHABLE = "unreachable"
    UNRECOGNISED = "unrecognised"

    @property
    def is_end(self) -> bool:
        """Whether the job itself has ended."""
        return self in {Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED}

    @property
    def unseen(self) -> bool:
        """Whether the poll could not see the job: it says nothing, not even that it is gone."""
        return self in {Outcome.THROTTLED, Outcome.UNAUTHORIZED, Outcome.UNREACHABLE}


class StopRequest(InternalModel):
    """Somebody's wish to end a watch.

    Attributes:
        reason: Why, for people.
        cancel_job: Whether the job is to be cancelled as well.
        by: Who wished it; None in rows of a release that did not note it.
    """

    reason: Text
    cancel_job: bool = False
    by: Text | None = None

    def joined(self, later: "StopRequest") -> "StopRequest":
        """Both wishes as one: a later wish takes no cancel back."""
        return later.model_copy(update={"cancel_job": self.cancel_job or later.cancel_job})


class CancelResult(InternalModel):
    """What became of one request to cancel a job.

    Attributes:
        accepted: Whether the source took it. The job may need a while to end.
        detail: Why not; a text safe to show.
        poll: A look at the job after a refusal: the job may have ended by itself.
        void: Whether the row asks for no cancel, so that nothing was sent.
        quoted: The source's own words. They go to the log, and nowhere else.
    """

    accepted: bool
    detail: Text | None = None
    poll: "Poll | None" = None
    void: bool = False
    quoted: Text | None = Field(default=None, exclude=True, repr=False)


class Rules(InternalModel):
    """What a source's configuration says about the answers to its polls. Times are in seconds.

    Attributes:
        lost_after_seconds: How long "not found" must last, for a job that was never seen.
        longest_wait_seconds: The longest time between two polls, whatever asks for it; None for
            no limit of the source's own.
        settle_seconds: How long the end that this poll saw must last.
        warn_after_seconds: When a job that still runs is overdue.
        stall_after_seconds: When a job of which nothing moves is stalled.
        gone: The outcome that counts if a job that was seen is not found any more.
        safety_seconds: The time until the next poll of a watch that a sweep looks after; None if
            none does.
    """

    lost_after_seconds: float = 300
    longest_wait_seconds: float | None = None
    settle_seconds: float = 0
    warn_after_seconds: float | None = None
    stall_after_seconds: float | None = None
    gone: Outcome | None = None
    safety_seconds: float | None = None


class Settings(InternalModel):
    """The settings of a watch that may change while it lives, as its row has them."""

    expire_time: AwareDatetime
    timeout_seconds: int | None
    poll_interval_seconds: int
    on_expiry: OnExpiry


class Poll(InternalModel):
    """One look at a job, as `GetJobStatus` returns it.

    Attributes:
        outcome: What was seen.
        raw_status: The source's own word for the job's status.
        progress: 0 to 100, where the source tells it.
        message: The source's text about the job. Longer texts than the limits above keep both ends.
        retry_after_seconds: The time until the next poll that the source asked for, as far as
            the source's configuration grants it.
        detail: Why the job could not be seen, for people; never holds a secret.
        stop: The wish to end the watch that the store held, if any.
        superseded: Whether the run is over, says the store: it has its end, another one began, or
            there is no such monitor.
        looked: Whether the source was asked at all; not while the watch is paused.
        rules: Of the source. A poll of a release before 0.2 brings none.
        settings: Of the watch, as its row has them.
        result: The result of a job that ended, as JSON text. It goes to the row, and nowhere else.
    """

    outcome: Outcome
    raw_status: Text | None = None
    progress: float | None = None
    message: Text | None = None
    retry_after_seconds: float | None = None
    detail: Text | None = None
    stop: StopRequest | None = None
    superseded: bool = False
    looked: bool = True
    rules: Rules | None = None
    settings: Settings | None = None
    result: Text | None = Field(default=None, exclude=True, repr=False)

    @property
    def saw_job(self) -> bool:
        """Whether the poll saw the job, and so all that there is to read about it."""
        if self.outcome is Outcome.UNRECOGNISED:
            return self.raw_status is not None
        return self.outcome is Outcome.RUNNING or self.outcome.is_end
