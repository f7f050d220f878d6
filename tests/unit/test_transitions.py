"""How a row may change: the rules, without a store."""

from datetime import datetime, timedelta

import pytest

from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow, State, Verdict, Watch
from domain.monitors.transitions import Change, Transition
from domain.outcome import Outcome, Poll, Rules, StopRequest
from tests.unit.rows import NOW, row

LATER = NOW + timedelta(minutes=1)
STOP = StopRequest(reason="not needed", cancel_job=True)


RULES = Rules()


def polled(now: MonitorRow, status: str, outcome: Outcome = Outcome.RUNNING) -> Change | None:
    poll = Poll(outcome=outcome, raw_status=status, rules=RULES)
    return transitions.polled(now, now.run, poll, LATER)


def finished(row: MonitorRow, state: State = State.SUCCEEDED) -> Watch:
    verdict = Verdict(state=state, reason="claimed", ended_at=LATER)
    return row.first_watch().model_copy(update={"verdict": verdict})


def ended(now: MonitorRow, watch: Watch) -> Change | None:
    return transitions.ended(now, watch, RULES, None, LATER)


def changed(change: Change | None) -> MonitorRow:
    assert change is not None
    return change.row


def events(change: Change | None) -> list[str]:
    assert change is not None
    return [line.event for line in change.lines]


def test_a_claim_starts_the_log() -> None:
    assert events(transitions.claimed(row())) == ["started"]


def test_a_poll_changes_what_was_seen_and_nothing_else() -> None:
    before = row(stop=STOP, stale=True, resumed=True, timeout_seconds=7, labels={"team": "hr"})
    change = polled(before, "busy")
    now = changed(change)
    assert (now.raw_status, now.polls, now.last_poll_at) == ("busy", 1, LATER)
    assert (now.stale, now.resumed) == (False, False)
    assert (now.stop, now.timeout_seconds, now.labels) == (STOP, 7, {"team": "hr"})
    assert events(change) == ["status"]


def test_the_same_status_twice_is_one_line() -> None:
    assert events(polled(changed(polled(row(), "busy")), "busy")) == []


def test_an_end_is_what_the_row_bears_out() -> None:
    """The verdict of a watch is a claim."""
    now = changed(polled(row(), "done", Outcome.SUCCEEDED))
    end = changed(ended(now, finished(now, State.FAILED)))
    assert (end.state, end.reason) == (State.SUCCEEDED, "The source reports done.")


def test_an_end_is_not_before_the_last_poll() -> None:
    """The time of a verdict is a claim, too."""
    now = changed(polled(row(), "done", Outcome.SUCCEEDED))
    verdict = Verdict(state=State.SUCCEEDED, reason="claimed", ended_at=NOW - timedelta(days=99))
    watch = now.first_watch().model_copy(update={"verdict": verdict})
    assert changed(ended(now, watch)).ended_at == LATER


def test_the_end_of_a_job_that_the_row_did_not_get_is_looked_at_again() -> None:
    """A wish to stop came, and the store did not take the poll that saw the job end."""
    now = changed(polled(row(stop=StopRequest(reason="not needed")), "busy"))
    watch = finished(now)
    assert ended(now, watch) is None
    assert changed(transitions.ended(now, watch, RULES, LATER, LATER)).state is State.STOPPED
    seen = changed(polled(now, "done", Outcome.SUCCEEDED))
    assert changed(ended(seen, watch)).state is State.SUCCEEDED


@pytest.mark.parametrize("state", [state for state in State if state.final])
def test_a_claim_that_the_row_does_not_bear_out_ends_nothing(state: State) -> None:
    now = changed(polled(row(), "busy"))
    assert ended(now, finished(now, state)) is None


def test_an_end_with_a_cancel_waits_for_the_word_of_the_source() -> None:
    """I5: and a cancel that was asked for after the verdict is not lost."""
    now = row(stop=STOP)
    watch = finished(now, State.STOPPED)
    assert ended(now, watch) is None
    end = changed(ended(now, watch.model_copy(update={"cancel_result": "accepted"})))
    assert (end.state, end.cancel_result, end.stop) == (State.STOPPED, "accepted", None)


def test_a_later_stop_joins_an_earlier_one() -> None:
    asked = changed(transitions.stop_asked(row(), STOP))
    again = changed(transitions.stop_asked(asked, StopRequest(reason="at once")))
    assert again.stop == StopRequest(reason="at once", cancel_job=True)


