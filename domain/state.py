"""The states of a monitor."""

from enum import StrEnum


class State(StrEnum):
    """The states of a monitor; all but the first are final."""

    MONITORING = "Monitoring"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    EXPIRED = "Expired"
    LOST = "Lost"
    UNREACHABLE = "Unreachable"
    STOPPED = "Stopped"
    TERMINATED = "Terminated"

    @property
    def final(self) -> bool:
        """Whether nothing more comes in this run."""
        return self is not State.MONITORING

    @property
    def job_ended(self) -> bool:
        """Whether the job itself ended. If only the watch ended, it may start again."""
        return self in {State.SUCCEEDED, State.FAILED, State.CANCELLED}
