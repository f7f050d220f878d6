"""The decision table of `decide`: finish or sleep, and until when."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.monitors.decide import (
    CANCEL_ATTEMPTS,
    HINT_GAP,
    MAX_BACKOFF,
    after_cancel,
    decide,
    earliest_hinted_poll,
    observe,
)
from domain.monitors.monitor import State, Watch
from domain.outcome import CancelResult, Outcome, Poll, StopRequest

NOW = datetime(2030, 1, 1, tzinfo=UTC)
EXPIRE = NOW + timedelta(hours=24)
MINUTE = timedelta(minutes=1)

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
    assert ended or decided.next_poll_at == EXPIRE


def test_the_last_poll_is_made_at_the_expire_time() -> None:
    soon = NOW + timedelta(seconds=10)
    decided = decide(watch(expire_time=soon), Poll(outcome=Outcome.RUNNING), NOW)
    assert decided.next_poll_at == soon


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
        if outcome is Outcome.NOT_FOUND and state.polls == 3:
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
    waits = [
        decide(watch(monitor_id=f"demo.{name}"), poll, NOW).next_poll_at for name in ("a", "a", "b")
    ]
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
    assert decide(watch(), poll, NOW).next_poll_at == EXPIRE


def test_what_a_poll_could_not_see_stays() -> None:
    seen = observe(
        watch(), Poll(outcome=Outcome.RUNNING, raw_status="busy", progress=40, message="m"), NOW
    )
    blind = observe(seen, Poll(outcome=Outcome.UNREACHABLE, detail="HTTP 500"), NOW)
    assert (blind.raw_status, blind.progress, blind.message) == ("busy", 40, "m")
    assert (blind.outcome, blind.detail, blind.polls) == (Outcome.UNREACHABLE, "HTTP 500", 2)


def test_hints_do_not_become_a_flood_of_polls() -> None:
    """I7: a hint brings the poll forward, but not closer than a second to the last one."""
    assert earliest_hinted_poll(watch(), NOW) == NOW
    polled = watch(last_poll_at=NOW)
    assert earliest_hinted_poll(polled, NOW) == NOW + HINT_GAP
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
    poll = Poll(outcome=Outcome.NOT_FOUND, gone=gone)
    seen = watch(raw_status="RUNNING", not_found=1)
    assert decide(seen, poll, NOW).verdict is None  # I6: once is no proof
    decided = decide(watch(raw_status="RUNNING", not_found=2), poll, NOW)
    assert state_of(decided) is ENDS[gone]
    never_seen = decide(watch(not_found=2), poll, NOW)
    assert state_of(never_seen) is State.LOST
