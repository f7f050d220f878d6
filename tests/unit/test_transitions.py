"""How a row may change: the rules, without a store."""

from datetime import datetime, timedelta

import pytest

from domain.monitors import transitions
from domain.monitors.decide import TIMER_EARLY
from domain.monitors.instance import Instance
from domain.monitors.monitor import MonitorRow, State, Verdict, Watch
from domain.monitors.recovery import Recovery, decide_recovery
from domain.monitors.transitions import WRITTEN_EVERY, Change, Transition
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
    "flagged stale": lambda now: transitions.flagged_stale(now, LIVE.run, LATER),
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


# -- which polls are worth writing ---------------------------------------------------------------

MINUTE = timedelta(minutes=1)
BUSY = Poll(outcome=Outcome.RUNNING, raw_status="busy", progress=10, rules=RULES)
GONE = Poll(outcome=Outcome.NOT_FOUND, detail="no such job", rules=RULES)
DONE = Poll(outcome=Outcome.SUCCEEDED, raw_status="done", rules=Rules(settle_seconds=600))


def beaten(now: MonitorRow, poll: Poll, at: datetime) -> MonitorRow:
    return changed(transitions.polled(now, now.run, poll, at))


RESTING = beaten(row(), BUSY, NOW)
"""A row that the first poll wrote; the next one is planned a minute later."""


def test_polls_that_fail_are_counted_over_the_run_and_those_of_hints_noted() -> None:
    away = Poll(outcome=Outcome.UNREACHABLE, detail="HTTP 503", rules=RULES)
    held = Poll(outcome=Outcome.UNREACHABLE, looked=False, rules=RULES)
    now, at = RESTING, RESTING.next_poll_at
    for poll, failed, events_then in (
        (away, 1, ["unseen"]),
        (away, 2, []),
        (held, 2, []),
        (BUSY, 2, ["seen"]),
    ):
        assert at is not None
        change = transitions.polled(now, now.run, poll, at)
        assert change is not None
        assert [line.event for line in change.lines] == events_then
        now, at = change.row, change.row.next_poll_at
        assert (now.failed_polls, now.hinted_at) == (failed, None)
    assert at is not None
    soon = at - timedelta(seconds=20)
    change = transitions.polled(now, now.run, BUSY, soon)
    assert change is not None
    assert change.row.hinted_at == soon
    assert events(change) == ["hinted"]
    again = now.model_copy(update={"resumed": True})
    assert events(transitions.polled(again, now.run, BUSY, soon)) == []


def worth(
    before: MonitorRow, poll: Poll, minutes: float, planned: float | None = None, **given: object
) -> bool:
    """Whether a poll so many minutes after the first is written that came as it was planned."""
    at = NOW + minutes * MINUTE
    plan = at if planned is None else NOW + planned * MINUTE
    counted = {"polls": int(minutes), "next_poll_at": plan, **given}
    watch = before.first_watch().model_copy(update=counted)
    now = beaten(transitions.caught_up(before, watch, at), poll, at)
    return transitions.worth_writing(before, now, watch)


@pytest.mark.parametrize(
    ("minutes", "expected"), [(1, False), (1.2, False), (2, False), (2.4, False), (3, True)]
)
def test_a_poll_that_changed_nothing_is_written_every_third_time(
    minutes: float, expected: bool
) -> None:
    assert worth(RESTING, BUSY, minutes) is expected


@pytest.mark.parametrize(
    ("seconds", "polls", "expected"), [(12, 2, False), (12, 3, True), (36, 2, True)]
)
def test_polls_of_a_busy_host_are_late_and_not_written_more_often(
    seconds: int, polls: int, expected: bool
) -> None:
    """But one is, long before the watchdog takes the watch for silent."""
    hasty = {"poll_interval_seconds": 1, "next_poll_at": NOW + timedelta(seconds=2)}
    before = RESTING.model_copy(update=hasty)
    assert worth(before, BUSY, seconds / 60, polls=polls) is expected


@pytest.mark.parametrize("minutes", [1, 2])
@pytest.mark.parametrize(
    "seen",
    [
        {"raw_status": "queued"},
        {"progress": 11},
        {"message": "step 2"},
        {"outcome": Outcome.UNREACHABLE, "detail": "reset"},
        {"outcome": Outcome.THROTTLED},
        {"outcome": Outcome.NOT_FOUND},
        {"outcome": Outcome.UNRECOGNISED},
        {"outcome": Outcome.FAILED},
        {"rules": Rules(warn_after_seconds=30)},
        {"rules": Rules(stall_after_seconds=30)},
    ],
    ids=str,
)
def test_a_poll_that_changed_something_is_written(seen: dict[str, object], minutes: int) -> None:
    assert worth(RESTING, BUSY.model_copy(update=seen), minutes)


