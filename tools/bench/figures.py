"""Figures, and how they are taken."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple


class Figure(NamedTuple):
    """A line of the table; a name that is indented belongs to the one above."""

    name: str
    value: float
    unit: str


@dataclass
class Spent:
    """Seconds of this process's CPU time, and by the clock on the wall."""

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def cpu_and_wall() -> Iterator[Spent]:
    """Measure the CPU and wall time of the block."""
    spent, cpu, wall = Spent(), time.process_time(), time.perf_counter()
    yield spent
    spent.cpu, spent.wall = time.process_time() - cpu, time.perf_counter() - wall


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of values in ascending order."""
    return ordered[max(round(len(ordered) * percent / 100) - 1, 0)]


def spread(name: str, seconds: list[float]) -> list[Figure]:
    """Median and upper percentiles of durations, in milliseconds."""
    ordered = sorted(seconds)
    return [
        Figure(f"{name}, median", percentile(ordered, 50) * 1e3, "ms"),
        Figure("  p90", percentile(ordered, 90) * 1e3, "ms"),
        Figure("  p95", percentile(ordered, 95) * 1e3, "ms"),
    ]
