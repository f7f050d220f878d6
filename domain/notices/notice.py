"""Notices: what people are told of a monitor, and the messages that channels carry."""

from datetime import UTC
from enum import StrEnum

from pydantic import AwareDatetime, Field

from domain.text import Text
from domain.wire import InternalModel


class Event(StrEnum):
    """The occasions of a notice. All but the last are about one monitor.

    `SEEN` takes `BLIND` back. `PROGRESS` is a milestone that somebody asked for. `TROUBLE` is the
    app's own: its cleanup or its watchdog fails.
    """

    ENDED = "ended"
    OVERDUE = "overdue"
    STALLED = "stalled"
    BLIND = "blind"
    SEEN = "seen"
    STALE = "stale"
    PROGRESS = "progress"
    TROUBLE = "trouble"


class Notice(InternalModel):
    """One occasion to tell somebody, with the facts of the row that it was made from.

    Attributes:
        id: `{monitor id}/{run}/{number}/{start of the watch}`: the same at each attempt to deliver
            it. The store makes it, with the number. Numbers begin anew once the monitor was
            removed, so the start tells such a watch from the one before.
        event: The occasion.
        at: When the row changed.
        monitor_id: The monitor; None for trouble of the app itself, as the rest of the facts.
        run: Its run.
        source: The name of the job system.
        job_id: The job's id there.
        state: The monitor's state, as its row shows it; `failing` or `over` for trouble.
        labels: The monitor's labels.
        raw_status: The source's own word for the job's status, when last seen.
        progress: 0 to 100, when last seen.
        message: The source's text about the job, when last seen.
        reason: Why the watch ended.
        detail: Why the job can't be seen, or the trouble.
        started_at: When the watch began.
        ended_at: When the watch ended.
    """

    id: str = ""
    event: Event
    at: AwareDatetime
    monitor_id: str | None = None
    run: int | None = None
    source: str | None = None
    job_id: str | None = None
    state: str | None = None
    labels: dict[str, str] = Field(default={})
    raw_status: Text | None = None
    progress: float | None = None
    message: Text | None = None
    reason: Text | None = None
    detail: Text | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None

    def numbered(self, number: int) -> "Notice":
        """This notice with its id."""
        of = f"{self.monitor_id}/{self.run}" if self.monitor_id else "trouble"
        since = (self.started_at or self.at).astimezone(UTC)
        return self.model_copy(update={"id": f"{of}/{number}/{since:%Y%m%dT%H%M%SZ}"})


class Message(InternalModel):
    """A notice, or a digest of several, as a channel carries it.

    Attributes:
        id: The notice's id; for a digest, one that follows from the notices in it.
        type: `jobmonitor.{event}`, or `jobmonitor.digest`.
        subject: The monitor's id; for a digest the source.
        time: When it happened.
        title: One line for people.
        text: A few lines for people: plain text.
        data: The facts for programs, as JSON values.
    """

    id: str
    type: str
    subject: str
    time: AwareDatetime
    title: Text
    text: Text
    data: dict[str, object]


class Delivery(InternalModel):
    """What became of one attempt to send a message.

    Attributes:
        delivered: Whether the receiver took it.
        detail: What the receiver, or the way to it, said; holds no secret.
        retry_after_seconds: The pause that the receiver asked for.
    """

    delivered: bool
    detail: Text
    retry_after_seconds: float | None = None
