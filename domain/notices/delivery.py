"""What became of notices: of one notice at one channel, of a channel, and of a look at it."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, Field

from domain.text import Text
from domain.wire import InternalModel

IDLE = timedelta(hours=1)
"""From a look at a channel that nothing waits for to the next one."""

RECENT = 10
"""Attempts that a channel remembers."""

SILENT_AFTER = timedelta(minutes=7)
"""From a wake to the time at which the look that follows is missed: two runs of the watchdog wake
in vain, and the third starts the delivery anew."""


class Told(InternalModel):
    """What became of a notice at one channel.

    Attributes:
        state: `waiting`, or its end: `delivered`, `givenUp` after a day of failures, `replaced` by
            a newer notice, or `filtered`, if the filter was faulty when it was written.
        attempts: How often it was sent, alone or first in a digest.
        since: When it was sent first.
        at: When it was sent last, or came to its end.
        detail: Why the last attempt failed, or why it was given up.
        next_at: When it is sent again.
    """

    state: Literal["waiting", "delivered", "givenUp", "replaced", "filtered"] = "waiting"
    attempts: int = 0
    since: AwareDatetime | None = None
    at: AwareDatetime | None = None
    detail: Text | None = None
    next_at: AwareDatetime | None = None


class Attempt(InternalModel):
    """An attempt to send a message.

    Attributes:
        id: The id of the message.
        at: When.
        delivered: Whether the receiver took it.
        notices: How many notices were in it.
        detail: What the receiver, or the way to it, said.
    """

    id: str
    at: AwareDatetime
    delivered: bool
    notices: int
    detail: Text


class ChannelState(InternalModel):
    """How the deliveries of a channel go.

    Attributes:
        failures: How many looks in a row failed as a whole: the receiver is down.
        failing_since: Since when.
        next_at: When the channel is tried again, while its receiver is down.
        last_delivered_at: When a message was last delivered.
        last_error: Why the last attempt that failed did.
        last_error_at: When that was.
        recent: The last attempts, newest first.
        quiet: Until when each group of notices waits for its next digest.
    """

    failures: int = 0
    failing_since: AwareDatetime | None = None
    next_at: AwareDatetime | None = None
    last_delivered_at: AwareDatetime | None = None
    last_error: Text | None = None
    last_error_at: AwareDatetime | None = None
    recent: tuple[Attempt, ...] = ()
    quiet: dict[str, AwareDatetime] = Field(default={})


class Signs(NamedTuple):
    """The signs of life of a channel's delivery.

    Attributes:
        looked_at: When its last look began.
        woken_at: When the watchdog woke it after that, for the first time.
    """

    looked_at: datetime | None
    woken_at: datetime | None

    @property
    def answered(self) -> bool:
        """Whether it has looked since it was woken."""
        if self.woken_at is None:
            return True
        return self.looked_at is not None and self.looked_at >= self.woken_at

    def is_silent(self, now: datetime) -> bool:
        """Whether the orchestrator has stopped: it was woken, and has not looked for too long."""
        late = self.woken_at is not None and now >= self.woken_at + SILENT_AFTER
        return late and not self.answered


class ChannelReport(InternalModel):
    """A channel as `GET /api/channels` shows it.

    Attributes:
        waiting: How many notices wait for it; at most `COUNTED`.
        given_up: How many were given up, and are kept with their monitors; at most `COUNTED`.
        last_look_at: When the app last looked at what waits.
        failing_since: Since when its receiver is down; None if it is not.
        next_attempt_at: When it is tried again, while its receiver is down.
        last_delivered_at: When a message was last delivered.
        last_error: Why the last attempt that failed did.
        last_error_at: When that was.
        recent: The last attempts, newest first.
    """

    waiting: int
    given_up: int
    last_look_at: AwareDatetime | None = None
    failing_since: AwareDatetime | None = None
    next_attempt_at: AwareDatetime | None = None
    last_delivered_at: AwareDatetime | None = None
    last_error: Text | None = None
    last_error_at: AwareDatetime | None = None
    recent: tuple[Attempt, ...] = ()


class DeliveryProgress(InternalModel):
    """The input of a `Delivery` generation and the result of `DeliverNotices`.

    Attributes:
        channel: The name of the channel.
        look_at: When to look at it again, if nobody wakes it; None for an hour later.
        sent: The ids of notices that were delivered, and that the store did not note yet.
        gone: Whether there is no such channel any more, and nothing waits for it.
        last_error: Why the last look failed, if it did.
    """

    channel: str
    look_at: AwareDatetime | None = None
    sent: tuple[str, ...] = ()
    gone: bool = False
    last_error: Text | None = None

    def custom_status(self) -> dict[str, object]:
        """All that people are shown: not `sent`, as a custom status holds 16 KB of UTF-16."""
        return self.model_dump(mode="json", by_alias=True, exclude={"sent"})
