"""The plan of a run: jobs and their ends, starts, and all that is done about them, from the seed.

Times are seconds since the beginning. Only the operations that a kill hits are left to chance.
`tools.chaos.kinds` has the kinds of jobs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from domain.monitors.monitor import State

LONG = 3_600
"""Seconds that a watch may take where its expiry is not what is tried."""

POLLED, SWEPT = "chaos", "swept"
"""The sources: one job system, watched in two ways."""

SWEEP_INTERVAL = 2
"""Seconds between two sweeps."""

LOST_AFTER = 2
"""Seconds that "not found" must last, by the source's configuration."""

HUB_KNOWN = 75.0
"""Seconds after which the watchdog tells a purged instance from a lost task hub."""


class Do(StrEnum):
    """The operations on a monitor, but for its start."""

    HINT = "hint"
    STOP = "stop"
    STOP_AND_CANCEL = "stop and cancel"
    TERMINATE = "terminate"
    PURGE = "terminate, look, purge"
    PURGE_UNSEEN = "terminate, purge"
    RESTART = "restart"
    CHANGE = "change"
    SUSPEND = "suspend"
    FORGE = "forge"
    COPY = "copy"


STOPS = frozenset({Do.STOP, Do.STOP_AND_CANCEL})
TERMINATES = frozenset({Do.TERMINATE, Do.PURGE, Do.PURGE_UNSEEN})


@dataclass(frozen=True)
class Act:
    """An operation and its time.

    Attributes:
        at: When it is done, or soon after.
        do: The operation.
        settings: Of a change. A crafted start may have `sleeps`: its next poll is far away.
    """

    at: float
    do: Do
    settings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A job and what is done about it.

    Attributes:
        id: Its id in the job system.
        starts: When its callers ask for a monitor, all with the same settings.
        begins_at: When it begins to run, unless its starts submit it.
        life: How long it runs; None for a job that runs for ever.
        end: How it ends, by itself. `Lost` is a job that its system forgets, or never knew.
        hidden: For how long its system does not know it at first.
        swept: Whether it is in the source that a sweep looks after.
        submitted: Whether each start submits a job, under this same id.
        keyed: Whether those starts bring an Idempotency-Key.
        repeats: How often each start is sent at once.
        cut_submit: Whether the answer to the first submit never comes.
        interval: Seconds between polls.
        timeout: Seconds until the watch expires.
        on_expiry: `leave` or `cancel`.
        troubles: Polls, by number, that get no proper answer.
        acts: What people and programs do about its watch.
    """

    id: str
    starts: tuple[float, ...] = ()
    begins_at: float = 0
    life: float | None = None
    end: State | None = None
    hidden: float = 0
    swept: bool = False
    submitted: bool = False
    keyed: bool = False
    repeats: int = 1
    cut_submit: bool = False
    interval: int = 1
    timeout: int = LONG
    on_expiry: str = "leave"
    troubles: Mapping[int, str] = field(default_factory=dict)
    acts: tuple[Act, ...] = ()

    @property
    def source(self) -> str:
        """The name of its source."""
        return SWEPT if self.swept else POLLED

    def has(self, *operations: Do) -> bool:
        """Whether one of the operations is among its acts."""
        return any(act.do in operations for act in self.acts)


@dataclass(frozen=True)
class Plan:
    """The jobs of a run. Parts are killed for `seconds`."""

    seed: int
    seconds: float
    jobs: tuple[Job, ...]

    def random(self, what: str) -> Random:
        """A generator for one purpose, so that other purposes do not change its numbers."""
        return Random(f"{self.seed} {what}")  # noqa: S311 - no secret
