"""The decision table of the watchdog."""

from datetime import timedelta

import pytest

from domain.monitor import State
from domain.watch_over import START_GRACE, Measure, measure
from tests.unit.rows import NOW, row

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("state", [s for s in State if s.final])
@pytest.mark.parametrize("status", [None, "Running", "Failed", "Terminated"])
def test_a_row_that_ended_is_only_tidied(state: State, status: str | None) -> None:
    """I3."""
    assert measure(row(state=state), status, 2, NOW + timedelta(days=9)) is Measure.SETTLE


@pytest.mark.parametrize(
    ("status", "run", "todo"),
    [
        (None, None, Measure.RESUME),
        ("Failed", 2, Measure.RESUME),
        ("Completed", 2, Measure.RESUME),
        ("Completed", 1, Measure.RESUME),
        ("Terminated", 1, Measure.RESUME),
        ("Running", 1, Measure.RESUME),
        ("Running", None, Measure.RESUME),
        ("Terminated", 2, Measure.END),
        ("Canceled", 2, Measure.END),
        ("Running", 2, Measure.NOTHING),
        ("Pending", 2, Measure.NOTHING),
        ("Suspended", 2, Measure.NOTHING),
    ],
)
def test_a_live_row_gets_what_its_instance_asks_for(
    status: str | None, run: int | None, todo: Measure
) -> None:
    """I2."""
    assert measure(row(), status, run, NOW + START_GRACE) is todo


def test_a_start_that_is_under_way_is_left_alone() -> None:
    """I1."""
    just_before = NOW + START_GRACE - timedelta(microseconds=1)
    assert measure(row(), None, None, just_before) is Measure.NOTHING


@pytest.mark.parametrize(
    ("silent", "stale", "todo"),
    [
        (3 * MINUTE + START_GRACE, False, Measure.NOTHING),
        (3 * MINUTE + START_GRACE + timedelta(seconds=1), False, Measure.CALL_STALE),
        (timedelta(days=1), True, Measure.CALL_STALE),
    ],
)
def test_a_watch_that_is_silent_beyond_its_plan_is_called_stale(
    silent: timedelta, stale: bool, todo: Measure
) -> None:
    planned = NOW + timedelta(minutes=15)  # after failures, say
    beaten = row(next_poll_at=planned, stale=stale)
    assert measure(beaten, "Running", 2, planned + silent) is todo
