"""Hours and days of monitoring, on the virtual clock."""

import threading
from datetime import timedelta

import pytest

from devhost.engine import Point
from domain.monitors.decide import CANCEL_ATTEMPTS, TIMER_EARLY
from tests.api import Body, new_job_id
from tests.faulty_source import Reply
from tests.virtual.conftest import Lab

# The SDK warns of every event that comes while nothing awaits it, as hints may.
pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")

RUNNING: Body = {"status": "processing"}
DONE: Body = {"status": "completed"}


@pytest.mark.parametrize("hours", [1, pytest.param(24, marks=pytest.mark.long)])
def test_hours_of_polls_with_the_hourly_cleanup(lab: Lab, hours: int) -> None:
    """I4: the history of a generation stays bounded, over 1,440 polls in a day."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    begin = lab.host.now
    timeout = timedelta(hours=hours)
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60, timeoutSeconds=3_600 * hours)
    assert lab.api.call("POST", "/api/cleanup").status_code == 202
    lab.host.advance(hours=hours, seconds=-1)
    status = lab.host.status(started["id"])
    assert status["runtimeStatus"] == "Running"
    # A timer may fire up to a second early: a minute of polls is 59 to 60 seconds.
    assert 60 * hours <= status["customStatus"]["polls"] <= 60 * hours * 60 / 59 + 1
    assert len(status["historyEvents"]) <= 6
    assert lab.host.status("periodic-cleanup")["customStatus"]["runs"] in (hours, hours + 1)
    lab.host.advance(seconds=2)
    row = lab.table.get(started["id"])
    assert row is not None
    assert row.state == "Expired"
    assert row.ended_at is not None
    assert timedelta(0) <= row.ended_at - (begin + timeout) <= TIMER_EARLY


def test_polls_that_change_nothing_are_written_every_third_time(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count of polls and the lateness are right all the same, also over a new process."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    writes: list[int] = []

    def note(monitor_id: str, at: int) -> None:
        row = lab.row(monitor_id)
        if row.polls not in writes:
            writes.append(row.polls)
        assert row.late_seconds in (None, 0.0), (at, row.late_seconds)
        assert not row.stale

    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60, timeoutSeconds=1_500)
    for minute in range(20):
        lab.host.advance(seconds=60)
        note(started["id"], minute)
        if minute % 4 == 1:
            lab.host.restart()
    assert writes == list(range(1, 22, 3))
    lab.host.raise_event(started["id"], "Hint")
    lab.host.advance(seconds=1)
    hinted = lab.row(started["id"])
    assert hinted.last_poll_at is not None
    assert lab.host.now - hinted.last_poll_at <= timedelta(seconds=1)
    lab.host.run_until(lab.ended(job_id), minutes=10)
    row = lab.row(started["id"])
    looks = sum(job_id in each.target for each in lab.source.requests)
    assert (row.state, row.polls) == ("Expired", looks)


@pytest.mark.parametrize("last", [DONE, RUNNING])
def test_the_last_poll_is_made_just_after_the_expire_time(lab: Lab, last: Body) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING, RUNNING, last)
    begin = lab.host.now
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60, timeoutSeconds=90)
    lab.host.advance(seconds=89.999999)
    assert lab.state(job_id) == "Monitoring"
    lab.host.advance(seconds=0.000001)
    lab.host.run_until(lab.ended(job_id))
    row = lab.table.get(started["id"])
    assert row is not None
    assert (row.state, row.polls) == ("Succeeded" if last is DONE else "Expired", 3)
    assert row.expire_time == begin + timedelta(seconds=90)
    assert row.ended_at is not None
    assert timedelta(0) <= row.ended_at - row.expire_time <= TIMER_EARLY


def test_a_poll_that_the_expiry_overtakes_is_not_the_last_look(lab: Lab) -> None:
    """It saw the job running before the expiry, and came back, from a host that was dead, after."""
    job_id = new_job_id()

    def overtaken() -> Body:
        lab.host.set_clock(seconds=31)
        return RUNNING

    lab.source.behave(job_id, overtaken, DONE)
    lab.api.start(jobId=job_id, pollIntervalSeconds=60, timeoutSeconds=30)
    lab.host.run_until(lab.ended(job_id))
    assert lab.state(job_id) == "Succeeded"


def test_hours_of_outage_cost_few_polls_and_lose_nothing(lab: Lab) -> None:
    """I6: the back-off goes to 15 minutes, and the watch sees the end after the outage."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING, "500")
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(hours=2)
    status = lab.host.status(started["id"])["customStatus"]
    assert status["state"] == "Monitoring"
    assert status["rawStatus"] == "processing"
    assert 8 <= status["polls"] <= 14  # 1 + 2 + 4 + 8 minutes, then four an hour
    lab.source.behave(job_id, DONE)
    lab.host.advance(minutes=17)
    assert lab.state(job_id) == "Succeeded"


def test_the_sources_wish_for_a_pause_is_granted(lab: Lab) -> None:
    job_id = new_job_id()
    throttled = Reply(429, headers=(("Retry-After", "600"),))
    lab.source.behave(job_id, throttled, DONE)
    lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(minutes=9, seconds=58)
    assert lab.state(job_id) == "Monitoring"
    lab.host.advance(seconds=1)
    lab.host.run_until(lab.ended(job_id))
    assert lab.state(job_id) == "Succeeded"