def test_a_result_is_kept_up_to_its_limit() -> None:
    def of(text: str) -> MonitorRow:
        poll = Poll(outcome=Outcome.SUCCEEDED, raw_status="done", result=text)
        return changed(transitions.polled(row(), 2, poll, LATER))

    short, long = of('{"rows": 7}'), of("ü" * 10_000)
    assert (short.result, short.result_cut) == ('{"rows": 7}', False)
    assert (long.result, long.result_cut) == ("ü" * 8_192, True)


def test_the_result_of_an_end_that_was_taken_back_is_gone() -> None:
    crash = Poll(outcome=Outcome.FAILED, raw_status="CRASHED", result='"boom"')
    crashed = changed(transitions.polled(row(), 2, crash, LATER))
    assert crashed.result == '"boom"'
    assert changed(polled(crashed, "COMPLETED", Outcome.SUCCEEDED)).result is None


def test_a_job_that_has_ended_is_not_overdue() -> None:
    before = row(warn_after_seconds=1, overdue=True, stalled=True)
    now = changed(polled(before, "done", Outcome.SUCCEEDED))
    assert (now.overdue, now.stalled) == (False, False)


@pytest.mark.parametrize("claimed_at", [NOW - timedelta(days=9), NOW + timedelta(days=9)])
def test_the_time_of_an_end_lies_between_its_last_poll_and_now(claimed_at: datetime) -> None:
    now = changed(polled(row(), "done", Outcome.SUCCEEDED))
    verdict = Verdict(state=State.SUCCEEDED, reason="x", ended_at=claimed_at)
    watch = now.first_watch().model_copy(update={"verdict": verdict})
    assert changed(ended(now, watch)).ended_at == LATER


def test_a_change_is_a_line_of_the_log() -> None:
    change = transitions.changed(row(), {"poll_interval_seconds": 5}, LATER)
    assert changed(change).poll_interval_seconds == 5
    assert change is not None
    [line] = change.lines
    assert (line.event, line.from_, line.to) == (
        "changed",
        '{"pollIntervalSeconds": 60}',
        '{"pollIntervalSeconds": 5}',
    )


@pytest.mark.parametrize(
    ("minutes", "flags"), [(9, (False, False)), (10, (False, True)), (20, (True, True))]
)
def test_a_job_that_hangs_is_told(minutes: int, flags: tuple[bool, bool]) -> None:
    before = changed(polled(row(warn_after_seconds=1_200), "busy"))
    poll = Poll(outcome=Outcome.RUNNING, raw_status="busy", rules=Rules(stall_after_seconds=540))
    change = transitions.polled(before, 2, poll, NOW + timedelta(minutes=minutes))
    now = changed(change)
    assert (now.overdue, now.stalled) == flags
    names = ("overdue", "stalled")
    assert events(change) == [name for name, on in zip(names, flags, strict=True) if on]


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


LIVE = row(outcome=Outcome.SUCCEEDED, raw_status="done")
ANY: dict[str, Transition] = {
    "polled": lambda now: transitions.polled(
        now, LIVE.run, Poll(outcome=Outcome.RUNNING, raw_status="busy"), LATER
    ),
    "flagged stale": lambda now: transitions.flagged_stale(now, LIVE.run),
    "restarted": lambda now: transitions.restarted(now, LIVE.run, LATER),
    "resumed": lambda now: transitions.resumed(now, LIVE.run, LATER),
    "ended": lambda now: ended(now, finished(LIVE)),
    "terminated": lambda now: transitions.terminated(
        now, LIVE.ended(Verdict(state=State.TERMINATED, reason="x", ended_at=LATER))
    ),
}
OF_ANY_RUN: dict[str, Transition] = {
    "stop asked": lambda now: transitions.stop_asked(now, STOP),
    "changed": lambda now: transitions.changed(now, {"poll_interval_seconds": 5}, LATER),
}


@pytest.mark.parametrize("event", OF_ANY_RUN)
def test_a_wish_is_for_whichever_run_is_live(event: str) -> None:
    """202 means that the wish is in the row of the live run, also beside a restart."""
    assert OF_ANY_RUN[event](row(run=7)) is not None
    assert OF_ANY_RUN[event](row(state=State.LOST)) is None


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
        ("polled", row(last_poll_at=LATER + timedelta(seconds=1))),
        ("flagged stale", row(stale=True)),
        ("resumed", row(resumed=True)),
    ],
)
def test_an_event_that_is_known_already_changes_nothing(event: str, now: MonitorRow) -> None:
    assert ANY[event](now) is None
