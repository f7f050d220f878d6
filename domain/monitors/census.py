"""The state of all monitors in a few numbers, for any log sink to draw."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import NamedTuple

from pydantic import AwareDatetime

from domain.monitors.monitor import MonitorRow, State
from domain.outcome import Outcome
from domain.wire import InternalModel


class End(NamedTuple):
    """A monitor that ended.

    Attributes:
        source: Its source.
        state: How it ended.
        lag_seconds: The time from the verdict to the stored row.
    """

    source: str
    state: State
    lag_seconds: float


@dataclass(frozen=True)
class Census:
    """Counts of monitors. Times are in seconds; None if there is nothing to measure.

    Attributes:
        live: The live monitors.
        ends: The monitors that ended since the last census.
        by_source: Their numbers by source and state.
        blind: How many of the live ones can't see their job; so are the other flags.
        unrecognised: How many have a status that no list of outcomes holds.
        poll_latency_p50: How late the last polls of the live ones came: the median.
        poll_latency_p95: The value that 95 of 100 do not exceed.
        end_lag_p50: The lag of the ends, from the verdict to the row: the median.
        end_lag_p95: The value that 95 of 100 do not exceed.
        swept: How many rely on a sweep, so that they poll now and then only.
    """

    live: int
    ends: int
    by_source: dict[str, dict[str, int]]
    blind: int
    stale: int
    overdue: int
    stalled: int
    paused: int
    unrecognised: int
    poll_latency_p50: float | None
    poll_latency_p95: float | None
    end_lag_p50: float | None
    end_lag_p95: float | None
    swept: int = 0


class WatchdogRun(InternalModel):
    """The newest run of the watchdog that went well, and the newest that failed.

    Attributes:
        ended_at: When the run ended; None before the first.
        complete: Whether it came to all live monitors; else the next run goes on.
        live: The live monitors that it saw.
        blind: How many of them can't see their job.
        stale: How many have gone silent.
        unchecked: How many could not be checked.
        failed_at: When a run last failed.
        detail: Why.
    """

    ended_at: AwareDatetime | None = None
    complete: bool = False
    live: int = 0
    blind: int = 0
    stale: int = 0
    unchecked: int = 0
    failed_at: AwareDatetime | None = None
    detail: str | None = None


class Watched(InternalModel):
    """The live monitors of a source, as one run of the watchdog saw them.

    Attributes:
        at: When the run ended.
        complete: Whether it came to all live monitors of the app.
        live: The live monitors of the source that it saw.
        blind: How many of them can't see their job.
        polls: The polls that they have made since they began.
        failed_polls: Those of them that could not see the job.
    """

    at: AwareDatetime
    complete: bool
    live: int
    blind: int
    polls: int
    failed_polls: int


def watched_by_source(
    rows: Iterable[MonitorRow], at: datetime, *, complete: bool
) -> dict[str, Watched]:
    """What a run of the watchdog saw of each source that has live monitors."""
    by_source: dict[str, list[MonitorRow]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append(row)
    return {
        source: Watched(
            at=at,
            complete=complete,
            live=len(of),
            blind=sum(row.blind for row in of),
            polls=sum(row.polls for row in of),
            failed_polls=sum(row.failed_polls for row in of),
        )
        for source, of in by_source.items()
    }


def take_census(rows: Sequence[MonitorRow], ends: Sequence[End]) -> Census:
    """Count live monitors, and those that ended since the last census."""
    by_source: dict[str, dict[str, int]] = {}
    kinds = [(row.source, row.state) for row in rows] + [(end.source, end.state) for end in ends]
    for source, state in kinds:
        states = by_source.setdefault(source, {})
        states[state] = states.get(state, 0) + 1
    latencies = [row.late_seconds for row in rows if row.late_seconds is not None]
    lags = [end.lag_seconds for end in ends]
    return Census(
        live=len(rows),
        ends=len(ends),
        by_source=by_source,
        blind=sum(row.blind for row in rows),
        stale=sum(row.stale for row in rows),
        overdue=sum(row.overdue for row in rows),
        stalled=sum(row.stalled for row in rows),
        paused=sum(row.paused for row in rows),
        swept=sum(row.swept for row in rows),
        unrecognised=sum(row.outcome is Outcome.UNRECOGNISED for row in rows),
        poll_latency_p50=percentile(latencies, 50),
        poll_latency_p95=percentile(latencies, 95),
        end_lag_p50=percentile(lags, 50),
        end_lag_p95=percentile(lags, 95),
    )


def percentile(values: Iterable[float], percent: int) -> float | None:
    """The smallest of the values that so many percent do not exceed; None of no value."""
    ordered = sorted(values)
    return ordered[ceil(len(ordered) * percent / 100) - 1] if ordered else None
