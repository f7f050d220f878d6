"""The plan of a run: jobs and their ends, starts, hints, stops and terminates, all from the seed.

Times are seconds since the beginning. Only the operations that a kill hits are left to chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from domain.monitors.monitor import State

LONG = 3_600
"""Seconds that a watch may take where its expiry is not what is tried."""

_TROUBLES = ("500", "500", "429", "slow", "hang", "reset", "html")
_KINDS = {
    State.SUCCEEDED: 44,
    State.FAILED: 14,
    State.CANCELLED: 8,
    State.EXPIRED: 16,
    State.LOST: 10,
    State.STOPPED: 4,
    State.TERMINATED: 4,
}


@dataclass(frozen=True)
class Job:
    """A job and what is done about it.

    Attributes:
        id: Its id in the job system.
        verdict: What must become of its watch; see `ends_at`.
        starts: When its callers ask for a monitor, all with the same settings.
        interval: Seconds between polls.
        timeout: Seconds until the watch expires.
        ends_at: When the job ends. If that is near the expiry, `Expired` may be right too.
        troubles: Polls, by number, that get no proper answer.
        hints: When somebody hints.
        meddles: When the watch is stopped or terminated; not before all callers are answered.
    """

    id: str
    verdict: State
    starts: tuple[float, ...]
    interval: int
    timeout: int
    ends_at: float | None = None
    troubles: Mapping[int, str] = field(default_factory=dict)
    hints: tuple[float, ...] = ()
    meddles: float | None = None


@dataclass(frozen=True)
class Plan:
    """The jobs of a run. Parts are killed for `seconds`."""

    seed: int
    seconds: float
    jobs: tuple[Job, ...]

    def random(self, what: str) -> Random:
        """A generator for one purpose, so that other purposes do not change its numbers."""
        return Random(f"{self.seed} {what}")  # noqa: S311 - no secret


def make_plan(seed: int, monitors: int, seconds: float) -> Plan:
    """The plan of a seed."""
    rng = Random(seed)  # noqa: S311 - no secret
    kinds = rng.choices(list(_KINDS), list(_KINDS.values()), k=monitors)
    # Each kind is in it, also when there are few.
    kinds[: len(_KINDS)] = _KINDS
    jobs = tuple(_job(rng, number, kind, seconds) for number, kind in enumerate(kinds))
    return Plan(seed, seconds, jobs)


def _job(rng: Random, number: int, verdict: State, seconds: float) -> Job:
    # Ids that can't stand in a URL, and are hashed, are among them.
    name = f"Job {number}/ä?" if number % 20 == 7 else f"job-{number:05}"
    start = rng.uniform(0, seconds * 0.85)
    callers = rng.choices((1, 2, 5), (80, 15, 5))[0]
    starts = [start, *(start + rng.uniform(0, 1) for _ in range(callers - 1))]
    if rng.random() < 0.1:
        starts.append(start + rng.uniform(0, seconds / 2))
    life = rng.uniform(1, min(60.0, seconds))
    ends_at = timeout = None
    if verdict.job_ended:
        ends_at = start + life
        if rng.random() < 0.1:
            timeout = max(round(life) + rng.choice((-1, 0, 1)), 1)
    elif verdict is State.EXPIRED:
        timeout = round(life) + 1
    troubled = timeout is None and rng.random() < 0.5
    return Job(
        id=name,
        verdict=verdict,
        starts=tuple(starts),
        interval=rng.choice((1, 2, 2, 3)),
        timeout=timeout or LONG,
        ends_at=ends_at,
        troubles={
            poll: rng.choice(_TROUBLES) for poll in range(1, 6) if troubled and rng.random() < 0.3
        },
        hints=tuple(start + rng.uniform(0, life) for _ in range(rng.choice((0, 0, 0, 1, 3)))),
        # The watchdog is to see a terminated instance at the last start of the host.
        meddles=(
            min(start + life, seconds - 3) if verdict in (State.STOPPED, State.TERMINATED) else None
        ),
    )
