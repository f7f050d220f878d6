"""How a row may change: the rules, without a store."""

from datetime import timedelta

import pytest

from domain.monitors import transitions
from domain.monitors.decide import observe
from domain.monitors.monitor import MonitorRow, State, Verdict, Watch
from domain.monitors.transitions import Change, Transition
from domain.outcome import Outcome, Poll, StopRequest
from tests.unit.rows import NOW, row

LATER = NOW + timedelta(minutes=1)
STOP = StopRequest(reason="not needed", cancel_job=True)


def polled(watch: Watch, status: str) -> Watch:
    return observe(watch, Poll(outcome=Outcome.RUNNING, raw_status=status), LATER)


def finished(watch: Watch, state: State = State.SUCCEEDED) -> Watch:
    verdict = Verdict(state=state, reason="because", ended_at=LATER)
    return watch.model_copy(update={"verdict": verdict})


def changed(change: Change | None) -> MonitorRow:
    assert change is not None
    return change.row


def events(change: Change | None) -> list[str]:
    assert change is not None
    return [line.event for line in change.lines]


def test_a_claim_starts_the_log() -> None:
    assert events(transitions.claimed(row())) == ["started"]


def test_a_poll_changes_what_was_seen_and_nothing_else() -> None:
    before = row(stop=STOP, stale=True, resumed=True, timeout_seconds=7)
    change = transitions.polled(before, polled(before.first_watch(), "busy"))
    now = changed(change)
    assert (now.raw_status, now.polls, now.last_poll_at) == ("busy", 1, LATER)
    assert (now.stale, now.resumed) == (False, False)
    assert (now.stop, now.timeout_seconds) == (STOP, 7)
    assert events(change) == ["status"]


def test_the_settings_are_those_of_the_row() -> None:
    """A poll that was asked for before a change of the settings does not take it back."""
    old = row().first_watch()
    now = row(poll_interval_seconds=5, on_expiry="cancel")
    beaten = changed(transitions.polled(now, polled(old, "busy")))
    assert (beaten.poll_interval_seconds, beaten.on_expiry) == (5, "cancel")


def test_the_same_status_twice_is_one_line() -> None:
    first = changed(transitions.polled(row(), polled(row().first_watch(), "busy")))
    again = transitions.polled(first, polled(first.first_watch(), "busy"))
    assert events(again) == []


def test_an_end_brings_what_its_last_poll_saw() -> None:
    """I2: the store may not have taken that poll."""
    watch = finished(polled(row().first_watch(), "done"))
    change = transitions.ended(row(stop=STOP), watch)
    end = changed(change)
    assert (end.state, end.reason, end.ended_at) == (State.SUCCEEDED, "because", LATER)
    assert (end.raw_status, end.polls, end.stop) == ("done", 1, None)
    assert events(change) == ["status", "ended"]


def test_an_end_that_knows_less_than_the_row_keeps_what_the_row_knows() -> None:
    now = changed(transitions.polled(row(), polled(row().first_watch(), "busy")))
    change = transitions.ended(now, finished(row().first_watch(), State.STOPPED))
    assert changed(change).raw_status == "busy"
    assert events(change) == ["ended"]


def test_a_restart_goes_on_as_the_next_run_with_what_the_row_holds() -> None:
    before = row(stop=STOP, stale=True)
    change = transitions.restarted(before, before.run, LATER)
    again = changed(change)
    assert (again.run, again.stop, again.stale, again.resumed) == (3, STOP, False, True)
    assert events(change) == ["resumed"]


def test_the_next_run_logs_an_end_that_only_the_task_hub_told_of() -> None:
    """I3: the earlier outcome stays in the log."""
    end = row().ended(Verdict(state=State.TERMINATED, reason="x", ended_at=LATER))
    again = row(run=3)
    assert events(transitions.claimed_again(row(), end, again)) == ["ended", "started"]
    assert events(transitions.claimed_again(end, end, again)) == ["started"]


LIVE = row()
ANY: dict[str, Transition] = {
    "polled": lambda now: transitions.polled(now, polled(LIVE.first_watch(), "busy")),
    "stop asked": lambda now: transitions.stop_asked(now, LIVE.run, STOP),
    "flagged stale": lambda now: transitions.flagged_stale(now, LIVE.run),
    "restarted": lambda now: transitions.restarted(now, LIVE.run, LATER),
    "resumed": lambda now: transitions.resumed(now, LIVE.run, LATER),
    "ended": lambda now: transitions.ended(now, finished(LIVE.first_watch())),
    "terminated": lambda now: transitions.terminated(
        now, LIVE.ended(Verdict(state=State.TERMINATED, reason="x", ended_at=LATER))
    ),
}


@pytest.mark.parametrize("event", ANY)
def test_an_event_changes_its_live_run(event: str) -> None:
    assert ANY[event](LIVE) is not None


@pytest.mark.parametrize("event", ANY)
@pytest.mark.parametrize("state", [state for state in State if state.final])
def test_no_event_changes_a_row_that_ended(event: str, state: State) -> None:
    """I3."""
    assert ANY[event](row(state=state)) is None


@pytest.mark.parametrize("event", ANY)
def test_no_event_of_a_run_changes_another(event: str) -> None:
    """I3."""
    assert ANY[event](row(run=LIVE.run + 1)) is None


@pytest.mark.parametrize(
    ("event", "now"),
    [
        ("polled", row(polls=5)),
        ("flagged stale", row(stale=True)),
        ("resumed", row(resumed=True)),
    ],
)
def test_an_event_that_is_known_already_changes_nothing(event: str, now: MonitorRow) -> None:
    assert ANY[event](now) is None
