"""The rules of a sweep, without a store: what a sight of a job asks for, and what it may write."""

from datetime import timedelta
from typing import Any

import pytest

from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.recovery import Recovery, decide_recovery
from domain.monitors.sweep import (
    Look,
    Mark,
    Net,
    Sweep,
    ToDo,
    covers,
    resumed_poll_at,
    safety_seconds,
    to_do,
)
from domain.outcome import Outcome, Poll, Rules
from domain.sources.page import Sight
from tests.unit.rows import NOW, row
from tests.unit.test_recovery import RUNNING

MINUTE = timedelta(minutes=1)
EVERY = timedelta(minutes=5)
NET = Net(timedelta(minutes=15), MINUTE, listing=False)
FRESH = Sweep(covers_until=NOW + 10 * MINUTE)


def sight(status: str | None = "busy", outcome: Outcome = Outcome.RUNNING, **more: Any) -> Sight:
    """A job as a list names it, or one that the list does not name."""
    if status is None:
        return Sight("a", None)
    return Sight("a", Poll.model_validate({"outcome": outcome, "rawStatus": status, **more}))


ENDED = sight("done", Outcome.SUCCEEDED)


def look(minutes: float, **more: object) -> Look:
    return Look(NOW + minutes * MINUTE, EVERY)._replace(**more)  # type: ignore[arg-type]


def seen(**given: object) -> MonitorRow:
    """A row that a poll wrote after a minute."""
    usual = {"outcome": Outcome.RUNNING, "raw_status": "busy", "last_poll_at": NOW + MINUTE}
    return row(**{**usual, "polls": 1, "swept": True, **given})


def swept(now: MonitorRow, what: Sight, at: Look, run: int = 2) -> MonitorRow | None:
    change = transitions.swept(now, run, what, at, at.at)
    return change and change.row


def polled(now: MonitorRow, status: str | None, minutes: float, **more: object) -> MonitorRow:
    outcome = Outcome.RUNNING if status else Outcome.UNREACHABLE
    poll = Poll(outcome=outcome, raw_status=status, rules=Rules())
    change = transitions.polled(now, 2, poll.model_copy(update=more), NOW + minutes * MINUTE)
    assert change
    return change.row


# -- the latest look wins -----------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "status"), [(0.5, "busy"), (1, "busy"), (1.1, "queued")])
def test_a_sweep_writes_only_by_a_request_that_began_after_the_last_look(
    minutes: float, status: str
) -> None:
    now = swept(seen(), sight("queued"), look(minutes))
    assert (now or seen()).raw_status == status


@pytest.mark.parametrize(("minutes", "status"), [(1.5, "queued"), (2, "polled"), (3, "polled")])
def test_a_poll_that_asked_before_a_sweep_keeps_what_that_saw(minutes: float, status: str) -> None:
    by_sweep = swept(seen(), sight("queued", progress=40), look(2))
    assert by_sweep
    now = polled(by_sweep, "polled", minutes)
    assert (now.raw_status, now.polls) == (status, 2)
    assert now.outcome is Outcome.RUNNING


def test_an_end_that_a_poll_saw_has_its_own_status() -> None:
    by_sweep = swept(seen(), sight("queued"), look(2))
    assert by_sweep
    now = polled(by_sweep, "done", 1.5, outcome=Outcome.SUCCEEDED)
    assert (now.raw_status, now.outcome) == ("done", Outcome.SUCCEEDED)
    assert swept(now, sight("queued"), look(3)) == now.model_copy(
        update={"woken_for": "running queued", "woken_at": NOW + 3 * MINUTE}
    )


def test_a_poll_that_saw_nothing_keeps_what_the_sweep_saw() -> None:
    by_sweep = swept(seen(), sight("queued"), look(2))
    assert by_sweep
    assert polled(by_sweep, None, 3).raw_status == "queued"


@pytest.mark.parametrize(
    ("given", "run"), [({}, 1), ({}, 3), ({"state": State.STOPPED, "ended_at": NOW}, 2)]
)
def test_a_row_of_another_run_or_of_an_end_is_not_written(
    given: dict[str, object], run: int
) -> None:
    assert swept(seen(**given), ENDED, look(5), run) is None


