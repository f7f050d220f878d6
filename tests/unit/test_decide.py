"""The decision table of `decide`: finish or sleep, and until when."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.monitors.decide import (
    CANCEL_ATTEMPTS,
    MAX_BACKOFF,
    POLL_GAP,
    TIMER_EARLY,
    after_cancel,
    decide,
    earliest_hinted_poll,
    observe,
)
from domain.monitors.monitor import State, Watch
from domain.outcome import CancelResult, Outcome, Poll, Rules, Settings, StopRequest

NOW = datetime(2030, 1, 1, tzinfo=UTC)
EXPIRE = NOW + timedelta(hours=24)
MINUTE = timedelta(minutes=1)
RULES = Rules()
SEEN = Poll(outcome=Outcome.RUNNING, raw_status="busy", rules=RULES)

BLIND = [Outcome.THROTTLED, Outcome.UNAUTHORIZED, Outcome.UNREACHABLE]
ENDS = {
    Outcome.SUCCEEDED: State.SUCCEEDED,
    Outcome.FAILED: State.FAILED,
    Outcome.CANCELLED: State.CANCELLED,
}


def watch(**given: object) -> Watch:
    values: dict[str, object] = {
        "monitor_id": "demo.a",
        "source": "demo",
        "job_id": "a",
        "run": 1,
        "started_at": NOW,
        "expire_time": EXPIRE,
        "timeout_seconds": 86_400,
        "poll_interval_seconds": 60,
        "next_poll_at": NOW,
    }
    return Watch.model_validate(values | given)


def state_of(watch: Watch) -> State:
    assert watch.verdict is not None
    return watch.verdict.state


@pytest.mark.parametrize(("outcome", "state"), ENDS.items())
@pytest.mark.parametrize("now", [NOW, EXPIRE, EXPIRE + MINUTE])
def test_the_jobs_own_end_is_the_verdict_also_at_the_deadline(
    outcome: Outcome, state: State, now: datetime
) -> None:
    decided = decide(watch(failures=5), Poll(outcome=outcome, raw_status="done"), now)
    assert state_of(decided) is state
    assert decided.verdict is not None
    assert decided.verdict.ended_at == now
    assert "done" in decided.verdict.reason


@pytest.mark.parametrize("outcome", [Outcome.RUNNING, Outcome.UNRECOGNISED, Outcome.NOT_FOUND])
def test_a_job_that_was_looked_for_is_polled_after_the_interval(outcome: Outcome) -> None:
    decided = decide(watch(), Poll(outcome=outcome), NOW)
    assert decided.verdict is None
    assert decided.next_poll_at == NOW + MINUTE


@pytest.mark.parametrize(
    ("now", "ended"),
    [
        (EXPIRE - timedelta(microseconds=1), False),
        (EXPIRE, True),
        (EXPIRE + timedelta(microseconds=1), True),
    ],
)
def test_the_watch_expires_at_the_exact_instant(now: datetime, ended: bool) -> None:
    decided = decide(watch(), Poll(outcome=Outcome.RUNNING, raw_status="busy"), now)
    assert (decided.verdict is not None) == ended
    if ended:
        assert state_of(decided) is State.EXPIRED


@pytest.mark.parametrize(("asked_at", "ended"), [(EXPIRE - MINUTE, False), (EXPIRE, True)])
def test_a_poll_asked_for_before_the_expire_time_is_not_the_last(
    asked_at: datetime, ended: bool
) -> None:
    late = EXPIRE + timedelta(minutes=5)
    decided = decide(watch(), Poll(outcome=Outcome.RUNNING), late, asked_at)
    assert (decided.verdict is not None) is ended
    assert ended or decided.next_poll_at == late + POLL_GAP


@pytest.mark.parametrize("left", [0.1, 1, 10, 60, 61.9])
def test_the_last_poll_is_made_once_at_the_expire_time(left: float) -> None:
    """A timer may fire up to a second early; no poll is made shortly before the last one."""
    soon = NOW + timedelta(seconds=left)
    decided = decide(watch(expire_time=soon), Poll(outcome=Outcome.RUNNING), NOW)
    assert decided.next_poll_at == max(soon + TIMER_EARLY, NOW + POLL_GAP)
    fires_at = decided.next_poll_at - timedelta(seconds=1)
    assert decide(decided, Poll(outcome=Outcome.RUNNING), fires_at, fires_at).verdict


def test_a_watch_that_polls_each_second_does_not_spin() -> None:
    """A timer of a second may fire at once."""
    decided = decide(watch(poll_interval_seconds=1), SEEN, NOW)
    assert decided.next_poll_at - TIMER_EARLY > NOW


def test_a_poll_well_before_the_expire_time_is_not_put_off() -> None:
    decided = decide(watch(expire_time=NOW + timedelta(seconds=62)), SEEN, NOW)
    assert decided.next_poll_at == NOW + MINUTE


@pytest.mark.parametrize("outcome", BLIND)
def test_at_the_expire_time_a_blind_watch_is_unreachable(outcome: Outcome) -> None:
    decided = decide(watch(), Poll(outcome=outcome, detail="HTTP 500"), EXPIRE)
    assert state_of(decided) is State.UNREACHABLE
    assert decided.verdict is not None
    assert "HTTP 500" in decided.verdict.reason


def test_trouble_that_is_over_does_not_make_it_unreachable() -> None:
    decided = decide(watch(failures=9), Poll(outcome=Outcome.RUNNING), EXPIRE)
    assert state_of(decided) is State.EXPIRED


@pytest.mark.parametrize("outcome", [o for o in Outcome if o not in ENDS])
def test_polling_trouble_ends_no_watch_before_its_expiry(outcome: Outcome) -> None:
    """I6: only repeated "not found" does."""
    now, state = NOW, watch()
    for _ in range(50):
        state = decide(state, Poll(outcome=outcome), now)
        if outcome is Outcome.NOT_FOUND and state.polls == 3:  # of a release before 0.2
            assert state_of(state) is State.LOST
            return
        assert state.verdict is None
        now = min(state.next_poll_at, EXPIRE - MINUTE)


def test_not_found_counts_only_in_a_row() -> None:
    state = watch()
    for outcome in [Outcome.NOT_FOUND, Outcome.NOT_FOUND, Outcome.RUNNING] * 3:
        state = decide(state, Poll(outcome=outcome), NOW)
        assert state.verdict is None


@pytest.mark.parametrize("outcome", BLIND)
def test_failures_in_a_row_back_off_to_fifteen_minutes(outcome: Outcome) -> None:
    state, waits = watch(), []
    for _ in range(8):
        state = decide(state, Poll(outcome=outcome), NOW)
        waits.append((state.next_poll_at - NOW) / MINUTE)
    ideal = [1, 2, 4, 8, 15, 15, 15, 15]
    for wait, base in zip(waits, ideal, strict=True):
        assert 0.9 * base <= wait <= 1.1 * base
    assert len({wait / base for wait, base in zip(waits, ideal, strict=True)}) == len(waits)


def test_the_jitter_is_the_same_at_every_replay_and_differs_between_monitors() -> None:
    poll = Poll(outcome=Outcome.UNREACHABLE)
    waits = [decide(watch(job_id=name), poll, NOW).next_poll_at for name in ("a", "a", "b")]
    assert waits[0] == waits[1] != waits[2]


def test_an_interval_longer_than_the_longest_back_off_is_kept() -> None:
    state = watch(poll_interval_seconds=3_600, failures=9)
    wait = decide(state, Poll(outcome=Outcome.UNREACHABLE), NOW).next_poll_at - NOW
    assert wait >= 0.9 * timedelta(hours=1) > MAX_BACKOFF


def test_an_absurd_number_of_failures_is_harmless() -> None:
    state = watch(failures=10**6, poll_interval_seconds=86_400)
    assert decide(state, Poll(outcome=Outcome.UNREACHABLE), NOW).next_poll_at <= EXPIRE


@pytest.mark.parametrize(
    ("outcome", "retry_after", "least"),
    [
        (Outcome.RUNNING, 600, 600),
        (Outcome.RUNNING, 5, 60),
        (Outcome.THROTTLED, 600, 600),
        (Outcome.THROTTLED, 0, 54),
    ],
)
def test_retry_after_makes_the_pause_longer_never_shorter(
    outcome: Outcome, retry_after: float, least: float
) -> None:
    poll = Poll(outcome=outcome, retry_after_seconds=retry_after)
    wait = (decide(watch(), poll, NOW).next_poll_at - NOW).total_seconds()
    assert least <= wait <= least * 1.25


def test_retry_after_does_not_outlast_the_watch() -> None:
    poll = Poll(outcome=Outcome.RUNNING, retry_after_seconds=10**6)
    assert decide(watch(), poll, NOW).next_poll_at == EXPIRE + TIMER_EARLY


@pytest.mark.parametrize("outcome", [Outcome.RUNNING, Outcome.UNREACHABLE, Outcome.NOT_FOUND])
def test_no_wait_outlasts_the_memory_of_the_source(outcome: Outcome) -> None:
    rules = Rules(longest_wait_seconds=45)
    poll = Poll(outcome=outcome, retry_after_seconds=900, rules=rules)
    assert decide(watch(failures=9), poll, NOW).next_poll_at == NOW + timedelta(seconds=45)


def test_what_a_poll_could_not_see_stays() -> None:
    seen = observe(
        watch(), Poll(outcome=Outcome.RUNNING, raw_status="busy", progress=40, message="m"), NOW
    )
    blind = observe(seen, Poll(outcome=Outcome.UNREACHABLE, detail="HTTP 500"), NOW)
    assert (blind.raw_status, blind.progress, blind.message) == ("busy", 40, "m")
    assert (blind.outcome, blind.detail, blind.polls) == (Outcome.UNREACHABLE, "HTTP 500", 2)


def test_what_a_poll_saw_takes_the_place_of_all_that_was_seen() -> None:
    """Nothing included: a text that is gone from the answer is gone."""
    seen = watch(raw_status="retrying", progress=40, message="an error")
    now = observe(seen, Poll(outcome=Outcome.SUCCEEDED, raw_status="done"), NOW)
    assert (now.raw_status, now.progress, now.message) == ("done", None, None)


def test_an_answer_without_a_status_did_not_see_the_job() -> None:
    seen = watch(raw_status="busy", progress=40)
    now = observe(seen, Poll(outcome=Outcome.UNRECOGNISED, detail="no text"), NOW)
    assert (now.raw_status, now.progress, now.detail) == ("busy", 40, "no text")


def test_a_poll_that_was_held_changes_nothing_but_its_time() -> None:
    before = watch(failures=9, not_found=1, raw_status="busy")
    held = Poll(outcome=Outcome.RUNNING, looked=False, rules=Rules())
    now = decide(before, held, NOW)
    assert now == before.model_copy(update={"next_poll_at": NOW + MINUTE})
    expired = decide(before, held, EXPIRE)
    assert state_of(expired) is State.UNREACHABLE


def test_the_settings_are_those_of_the_row() -> None:
    settings = Settings(
        expire_time=NOW + 5 * MINUTE,
        timeout_seconds=None,
        poll_interval_seconds=7,
        on_expiry="cancel",
    )
    now = decide(watch(), Poll(outcome=Outcome.RUNNING, settings=settings), NOW)
    assert now.next_poll_at == NOW + timedelta(seconds=7)
    assert (now.expire_time, now.on_expiry) == (NOW + 5 * MINUTE, "cancel")


def lost_at(watched: Watch, every: timedelta, rules: Rules = RULES) -> tuple[int, timedelta]:
    """After how many polls, and how long, a watch is lost if the source knows no such job."""
    for number in range(1, 2_000):
        at = NOW + (number - 1) * every
        watched = decide(watched, Poll(outcome=Outcome.NOT_FOUND, rules=rules), at)
        if watched.verdict:
            assert watched.verdict.state is State.LOST
            return number, at - NOW
    raise AssertionError("never lost")


@pytest.mark.parametrize(
    ("seen", "every", "polls", "after"),
    [
        (None, MINUTE, 6, 5 * MINUTE),
        (None, timedelta(hours=1), 3, timedelta(hours=2)),
        ("busy", MINUTE, 16, 15 * MINUTE),
        ("busy", timedelta(hours=1), 5, timedelta(hours=4)),
    ],
)
def test_lost_takes_a_count_and_a_time(
    seen: str | None, every: timedelta, polls: int, after: timedelta
) -> None:
    watched = watch(raw_status=seen, poll_interval_seconds=int(every.total_seconds()))
    assert lost_at(watched, every) == (polls, after)


def test_a_source_says_how_long_not_found_must_last() -> None:
    rules = Rules(lost_after_seconds=0)
    assert lost_at(watch(), MINUTE, rules) == (3, 2 * MINUTE)
    assert lost_at(watch(raw_status="busy"), MINUTE, rules) == (5, 4 * MINUTE)


def test_polls_that_hints_brought_together_count_once() -> None:
    """I6: a webhook that says "created" to a source that does not know the job yet."""
    watched = watch()
    for number in range(60):
        poll = Poll(outcome=Outcome.NOT_FOUND, rules=Rules(lost_after_seconds=0))
        watched = decide(watched, poll, NOW + number * timedelta(seconds=1))
        assert watched.verdict is None
    assert watched.not_found <= 2


def test_a_job_that_was_forgotten_while_the_watch_was_blind_is_told_so() -> None:
    blind = decide(watch(raw_status="busy"), Poll(outcome=Outcome.UNREACHABLE, rules=RULES), NOW)
    for number in range(1, 99):
        at = NOW + number * MINUTE
        blind = decide(blind, Poll(outcome=Outcome.NOT_FOUND, rules=RULES), at)
        if blind.verdict:
            break
    assert blind.verdict is not None
    assert "could not see the job before that" in blind.verdict.reason


CRASHED = Poll(outcome=Outcome.FAILED, raw_status="CRASHED", rules=Rules(settle_seconds=150))


def test_an_end_that_the_source_may_take_back_must_last() -> None:
    first = decide(watch(), CRASHED, NOW)
    assert first.verdict is None
    second = decide(first, CRASHED, NOW + 2 * MINUTE)
    assert second.verdict is None
    assert second.next_poll_at == NOW + timedelta(seconds=150)
    assert state_of(decide(second, CRASHED, NOW + timedelta(seconds=150))) is State.FAILED


def test_an_end_that_was_taken_back_counts_no_more() -> None:
    running = decide(decide(watch(), CRASHED, NOW), SEEN, NOW + MINUTE)
    assert running.end_seen is None
    assert decide(running, CRASHED, NOW + 9 * MINUTE).verdict is None
    done = Poll(outcome=Outcome.SUCCEEDED, raw_status="COMPLETED", rules=RULES)
    assert state_of(decide(running, done, NOW + 9 * MINUTE)) is State.SUCCEEDED


@pytest.mark.parametrize(
    ("poll", "at"),
    [
        (CRASHED, EXPIRE),
        (Poll(outcome=Outcome.UNREACHABLE, rules=RULES), EXPIRE),
        (Poll(outcome=Outcome.NOT_FOUND, rules=RULES), EXPIRE),
        (CRASHED.model_copy(update={"stop": StopRequest(reason="enough")}), NOW + MINUTE),
    ],
)
def test_an_end_that_was_seen_counts_if_the_watch_ends_meanwhile(poll: Poll, at: datetime) -> None:
    decided = decide(decide(watch(on_expiry="cancel"), CRASHED, NOW), poll, at)
    assert state_of(decided) is State.FAILED
    assert not decided.cancel_pending


@pytest.mark.parametrize(
    ("watched", "poll", "words"),
    [
        (watch(), Poll(outcome=Outcome.NOT_FOUND), "the job was never seen"),
        (watch(), Poll(outcome=Outcome.UNREACHABLE, detail="HTTP 500"), "the job was never seen"),
        (watch(), Poll(outcome=Outcome.UNRECOGNISED, detail="no text"), "never seen: no text"),
        (watch(raw_status="busy"), Poll(outcome=Outcome.NOT_FOUND), "last seen as busy"),
        (watch(), SEEN, "last seen as busy"),
    ],
)
def test_an_end_says_what_was_seen(watched: Watch, poll: Poll, words: str) -> None:
    verdict = decide(watched, poll, EXPIRE).verdict
    assert verdict is not None
    assert words in verdict.reason
    assert "None" not in verdict.reason


def test_a_refused_cancel_that_finds_the_job_ended_has_the_jobs_verdict() -> None:
    stop = StopRequest(reason="too long", cancel_job=True)
    stopped = decide(watch(), SEEN.model_copy(update={"stop": stop}), NOW)
    look = Poll(outcome=Outcome.SUCCEEDED, raw_status="done", rules=RULES)
    after = after_cancel(stopped, CancelResult(accepted=False, detail="ended", poll=look))
    assert state_of(after) is State.SUCCEEDED
    assert not after.cancel_pending
    still = after_cancel(stopped, CancelResult(accepted=False, detail="busy", poll=SEEN))
    assert state_of(still) is State.STOPPED
    assert still.cancel_pending


def test_a_cancel_that_the_row_does_not_ask_for_takes_the_verdict_back() -> None:
    """I5."""
    claimed = watch(
        verdict={"state": "Stopped", "reason": "forged", "ended_at": NOW}, cancel_job=True
    )
    after = after_cancel(claimed, CancelResult(accepted=False, void=True))
    assert after.verdict is None
    assert not after.cancel_pending


def test_hints_do_not_become_a_flood_of_polls() -> None:
    """I7: a hint brings the poll forward, but not close to the last one."""
    assert earliest_hinted_poll(watch(), NOW) == NOW
    polled = watch(last_poll_at=NOW)
    assert earliest_hinted_poll(polled, NOW) == NOW + POLL_GAP
    assert earliest_hinted_poll(polled, NOW + MINUTE) == NOW + MINUTE


@pytest.mark.parametrize("cancel_job", [True, False])
def test_a_wish_to_stop_is_granted_unless_the_job_ended(cancel_job: bool) -> None:
    """I5: the job is cancelled only if the wish says so."""
    stop = StopRequest(reason="not needed", cancel_job=cancel_job)
    for outcome in Outcome:
        decided = decide(watch(), Poll(outcome=outcome, stop=stop), NOW)
        ended = outcome in ENDS
        assert state_of(decided) is (ENDS[outcome] if ended else State.STOPPED)
        assert decided.cancel_pending == (cancel_job and not ended)


@pytest.mark.parametrize("on_expiry", ["leave", "cancel"])
@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.NOT_FOUND])
def test_an_expiry_cancels_the_job_only_if_asked_to(outcome: Outcome, on_expiry: str) -> None:
    """I5: and never before the expiry, whatever polling comes to."""
    before = decide(watch(on_expiry=on_expiry, failures=99), Poll(outcome=outcome), NOW)
    assert not before.cancel_pending
    after = decide(watch(on_expiry=on_expiry), Poll(outcome=outcome), EXPIRE)
    assert after.cancel_pending == (on_expiry == "cancel" and outcome not in ENDS)


def test_a_job_that_is_lost_is_not_cancelled() -> None:
    """I5."""
    state = watch(on_expiry="cancel", not_found=2)
    assert not decide(state, Poll(outcome=Outcome.NOT_FOUND), NOW).cancel_pending


def test_the_source_is_asked_to_cancel_until_it_accepts_or_refused_often_enough() -> None:
    state = watch(cancel_job=True)
    refused = CancelResult(accepted=False, detail="HTTP 500")
    accepted = after_cancel(after_cancel(state, refused), CancelResult(accepted=True))
    assert (accepted.cancel_result, accepted.cancel_attempts) == ("accepted", 2)
    for _ in range(CANCEL_ATTEMPTS):
        assert state.cancel_pending
        state = after_cancel(state, refused)
    assert not state.cancel_pending
    assert state.cancel_result == "not accepted: HTTP 500"


def test_a_watch_survives_the_way_through_json() -> None:
    state = decide(watch(), Poll(outcome=Outcome.RUNNING, raw_status="busy"), NOW)
    assert Watch.model_validate(state.to_wire()) == state


@pytest.mark.parametrize("gone", [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED])
def test_a_job_that_is_gone_has_the_outcome_that_its_source_gives(gone: Outcome) -> None:
    def after(polls: int, raw_status: str | None) -> Watch:
        state = watch(raw_status=raw_status)
        for number in range(polls):
            rules = Rules(lost_after_seconds=0, gone=gone)
            poll = Poll(outcome=Outcome.NOT_FOUND, rules=rules)
            state = decide(state, poll, NOW + number * MINUTE)
        return state

    assert after(4, "RUNNING").verdict is None  # I6: a few times are no proof
    decided = after(5, "RUNNING")
    assert state_of(decided) is ENDS[gone]
    assert decided.verdict is not None
    assert f"counts as {gone}" in decided.verdict.reason
    assert state_of(after(3, None)) is State.LOST  # it was never there, for all that is known
