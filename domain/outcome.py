"""What one poll of a job saw."""

from enum import StrEnum

from domain.wire import InternalModel


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
    def unseen(self) -> bool:
        """Whether the poll could not see the job: it says nothing, not even that it is gone."""
        return self in {Outcome.THROTTLED, Outcome.UNAUTHORIZED, Outcome.UNREACHABLE}


class StopRequest(InternalModel):
    """Somebody's wish to end a watch.

    Attributes:
        reason: Why, for people.
        cancel_job: Whether the job is to be cancelled as well.
    """

    reason: str
    cancel_job: bool = False


class CancelResult(InternalModel):
    """What became of one request to cancel a job.

    Attributes:
        accepted: Whether the source took it. The job may need a while to end.
        detail: Why not; a text safe to show.
    """

    accepted: bool
    detail: str | None = None


class Poll(InternalModel):
    """One look at a job, as `GetJobStatus` returns it.

    Attributes:
        outcome: What was seen.
        raw_status: The source's own word for the job's status, at most 256 characters.
        progress: 0 to 100, where the source tells it.
        message: The source's text about the job, at most 1,024 characters.
        retry_after_seconds: The source's wish for the time until the next poll.
        detail: Why the job could not be seen, for people; never holds a secret.
        stop: The wish to end the watch that the store held, if any.
        superseded: Whether the run is over, says the store: it has its end, or a later one began.
    """

    outcome: Outcome
    raw_status: str | None = None
    progress: float | None = None
    message: str | None = None
    retry_after_seconds: float | None = None
    detail: str | None = None
    stop: StopRequest | None = None
    superseded: bool = False
