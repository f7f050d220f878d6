"""The decision table of the watchdog."""

from datetime import datetime, timedelta

import pytest

from domain.monitors.instance import Instance
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.recovery import START_GRACE, Recovery, decide_recovery
from tests.unit.rows import NOW, row

MINUTE = timedelta(minutes=1)
RUNNING = Instance("Running", 2, None)


@pytest.mark.parametrize("state", [s for s in State if s.final])
@pytest.mark.parametrize("status", [None, "Running", "Failed", "Terminated"])
def test_a_row_that_ended_is_only_tidied(state: State, status: str | None) -> None:
    """I3."""
    instance = status and Instance(status, 2, None)
    todo = decide_recovery(row(state=state), instance or None, None, NOW + timedelta(days=9))
    assert todo is Recovery.SYNC_INDEXES


@pytest.mark.parametrize(
    ("status", "run", "todo"),
    [
        (None, None, Recovery.RESUME),
        ("Failed", 2, Recovery.RESUME),
        ("Completed", 2, Recovery.RESUME),
        ("Completed", 1, Recovery.RESUME),
        ("Terminated", 1, Recovery.RESUME),
        ("Running", 1, Recovery.RESUME),
        ("Running", None, Recovery.RESUME),
        ("Terminated", 2, Recovery.END),
        ("Canceled", 2, Recovery.END),
        ("Running", 2, Recovery.NOTHING),
        ("Pending", 2, Recovery.NOTHING),
        ("Suspended", 2, Recovery.NOTHING),
    ],
)
def test_a_live_row_gets_what_its_instance_asks_for(
    status: str | None, run: int | None, todo: Recovery
) -> None:
    """I2."""
    instance = Instance(status, run, None) if status else None
    assert decide_recovery(row(), instance, None, NOW + START_GRACE) is todo


def test_a_start_that_is_under_way_is_left_alone() -> None:
    """I1."""
    just_before = NOW + START_GRACE - timedelta(microseconds=1)
    assert decide_recovery(row(), None, None, just_before) is Recovery.NOTHING


@pytest.mark.parametrize(
    ("silent", "stale", "todo"),
    [
        (3 * MINUTE + START_GRACE, False, Recovery.NOTHING),
        (3 * MINUTE + START_GRACE + timedelta(seconds=1), False, Recovery.FLAG_STALE),
        (timedelta(days=1), True, Recovery.FLAG_STALE),
    ],
)
def test_a_watch_that_is_silent_beyond_its_plan_is_called_stale(
    silent: timedelta, stale: bool, todo: Recovery
) -> None:
    planned = NOW + timedelta(minutes=15)  # after failures, say
    beaten = row(next_poll_at=planned, stale=stale)
    assert decide_recovery(beaten, RUNNING, None, planned + silent) is todo


SUSPENDED = Instance("Suspended", 2)
POLLED = row(last_poll_at=NOW + 2 * MINUTE, polls=1)


@pytest.mark.parametrize(
    ("now", "wakes"),
    [
        (row(), False),
        (row(stop={"reason": "enough"}), True),
        (row(expire_time=NOW + MINUTE), True),
    ],
)
def test_a_suspended_watch_that_is_to_end_is_woken(now: MonitorRow, wakes: bool) -> None:
    todo = decide_recovery(now, SUSPENDED, None, NOW + 2 * MINUTE)
    assert (todo is Recovery.WAKE) is wakes


@pytest.mark.parametrize(
    ("now", "hub_since", "todo"),
    [
        (POLLED, NOW, Recovery.END),
        (POLLED, NOW + MINUTE, Recovery.RESUME),
        (POLLED, None, Recovery.RESUME),
        (row(), NOW, Recovery.RESUME),
        (POLLED.model_copy(update={"resumed": True}), NOW, Recovery.RESUME),
    ],
    ids=["purged", "a hub that was lost since", "unknown hub", "never polled", "started again"],
)
def test_a_missing_instance(now: MonitorRow, hub_since: datetime | None, todo: Recovery) -> None:
    """I2: what was purged has ended; what a lost hub took away is watched again."""
    assert decide_recovery(now, None, hub_since, NOW + 9 * MINUTE) is todo
