"""An instance of the task hub, as far as a monitor is concerned."""

from dataclasses import dataclass
from datetime import datetime

_TERMINATED = {"Terminated", "Canceled"}
ENDED = _TERMINATED | {"Completed", "Failed"}
"""The runtime statuses of instances that do nothing more."""


@dataclass(frozen=True)
class Instance:
    """An instance of the task hub.

    Attributes:
        runtime_status: As the management API spells it.
        run: The run of the monitor that it watches; None if it watches none.
        reason: Its output, if that is text: the reason given to a terminate.
        updated_at: When it last changed: the time of its end, once it has ended.
        foreign: Whether it is of another orchestrator than its id says: somebody started it through
            the management API.
    """

    runtime_status: str
    run: int | None
    reason: str | None = None
    updated_at: datetime | None = None
    foreign: bool = False

    @property
    def ended(self) -> bool:
        """Whether the instance has ended."""
        return self.runtime_status in ENDED

    @property
    def suspended(self) -> bool:
        """Whether it handles no timer and no event until it is resumed."""
        return self.runtime_status == "Suspended"

    @property
    def terminated(self) -> bool:
        """Whether somebody ended it through the management API."""
        return self.runtime_status in _TERMINATED
