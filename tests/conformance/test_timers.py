"""Durable timers and retries."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.conformance.hub import Hub, eventually, new_id

HOURS = 3600.0
DAYS = 24 * HOURS


def timers(hub: Hub, id_: str, kind: str = "TimerCreated") -> list[dict[str, Any]]:
    return [event for event in hub.history(id_) if event["EventType"] == kind]


def delay(timer: dict[str, Any]) -> timedelta:
    due, at = (datetime.fromisoformat(timer[name]) for name in ("FireAt", "Timestamp"))
    return due - at


def sleeping(hub: Hub, name: str, input_: Any = None) -> dict[str, Any]:
    """The timer of an instance that sleeps; the instance is ended."""
    id_ = hub.start(name, input_)
    (timer,) = eventually(lambda: timers(hub, id_))
    hub.operate(id_, "terminate")
    return timer


def test_a_timer_fires_up_to_a_second_early(hub: Hub) -> None:
    """Its delay is cut to whole seconds; the orchestrator's own clock says how long it was."""
    assert 2 <= hub.output("Sleep", 3.0) < 60


def test_a_timer_of_a_second_fires_at_once(hub: Hub, other_host: str | None) -> None:
    if other_host:
        pytest.skip("another host may be busy for longer")
    assert any(hub.output("Sleep", 1.0) < 0.9 for _ in range(5)), "a busy machine may be late once"


@pytest.mark.parametrize("seconds", [0, -5, -10 * DAYS])
def test_a_timer_of_the_past_fires_at_once(hub: Hub, seconds: float) -> None:
    assert hub.output("Sleep", seconds) < 60


def test_a_timer_of_the_year_one_fails_the_instance(hub: Hub) -> None:
    """The SDK writes such a year without its zeros."""
    assert "Could not convert string to DateTime" in hub.failure("SleepUntilYearOne")


def test_a_naive_time_fails_the_instance(hub: Hub) -> None:
    assert "offset-naive and offset-aware" in hub.failure("SleepNaive")


def test_a_time_of_another_zone_is_off_by_its_offset(hub: Hub) -> None:
    """The SDK drops the offset: what is due now waits for two hours."""
    two_hours = timedelta(hours=2)
    assert abs(delay(sleeping(hub, "SleepElsewhere")) - two_hours) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("seconds", "first"),
    [(10 * DAYS, 3 * DAYS), (6 * DAYS + 60, 3 * DAYS), (6 * DAYS, 6 * DAYS), (DAYS, DAYS)],
)
def test_a_timer_of_more_than_six_days_comes_in_pieces(
    hub: Hub, seconds: float, first: float
) -> None:
    """Of three days each; the SDK is told both lengths by the host."""
    off = delay(sleeping(hub, "Sleep", seconds)) - timedelta(seconds=first)
    assert abs(off) < timedelta(seconds=5)


def test_an_open_timer_keeps_an_instance_running_that_has_returned(hub: Hub) -> None:
    id_ = hub.start("LeaveTimer", {"seconds": 3})
    eventually(lambda: "TaskCompleted" in str(hub.history(id_)))
    assert hub.status(id_)["runtimeStatus"] == "Running"
    status = hub.end(id_)
    assert (status["runtimeStatus"], status["output"]) == ("Completed", "returned")
    assert len(timers(hub, id_, "TimerFired")) == 1


def test_a_cancelled_timer_does_not(hub: Hub) -> None:
    id_ = hub.start("LeaveTimer", {"seconds": HOURS, "cancel": True})
    status = hub.end(id_)
    assert (status["runtimeStatus"], status["output"]) == ("Completed", "returned")


# -- retries --------------------------------------------------------------------------------


def test_a_retry_takes_a_timer_after_each_failure_and_one_more_after_the_last(hub: Hub) -> None:
    """Without that last timer, which fires at once, the SDK would wait for ever."""
    text = new_id()
    id_ = hub.start("Retry", {"name": "Raise", "input": text})
    status = hub.end(id_)
    assert status["runtimeStatus"] == "Completed"
    assert status["output"].startswith("gave up: Activity function 'Raise' failed:")
    assert hub.calls(f"Raise {text}") == 3
    assert len(timers(hub, id_, "TimerFired")) == 3
    delays = [delay(timer).total_seconds() for timer in timers(hub, id_)]
    assert delays == pytest.approx([0.02, 0.02, 0], abs=0.02)


def test_a_retry_ends_with_the_first_success(hub: Hub) -> None:
    id_ = hub.start("Retry", {"name": "FailUntil", "input": {"key": new_id(), "calls": 2}})
    assert hub.end(id_)["output"] == 2
    assert len(timers(hub, id_, "TimerFired")) == 1
