"""The numbers that the watchdog logs at every run."""

import pytest

from domain.monitors.census import (
    Census,
    End,
    Watched,
    percentile,
    take_census,
    watched_by_source,
)
from domain.monitors.monitor import State
from domain.outcome import Outcome
from tests.unit.rows import NOW, row


def test_no_monitor_gives_zeros() -> None:
    nothing = Census(0, 0, {}, 0, 0, 0, 0, 0, 0, None, None, None, None)
    assert take_census([], []) == nothing


def test_monitors_are_counted_by_source_state_and_flag() -> None:
    rows = [
        row(blind=True, late_seconds=1.0),
        row(stale=True, overdue=True, late_seconds=3.0),
        row(source="other", stalled=True, paused=True, outcome=Outcome.UNRECOGNISED),
    ]
    ends = [End("demo", State.FAILED, 4.0), End("demo", State.FAILED, 2.0)]
    census = take_census(rows, ends)
    assert census.by_source == {
        "demo": {"Monitoring": 2, "Failed": 2},
        "other": {"Monitoring": 1},
    }
    assert (census.live, census.ends) == (3, 2)
    flags = (census.blind, census.stale, census.overdue, census.stalled, census.paused)
    assert (*flags, census.unrecognised) == (1, 1, 1, 1, 1, 1)
    # The third has not polled yet.
    assert (census.poll_latency_p50, census.poll_latency_p95) == (1.0, 3.0)
    assert (census.end_lag_p50, census.end_lag_p95) == (2.0, 4.0)


def test_what_was_seen_of_the_live_ones_is_summed_by_source() -> None:
    rows = [row(polls=5, failed_polls=2, blind=True), row(polls=3), row(source="other", polls=1)]
    found = watched_by_source(rows, NOW, complete=False)
    assert found == {
        "demo": Watched(at=NOW, complete=False, live=2, blind=1, polls=8, failed_polls=2),
        "other": Watched(at=NOW, complete=False, live=1, blind=0, polls=1, failed_polls=0),
    }


@pytest.mark.parametrize(
    ("values", "percent", "found"),
    [
        ([], 50, None),
        ([7], 50, 7),
        ([7], 95, 7),
        ([2, 1], 50, 1),
        ([3, 1, 2], 50, 2),
        (range(1, 101), 50, 50),
        (range(1, 101), 95, 95),
        (range(1, 21), 95, 19),
        (range(1, 22), 95, 20),
    ],
)
def test_a_percentile_is_one_of_the_values(
    values: list[float], percent: int, found: float | None
) -> None:
    assert percentile(values, percent) == found