@pytest.mark.parametrize("what", [sight("queued"), ENDED, sight("?", Outcome.UNRECOGNISED)])
def test_a_sweep_writes_nothing_that_an_end_comes_of(what: Sight) -> None:
    before = seen()
    now = swept(before, what, look(2))
    assert now
    may_differ = {"raw_status", "progress", "message", "looked_at", "moved_at"}
    may_differ |= {"woken_for", "woken_at", "listed"}
    assert now.model_dump(exclude=may_differ) == before.model_dump(exclude=may_differ)


def test_a_sweep_makes_no_job_seen() -> None:
    assert swept(row(), ENDED, look(2)) is None


# -- wakes -------------------------------------------------------------------------------------


def test_a_watch_is_woken_once_for_each_state_that_the_list_shows() -> None:
    first = swept(seen(), ENDED, look(2))
    assert first
    assert (first.woken_for, first.woken_at) == ("succeeded done", NOW + 2 * MINUTE)
    after_poll = polled(first, "busy", 2.5)
    assert to_do(Mark.of(after_poll), ENDED, look(3)) == ToDo()  # neither woken nor written
    other = to_do(Mark.of(after_poll), sight("broken", Outcome.FAILED), look(3))
    assert other == ToDo(status=True, wake="failed broken")
    agreed = to_do(Mark.of(after_poll), sight(), look(3))
    assert agreed == ToDo(clear=True)


@pytest.mark.parametrize(
    ("since", "polled_since", "again"),
    [
        ({}, False, False),
        ({"again_since": NOW + MINUTE}, False, True),  # by a sweep that was cut off
        ({"again_since": NOW + MINUTE}, True, False),
        ({"again_since": NOW + 3 * MINUTE}, False, False),
        ({"hub_since": NOW + 3 * MINUTE}, True, True),
    ],
)
def test_a_wake_that_may_be_lost_is_sent_again(
    since: dict[str, object], polled_since: bool, again: bool
) -> None:
    woken = swept(seen(), ENDED, look(2))
    assert woken
    todo = to_do(Mark.of(woken), ENDED, look(4, **since), polled=polled_since)
    assert bool(todo.wake) is again


@pytest.mark.parametrize(
    ("listed", "listing", "expected"),
    [
        (True, True, ToDo(listed=False, wake="missing")),
        (False, True, ToDo()),
        (False, False, ToDo()),
    ],
)
def test_a_job_is_missing_only_if_a_complete_list_named_it(
    listed: bool, listing: bool, expected: ToDo
) -> None:
    mark = Mark.of(seen(listed=listed))
    assert to_do(mark, sight(None), look(2, listing=listing)) == expected


def test_a_paused_watch_is_left_alone() -> None:
    assert to_do(Mark.of(seen(paused=True)), ENDED, look(2)) == ToDo()


@pytest.mark.parametrize("changed", [{"progress": 7}, {"message": "more"}])
def test_progress_is_written_every_few_minutes_only(changed: dict[str, Any]) -> None:
    mark = Mark.of(seen(progress=5, message="some"))
    assert to_do(mark, sight("busy", **changed), look(5.9)) == ToDo()
    assert to_do(mark, sight("busy", **changed), look(6)) == ToDo(status=True)
    assert to_do(mark, sight("busy", **changed), look(2, progress_every=timedelta(0))).status
    # An answer that leaves it out says nothing about it.
    assert to_do(mark, sight("busy"), look(6)) == ToDo()


# -- the safety net ------------------------------------------------------------------------------


def test_polls_of_a_watch_that_is_looked_after_are_rare_and_spread() -> None:
    poll = Poll(outcome=Outcome.RUNNING, raw_status="busy")
    waits = [safety_seconds(NET, FRESH, seen(id=f"demo.{n}"), poll, NOW) for n in range(50)]
    assert all(wait and 810 <= wait <= 900 for wait in waits)
    assert len({*waits}) == 50