def test_a_hint_brings_the_poll_forward(lab: Lab) -> None:
    """I7."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING, DONE)
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=3_600)
    lab.host.advance(seconds=10)
    lab.host.raise_event(started["id"], "Hint")
    lab.host.run_until(lab.ended(job_id), seconds=1)
    assert lab.state(job_id) == "Succeeded"


@pytest.mark.parametrize("hints", [1, 2, 5])
@pytest.mark.parametrize("poll_by", ["timer", "hint"])
def test_a_hint_during_a_poll_brings_another_poll(lab: Lab, poll_by: str, hints: int) -> None:
    """I7: the poll in flight may not have seen yet what the hint is about."""
    job_id = new_job_id()
    asked, answered = threading.Event(), threading.Event()

    def in_flight() -> Body:
        asked.set()
        assert answered.wait(60)
        return RUNNING

    if poll_by == "hint":
        lab.source.behave(job_id, RUNNING)
        started = lab.api.start(jobId=job_id, pollIntervalSeconds=3_600)
        lab.host.advance(seconds=10)
        lab.source.behave(job_id, in_flight, DONE)
        lab.host.raise_event(started["id"], "Hint")
    else:
        lab.source.behave(job_id, in_flight, DONE)
        started = lab.api.start(jobId=job_id, pollIntervalSeconds=3_600)
        lab.host.clock.begin(timedelta(0))
    assert asked.wait(60)
    for _ in range(hints):
        lab.host.raise_event(started["id"], "Hint")
    answered.set()
    lab.host.run_until(lab.ended(job_id), seconds=5)
    assert lab.state(job_id) == "Succeeded"


def test_a_flood_of_hints_does_not_become_a_flood_of_polls(lab: Lab) -> None:
    """I7: a thousand hints over ten seconds cost about a poll a second."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=3_600)
    lab.host.advance(seconds=10)
    for _ in range(100):
        for _ in range(10):
            lab.host.raise_event(started["id"], "Hint")
        lab.host.advance(seconds=0.1)
    lab.host.advance(seconds=10)
    assert 2 <= lab.host.status(started["id"])["customStatus"]["polls"] <= 14


@pytest.mark.parametrize("point", Point)
@pytest.mark.parametrize("polls", [1, 2])
def test_a_host_that_dies_at_any_point_stores_the_end_once(
    lab: Lab, point: Point, polls: int
) -> None:
    """I2, I3: the point is reached during the first poll, or during the one that ends it."""
    job_id, go_on = new_job_id(), threading.Event()

    def held() -> Body:
        """The poll is under way until the point is set, however slow this thread is."""
        assert go_on.wait(60)
        return RUNNING

    lab.source.behave(job_id, *[RUNNING] * (polls - 1), held, DONE)
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    if polls == 2:
        lab.host.advance(seconds=30)
    lab.host.crash_at(point, started["id"].__eq__)
    go_on.set()
    lab.host.advance(minutes=10)
    assert lab.host.crashed
    lab.host.restart()
    lab.host.run_until(lab.ended(job_id))
    stored = lab.table.read(started["id"])
    assert stored is not None
    assert stored.row.state == "Succeeded"
    assert [line.event for line in stored.log].count("ended") == 1
    assert lab.host.wait_for(started["id"])["runtimeStatus"] == "Completed"


def test_a_cleanup_that_was_ended_is_started_again(lab: Lab) -> None:
    lab.host.advance(minutes=1)
    assert lab.host.status("periodic-cleanup")["runtimeStatus"] == "Running"
    lab.host.terminate("periodic-cleanup", "an accident")
    lab.host.wait_for("periodic-cleanup", "Terminated")
    lab.host.advance(minutes=6)
    assert lab.host.status("periodic-cleanup")["runtimeStatus"] == "Running"


def test_the_cleanup_sleeps_an_hour_from_its_end(lab: Lab) -> None:
    """Its timer may fire up to a second early."""

    def runs() -> int:
        count: int = lab.host.status("periodic-cleanup")["customStatus"]["runs"]
        return count

    lab.host.advance(seconds=0)  # the watchdog starts it with the host
    for number in (1, 2, 3):
        assert runs() == number
        lab.host.advance(minutes=59, seconds=58)
        assert runs() == number
        lab.host.run_until(lambda number=number: runs() > number, seconds=2)  # type: ignore[misc]


def test_a_cancel_that_is_refused_is_tried_again_and_its_result_stored(lab: Lab) -> None:
    """I5: the end of the watch is stored either way."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    lab.source.behave("cancel", "500")
    started = lab.api.start(jobId=job_id, timeoutSeconds=60, onExpiry="cancel")
    lab.host.run_until(lab.ended(job_id))
    row = lab.table.get(started["id"])
    assert row is not None
    assert row.state == "Expired"
    assert row.cancel_result is not None
    assert "500" in row.cancel_result
    assert sum(r.target.endswith("/cancel") for r in lab.source.requests) == CANCEL_ATTEMPTS


@pytest.mark.parametrize("point", [p for p in Point if p is not Point.BETWEEN_GENERATIONS])
def test_a_stop_survives_a_host_that_dies(lab: Lab, point: Point) -> None:
    """I2: the wish is in the row, so it does not matter which message was lost."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    lab.source.behave("cancel", {"status": "cancelled"})
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(seconds=10)
    lab.host.crash_at(point, started["id"].__eq__)
    answer = lab.api.call("POST", f"/api/monitors/{started['id']}/stop?cancelJob=true")
    assert answer.status_code == 202
    lab.host.advance(minutes=10)
    assert lab.host.crashed
    lab.host.restart()
    lab.host.run_until(lab.ended(job_id))
    row = lab.table.get(started["id"])
    assert row is not None
    assert (row.state, row.cancel_result) == ("Stopped", "accepted")
