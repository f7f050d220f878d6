"""A channel: a configured way to tell people or programs, and which notices take it."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from domain.notices.notice import Event, Notice
from domain.wire import WireModel


class Filter(WireModel):
    """Which notices a channel takes; a part that is empty or missing takes all.

    Attributes:
        events: The occasions; the default leaves out progress.
        states: The final states whose `ended` it takes.
        sources: The job systems.
        labels: Names and values that a monitor must have, all of them.
    """

    events: Sequence[Event] = Field(default=tuple(e for e in Event if e is not Event.PROGRESS))
    states: Sequence[str] = ()
    sources: Sequence[str] = ()
    labels: Mapping[str, str] = Field(default={})

    def takes(self, notice: Notice) -> bool:
        """Whether a notice takes this channel."""
        if notice.event not in self.events:
            return False
        if notice.event is Event.ENDED and self.states and notice.state not in self.states:
            return False
        if notice.source is None:
            return True
        if self.sources and notice.source not in self.sources:
            return False
        return self.labels.items() <= notice.labels.items()
