"""An instance of the task hub, as far as a monitor is concerned."""

from dataclasses import dataclass

_TERMINATED = {"Terminated", "Canceled"}
_ENDED = _TERMINATED | {"Completed", "Failed"}


@dataclass(frozen=True)
class Instance:
    """An instance of the task hub.

    Attributes:
        runtime_status: As the management API spells it.
        run: The run of the monitor that it watches; None if it is no monitor.
        reason: Its output, if that is text: the reason given to a terminate.
    """

    runtime_status: str
    run: int | None
    reason: str | None

    @property
    def ended(self) -> bool:
        """Whether it does nothing more."""
        return self.runtime_status in _ENDED

    @property
    def terminated(self) -> bool:
        """Whether somebody ended it through the management API."""
        return self.runtime_status in _TERMINATED