@pytest.mark.parametrize("flag", ["stale", "resumed"])
def test_a_poll_that_takes_a_flag_away_is_written(flag: str) -> None:
    assert worth(RESTING.model_copy(update={flag: True}), BUSY, 1)


@pytest.mark.parametrize(
    "poll", [GONE, DONE, BUSY.model_copy(update={"outcome": Outcome.THROTTLED})]
)
def test_polls_that_count_towards_an_end_or_failed_are_all_written(poll: Poll) -> None:
    """I6: the row has every count that an end rests on."""
    now = RESTING
    for minutes in range(1, 6):
        assert worth(now, poll, minutes)
        now = beaten(now, poll, NOW + minutes * MINUTE)


def test_a_poll_that_a_hint_brought_forward_is_written() -> None:
    """I7: also one after polls that were not."""
    assert worth(RESTING, BUSY, 0.5, planned=1)
    assert worth(RESTING, BUSY, 1.5, planned=2)
    early = 2 - TIMER_EARLY / MINUTE
    assert not worth(RESTING, BUSY, early, planned=2)  # only the host's rounding


@pytest.mark.parametrize(("minutes", "expected"), [(1, False), (2, True)])
def test_the_last_polls_before_the_expire_time_are_written(minutes: int, expected: bool) -> None:
    """I2: the row bears the expiry out."""
    before = RESTING.model_copy(update={"expire_time": NOW + 2.5 * MINUTE})
    assert worth(before, BUSY, minutes) is expected


def test_a_shorter_interval_shows_at_once_and_a_longer_one_in_time() -> None:
    hourly = RESTING.model_copy(
        update={"poll_interval_seconds": 3_600, "next_poll_at": NOW + 60 * MINUTE}
    )
    shorter = hourly.model_copy(update={"poll_interval_seconds": 60})
    assert worth(shorter, BUSY, 59, planned=59)  # the next one comes after the one that is shown
    assert worth(shorter, BUSY, 10, planned=10)


def test_a_silent_watch_is_flagged_and_one_with_polls_that_were_not_written_is_not() -> None:
    """The longest time between two writes is shorter than the shortest silence."""
    for seconds in (1, 2, 5, 60, 3_600, 86_400):
        before = RESTING.model_copy(
            update={
                "poll_interval_seconds": seconds,
                "expire_time": NOW + timedelta(days=30),
                "next_poll_at": NOW + timedelta(seconds=max(seconds, 2)),
            }
        )
        planned = before.next_poll_at
        assert planned is not None
        watch, at = before.first_watch(), planned
        for polls in range(before.polls, before.polls + WRITTEN_EVERY):
            watch = watch.model_copy(update={"next_poll_at": at, "polls": polls})
            now = beaten(transitions.caught_up(before, watch, at), BUSY, at)
            if written := transitions.worth_writing(before, now, watch):
                break
            assert now.next_poll_at is not None
            at = now.next_poll_at
        assert written
        live = Instance("Running", before.run, None)
        assert decide_recovery(before, live, None, at) is Recovery.NOTHING
        silent = planned + timedelta(seconds=3 * seconds + 61)
        assert decide_recovery(before, live, None, silent) is Recovery.FLAG_STALE


def caught_up(minutes: float, **watch: object) -> MonitorRow:
    given = RESTING.first_watch().model_copy(update=watch)
    return transitions.caught_up(RESTING, given, NOW + minutes * MINUTE)


def test_the_row_catches_up_with_the_polls_that_were_not_written() -> None:
    now = caught_up(3, polls=3, next_poll_at=NOW + 3 * MINUTE)
    assert beaten(now, BUSY, NOW + 3.1 * MINUTE).polls == 4
    assert beaten(now, BUSY, NOW + 3.1 * MINUTE).late_seconds == pytest.approx(6)


@pytest.mark.parametrize(
    ("claimed", "polls"), [(0, 1), (-5, 1), (1, 1), (31, 31), (32, 31), (10**30, 31)]
)
def test_no_watch_counts_more_polls_than_there_was_time_for(claimed: int, polls: int) -> None:
    """The count is a claim of the input; a minute has room for thirty polls."""
    assert caught_up(1, polls=claimed).polls == polls


def test_no_plan_of_a_watch_makes_a_poll_later_than_its_row_says() -> None:
    now = caught_up(3, next_poll_at=NOW - timedelta(days=9))
    assert beaten(now, BUSY, NOW + 3 * MINUTE).late_seconds == 120
    assert transitions.caught_up(row(), now.first_watch(), LATER) == row()
