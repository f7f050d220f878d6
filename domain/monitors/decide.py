"""What a watch does after a poll: finish with a verdict, or sleep until the next poll.

1. The job's own end is the verdict, at the deadline too.
2. If somebody asked to stop the watch, it is `Stopped`.
3. "Not found" three times in a row is `Lost`: nothing else that a poll sees ends a watch.
4. At the expire time it is `Unreachable` if the last poll could not see the job, else `Expired`.
   A poll that was asked for before, and answered after it, is not the last: one more is made.
5. The job is cancelled only if the stop, or the start with `onExpiry: cancel`, asked for it.
6. Otherwise the watch sleeps: the poll interval while the job is seen; after failures in a row
   twice as long each time, up to 15 minutes, give or take a tenth derived from the id. The
   source's Retry-After makes it longer, the expire time shorter: the last poll is made then.
"""

import hashlib
from datetime import datetime, timedelta

from domain.monitors.monitor import State, Verdict, Watch
from domain.outcome import CancelResult, Outcome, Poll, StopRequest

NOT_FOUND_LIMIT = 3
BLIND_AFTER = 3
MAX_BACKOFF = timedelta(minutes=15)
CANCEL_ATTEMPTS = 5
HINT_GAP = timedelta(seconds=1)
"""Hints bring the next poll forward, but not closer than this to the last one."""

_JOB_ENDS = {
    Outcome.SUCCEEDED: State.SUCCEEDED,
    Outcome.FAILED: State.FAILED,
    Outcome.CANCELLED: State.CANCELLED,
}


def observe(watch: Watch, poll: Poll, at: datetime) -> Watch:
    """The watch with what a poll at the time `at` saw; what it could not see stays."""
    seen = {
        name: value
        for name in ("raw_status", "progress", "message")
        if (value := getattr(poll, name)) is not None
    }
    failures = watch.failures + 1 if poll.outcome.unseen else 0
    return watch.model_copy(
        update={
            **seen,
            "outcome": poll.outcome,
            "detail": poll.detail,
            "blind": failures >= BLIND_AFTER or poll.outcome is Outcome.UNAUTHORIZED,
            "polls": watch.polls + 1,
            "last_poll_at": at,
            "failures": failures,
            "not_found": watch.not_found + 1 if poll.outcome is Outcome.NOT_FOUND else 0,
        }
    )


def decide(watch: Watch, poll: Poll, now: datetime, asked_at: datetime | None = None) -> Watch:
    """The watch of the next generation: with a verdict, or with the time of the next poll.

    Args:
        watch: The watch before the poll.
        poll: What the poll saw.
        now: The time.
        asked_at: When the poll was asked for, if that was earlier.
    """
    watch = observe(watch, poll, now)
    ending = _ending(watch, poll.stop, asked_at or now)
    if ending:
        state, reason, cancel_job = ending
        verdict = Verdict(state=state, reason=reason, ended_at=now)
        return watch.model_copy(
            update={"verdict": verdict, "cancel_job": cancel_job, "next_poll_at": now}
        )
    wait = max(_pause(watch), timedelta(seconds=poll.retry_after_seconds or 0))
    return watch.model_copy(update={"next_poll_at": min(now + wait, watch.expire_time)})


def after_cancel(watch: Watch, result: CancelResult) -> Watch:
    """The watch after the source was asked to cancel the job; it is asked a few times."""
    attempts = watch.cancel_attempts + 1
    update: dict[str, object] = {"cancel_attempts": attempts}
    if result.accepted:
        update["cancel_result"] = "accepted"
    elif attempts >= CANCEL_ATTEMPTS:
        update["cancel_result"] = f"not accepted: {result.detail}"
    return watch.model_copy(update=update)


def retry_pause(attempts: int) -> timedelta:
    """How long to wait before the next attempt of something that failed `attempts` times."""
    return min(timedelta(seconds=2 ** min(attempts, 10)), MAX_BACKOFF)


def earliest_hinted_poll(watch: Watch, now: datetime) -> datetime:
    """When a watch that got a hint at the time `now` polls."""
    return now if watch.last_poll_at is None else max(now, watch.last_poll_at + HINT_GAP)


def _ending(
    watch: Watch, stop: StopRequest | None, asked_at: datetime
) -> tuple[State, str, bool] | None:
    """The state, why, and whether the job is to be cancelled; None if the watch goes on."""
    outcome = watch.outcome
    if outcome in _JOB_ENDS:
        return _JOB_ENDS[outcome], f"The source reports {watch.raw_status}.", False
    if stop:
        return State.STOPPED, stop.reason, stop.cancel_job
    if watch.not_found >= NOT_FOUND_LIMIT:
        why = f"The source did not know the job {watch.not_found} times in a row."
        return State.LOST, why, False
    if asked_at < watch.expire_time:
        return None
    cancel_job = watch.on_expiry == "cancel"
    if watch.failures:
        count = "poll" if watch.failures == 1 else f"{watch.failures} polls"
        why = f"The watch expired, and the last {count} failed: {watch.detail}"
        return State.UNREACHABLE, why, cancel_job
    why = f"The watch expired; the job was last seen as {watch.raw_status}."
    return State.EXPIRED, why, cancel_job


def _pause(watch: Watch) -> timedelta:
    interval = timedelta(seconds=watch.poll_interval_seconds)
    if not watch.failures:
        return interval
    doublings = min(watch.failures - 1, 20)  # 2 ** 20 s is beyond every limit
    backoff = min(interval * float(2**doublings), max(interval, MAX_BACKOFF))
    return backoff * (0.9 + 0.2 * _fraction(f"{watch.monitor_id} {watch.polls}"))


def _fraction(seed: str) -> float:
    """A number in [0, 1) that is the same at every replay."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) / 2**32