@pytest.mark.parametrize(
    ("given", "told", "wait"),
    [
        ({"warn_after_seconds": 300}, {}, 181),  # two minutes after the start
        ({"warn_after_seconds": 90}, {}, None),  # this poll tells it
        ({"warn_after_seconds": 300, "overdue": True}, {}, 181),  # the limit was moved
        ({"stall_after_seconds": 300}, {}, 181),
        ({"stall_after_seconds": 300, "moved_at": NOW + MINUTE}, {}, 241),
        ({"stall_after_seconds": 300}, {"rawStatus": "later"}, 301),  # it moved by this poll
        ({"stall_after_seconds": 110}, {"progress": 5}, 111),
        ({"stall_after_seconds": 100}, {}, 101),  # this poll tells it, and the job may move again
        ({"stall_after_seconds": 300, "stalled": True}, {"progress": 5}, 301),
        ({"stall_after_seconds": 130}, {}, 60),  # never below the interval
    ],
)
def test_a_safety_poll_comes_no_later_than_its_job_is_overdue_or_stalled(
    given: dict[str, object], told: dict[str, object], wait: float | None
) -> None:
    poll = Poll.model_validate({"outcome": Outcome.RUNNING, "rawStatus": "busy", **told})
    found = safety_seconds(NET, FRESH, seen(**given), poll, NOW + 2 * MINUTE)
    assert found is not None
    assert found == wait if wait else found >= 810


def test_a_sweep_that_sees_a_stalled_job_move_takes_the_flag_away() -> None:
    now = swept(seen(stalled=True, progress=1.0), sight(progress=2), look(10))
    assert now is not None
    assert not now.stalled
    rests = swept(seen(stalled=True, listed=False), sight(), look(10, listing=True))
    assert rests is not None
    assert rests.stalled


@pytest.mark.parametrize(
    ("sweep", "given", "listing"),
    [
        (None, {}, False),
        (Sweep(), {}, False),
        (Sweep(covers_until=NOW - 10 * MINUTE), {}, False),
        (FRESH, {"poll_interval_seconds": 30}, False),
        (FRESH, {"woken_for": "succeeded done"}, False),
        (FRESH, {"listed": False}, True),
    ],
    ids=["no sweep", "a new one", "a silent one", "own interval", "told otherwise", "not named"],
)
def test_a_watch_that_no_sweep_looks_after_polls_for_itself(
    sweep: Sweep | None, given: dict[str, object], listing: bool
) -> None:
    assert covers(NET._replace(listing=listing), FRESH, seen(listed=True), NOW)
    now = seen(**given)
    assert not covers(NET._replace(listing=listing), sweep, now, NOW)


def test_polls_of_watches_that_come_back_together_are_spread() -> None:
    planned = [resumed_poll_at(seen(id=f"demo.{n}"), NET.safety, NOW) for n in range(50)]
    assert all(at and NOW <= at <= NOW + NET.safety for at in planned)
    assert len({*planned}) == 50
    assert resumed_poll_at(seen(woken_for="succeeded done"), NET.safety, NOW) is None
    planned = [
        resumed_poll_at(seen(id=f"demo.{n}", next_poll_at=NOW + MINUTE), NET.safety, NOW)
        for n in range(50)
    ]
    assert max(filter(None, planned)) == NOW + MINUTE  # its job may be overdue then
    assert resumed_poll_at(seen(swept=False), NET.safety, NOW) is None


# -- staleness -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "given", "fresh", "expected"),
    [
        (10, {}, True, Recovery.NOTHING),
        (10, {}, False, Recovery.FALL_BACK),
        (19.9, {}, True, Recovery.NOTHING),
        (20.1, {}, True, Recovery.FLAG_STALE),
        (5.9, {"woken_at": NOW + 2 * MINUTE}, True, Recovery.NOTHING),
        (6.1, {"woken_at": NOW + 2 * MINUTE}, True, Recovery.FLAG_STALE),
        (6.1, {"woken_at": NOW + MINUTE}, True, Recovery.NOTHING),
    ],
)
def test_a_watch_is_stale_by_its_planned_poll_and_by_its_wake(
    minutes: float, given: dict[str, object], fresh: bool, expected: Recovery
) -> None:
    now = seen(next_poll_at=NOW + 16 * MINUTE, **given)
    at = NOW + minutes * MINUTE
    assert decide_recovery(now, RUNNING, None, at, has_sweep=fresh) is expected
