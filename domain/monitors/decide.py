"""The decision after a poll: finish with a verdict, or sleep until the next poll.

1. The job's own end is the verdict, at the deadline too. Where the source may take an end back, it
   must last for a while (`settle_seconds`); if the watch ends meanwhile, the end that was seen
   counts.
2. If somebody asked to stop the watch, it is `Stopped`.
3. "Not found" ends a watch as `Lost`; nothing else that a poll sees does. It takes a number of
   polls in a row and a time, and more of both for a job that was seen before. A source may say that
   a job which it does not know any more counts as a given outcome.
4. At the expire time the watch is `Unreachable` if the last poll could not see the job, else
   `Expired`. A poll that began before it and was answered after it is not the last: one more
   follows.
5. The job is cancelled only if the stop, or the start with `onExpiry: cancel`, asked for it.
6. Otherwise the watch sleeps for the poll interval, or for longer if a sweep looks after it. After
   failures in a row the wait doubles, up to 15 minutes or to a longer interval, and varies by a
   tenth that the id gives. The source may ask for a longer wait, and gets as much as its
   configuration grants. The last poll comes at the expire time.

A durable timer may fire up to a second early. So no decision rests on "the timer fired": the last
poll is planned a second late, and times are compared with the clock.
"""

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from domain.monitors.monitor import MonitorFields, State, Verdict, Watch
from domain.outcome import CancelResult, Outcome, Poll, Rules, StopRequest

LOST_AFTER_POLLS = 3
SEEN_LOST_AFTER_POLLS = 5
SEEN_LOST_FACTOR = 3
"""How much longer "not found" must last for a job that was seen before."""

BLIND_AFTER = 3
MAX_BACKOFF = timedelta(minutes=15)
LONGEST_TIMER = timedelta(days=2)
"""Longer than any wait that is planned: an interval of a day, and a tenth for a failed poll."""

CANCEL_ATTEMPTS = 5
TIMER_EARLY = timedelta(seconds=1)
"""The Functions host cuts the delay of a timer to whole seconds."""

_LONG_INTERVAL = 90  # seconds

POLL_GAP = timedelta(seconds=2)
"""No two polls of a watch are planned closer than this, hint or not: a timer of a second may fire
at once."""

_JOB_ENDS = {
    Outcome.SUCCEEDED: State.SUCCEEDED,
    Outcome.FAILED: State.FAILED,
    Outcome.CANCELLED: State.CANCELLED,
}
_READ = (Poll.model_fields.keys() & MonitorFields.model_fields.keys()) - {"outcome", "detail"}
"""The fields that a poll reads of a job: status, progress, message."""

Fields = TypeVar("Fields", bound=MonitorFields)


class Ending(NamedTuple):
    """How a watch ends.

    Attributes:
        state: A final state.
        reason: Why, for people.
        cancel_job: Whether the job is to be cancelled before.
    """

    state: State
    reason: str
    cancel_job: bool = False


def observe(fields: Fields, poll: Poll, at: datetime) -> Fields:
    """A watch, or a row, with what a poll at the time `at` saw.

    A poll that saw the job sets all that it read, nothing included. One that did not see the job
    keeps what was seen before.
    """
    if not poll.looked:
        return fields
    read = {name: getattr(poll, name) for name in _READ} if poll.saw_job else {}
    moved = any(getattr(fields, name) != value for name, value in read.items())
    failures = fields.failures + 1 if poll.outcome.unseen else 0
    update = {
        **read,
        **_not_found(fields, poll, at),
        **_end_seen(fields, poll, at),
        "outcome": poll.outcome,
        "detail": poll.detail,
        "blind": failures >= BLIND_AFTER or poll.outcome is Outcome.UNAUTHORIZED,
        "polls": fields.polls + 1,
        "last_poll_at": at,
        "failures": failures,
    }
    if moved:
        update["moved_at"] = at
    return fields.model_copy(update=update)


def _not_found(fields: MonitorFields, poll: Poll, at: datetime) -> dict[str, object]:
    """The count of "not found". Two polls that a hint brought together count once."""
    if poll.outcome is not Outcome.NOT_FOUND:
        gone = {"gone_while_blind": False} if poll.saw_job else {}
        return {"not_found": 0, "not_found_since": None, "not_found_at": None, **gone}
    apart = timedelta(seconds=fields.poll_interval_seconds / 2)
    if fields.not_found_at is not None and at < fields.not_found_at + apart:
        return {}
    return {
        "not_found": fields.not_found + 1,
        "not_found_since": fields.not_found_since or at,
        "not_found_at": at,
        "gone_while_blind": fields.gone_while_blind or fields.failures > 0,
    }


def _end_seen(fields: MonitorFields, poll: Poll, at: datetime) -> dict[str, object]:
    """The end that was seen, and since when; a poll that saw the job otherwise takes it back."""
    if not poll.saw_job:
        return {}
    if not poll.outcome.is_end:
        return {"end_seen": None, "end_seen_at": None}
    lasts = fields.end_seen is poll.outcome and fields.raw_status == poll.raw_status
    since = fields.end_seen_at if lasts else None
    return {"end_seen": poll.outcome, "end_seen_at": since or at}


def decide(watch: Watch, poll: Poll, now: datetime, asked_at: datetime | None = None) -> Watch:
    """The watch of the next generation: with a verdict, or with the time of the next poll.

    Args:
        watch: The watch before the poll.
        poll: What the poll saw.
        now: The time.
        asked_at: When the poll was asked for, if that was earlier.
    """
    if poll.settings:
        watch = watch.model_copy(update=dict(poll.settings))
    watch = observe(watch, poll, now)
    ending = find_ending(watch, poll.stop, asked_at or now, poll.rules)
    if ending:
        verdict = Verdict(state=ending.state, reason=ending.reason, ended_at=now)
        return watch.model_copy(
            update={"verdict": verdict, "cancel_job": ending.cancel_job, "next_poll_at": now}
        )
    return watch.model_copy(update={"next_poll_at": next_poll_at(watch, poll, now)})


def find_ending(
    fields: MonitorFields, stop: StopRequest | None, asked_at: datetime, rules: Rules | None
) -> Ending | None:
    """How a watch, or the watch that a row shows, ends after its last poll; None if it goes on.

    Args:
        fields: The watch or row with what the last poll saw.
        stop: Somebody's wish to end the watch.
        asked_at: When the last poll was asked for.
        rules: Of the source; None for a poll of a release before 0.2.
    """
    if fields.outcome in _JOB_ENDS and not _unsettled(fields, rules):
        return Ending(_JOB_ENDS[fields.outcome], f"The source reports {fields.raw_status}.")
    if stop:
        return _end_that_was_seen(fields) or Ending(State.STOPPED, stop.reason, stop.cancel_job)
    if _is_lost(fields, rules):
        if rules and rules.gone and fields.raw_status is not None:
            why = f"{_why_lost(fields)} That counts as {rules.gone} there."
            return _end_that_was_seen(fields) or Ending(_JOB_ENDS[rules.gone], why)
        return _end_that_was_seen(fields) or Ending(State.LOST, _why_lost(fields))
    if asked_at < fields.expire_time:
        return None
    cancel_job = fields.on_expiry == "cancel"
    seen = _last_seen(fields)
    if fields.failures:
        count = "poll" if fields.failures == 1 else f"{fields.failures} polls"
        why = f"The watch expired, and the last {count} failed: {fields.detail}; {seen}."
        return _end_that_was_seen(fields) or Ending(State.UNREACHABLE, why, cancel_job)
    why = f"The watch expired; {seen}."
    return _end_that_was_seen(fields) or Ending(State.EXPIRED, why, cancel_job)


def next_poll_at(fields: MonitorFields, poll: Poll, now: datetime) -> datetime:
    """When the next poll is made, if no hint comes first.

    The wait is max(interval, back-off, the source's wish as far as it is granted, the time of the
    safety net if a sweep looks after the watch), at most the longest wait of the source. The last
    poll is planned a second after the expire time.
    """
    wish = timedelta(seconds=poll.retry_after_seconds or 0)
    wait = max(_pause(fields), wish)
    if poll.rules and poll.rules.safety_seconds:
        wait = max(wait, timedelta(seconds=poll.rules.safety_seconds))
    if not poll.looked:
        wait = wish or timedelta(seconds=fields.poll_interval_seconds)
    if poll.rules and poll.rules.longest_wait_seconds:
        wait = min(wait, timedelta(seconds=poll.rules.longest_wait_seconds))
    if unsettled := _unsettled(fields, poll.rules):
        wait = min(wait, unsettled)
    at = now + max(wait, POLL_GAP)
    # Not shortly before the last poll: a timer that fires early would bring both together.
    if at <= fields.expire_time - POLL_GAP:
        return at
    return max(fields.expire_time + TIMER_EARLY, now + POLL_GAP)


def wait_for_place(fields: MonitorFields, now: datetime) -> timedelta:
    """How long a poll waits that found too many others at its source.

    Of a one-minute interval 10 to 20 s, by id and time: those that were turned away together do
    not come back together.
    """
    least = max(min(fields.poll_interval_seconds, _LONG_INTERVAL) / 6, 1.0)
    name = f"{fields.source} {fields.job_id} {now.isoformat()}"
    return timedelta(seconds=least * (1 + _fraction(name)))


def reopened(watch: Watch) -> Watch:
    """The watch without the verdict that its row does not bear out; it polls again."""
    return watch.model_copy(
        update={
            "verdict": None,
            "cancel_job": False,
            "cancel_attempts": 0,
            "cancel_result": None,
        }
    )


def after_cancel(watch: Watch, result: CancelResult) -> Watch:
    """The watch after an attempt to cancel the job; `CANCEL_ATTEMPTS` is the limit.

    A refusal is followed by a look: the job's own end, if it shows one, is the verdict.
    """
    if result.void:
        return reopened(watch)
    attempts = watch.cancel_attempts + 1
    update: dict[str, object] = {"cancel_attempts": attempts}
    if result.accepted:
        update["cancel_result"] = "accepted"
    elif attempts >= CANCEL_ATTEMPTS:
        update["cancel_result"] = f"not accepted: {result.detail}"
    verdict = watch.verdict
    if result.poll and result.poll.outcome.is_end and verdict:
        watch = observe(watch, result.poll, verdict.ended_at)
        ending = find_ending(watch, None, verdict.ended_at, result.poll.rules)
        if ending and not ending.cancel_job:
            now = {"state": ending.state, "reason": ending.reason}
            update["verdict"] = verdict.model_copy(update=now)
            update["cancel_result"] = f"not accepted: {result.detail}"
    return watch.model_copy(update=update)


def retry_pause(attempts: int) -> timedelta:
    """How long to wait before the next attempt of something that failed `attempts` times."""
    return min(timedelta(seconds=2 ** min(attempts, 10)), MAX_BACKOFF)


def wakes_at(watch: Watch, now: datetime) -> datetime:
    """The time of the timer before the next poll.

    The time of the next poll is a claim of the input. The SDK makes a timer of more than three days
    out of several and does not cancel those, so that a hint would end no generation.
    """
    return min(watch.next_poll_at, now + LONGEST_TIMER)


def earliest_hinted_poll(watch: Watch, now: datetime) -> datetime:
    """The time of the poll that follows a hint at the time `now`.

    The time of the last poll is a claim of the input: one in the future counts as `now`.
    """
    if watch.last_poll_at is None:
        return now
    return max(now, min(watch.last_poll_at, now) + POLL_GAP)


def _unsettled(fields: MonitorFields, rules: Rules | None) -> timedelta | None:
    """How long the end that the last poll saw must still last; None if it counts."""
    if not rules or not fields.outcome or not fields.outcome.is_end or not fields.end_seen_at:
        return None
    lasted = (fields.last_poll_at or fields.end_seen_at) - fields.end_seen_at
    left = timedelta(seconds=rules.settle_seconds) - lasted
    return left if left > timedelta(0) else None


def _end_that_was_seen(fields: MonitorFields) -> Ending | None:
    """The end of the job that was seen, but did not last long enough yet."""
    if fields.end_seen is None:
        return None
    why = f"The source reported {fields.raw_status}, and nothing else before the watch ended."
    return Ending(_JOB_ENDS[fields.end_seen], why)


def _is_lost(fields: MonitorFields, rules: Rules | None) -> bool:
    """Whether "not found" came often enough, and for long enough."""
    if rules is None:
        return fields.not_found >= LOST_AFTER_POLLS
    seen = fields.raw_status is not None
    polls = SEEN_LOST_AFTER_POLLS if seen else LOST_AFTER_POLLS
    after = timedelta(seconds=rules.lost_after_seconds * (SEEN_LOST_FACTOR if seen else 1))
    if fields.not_found < polls or not fields.not_found_at or not fields.not_found_since:
        return False
    return fields.not_found_at - fields.not_found_since >= after


def _why_lost(fields: MonitorFields) -> str:
    why = f"The source did not know the job {fields.not_found} times in a row"
    if fields.not_found_at and fields.not_found_since:
        seconds = (fields.not_found_at - fields.not_found_since).total_seconds()
        why += f", for {seconds:.0f} s"
    why += f"; {_last_seen(fields)}."
    if fields.gone_while_blind:
        why += " The watch could not see the job before that, and may have missed its end."
    return why


def _last_seen(fields: MonitorFields) -> str:
    """The last that was seen of the job, in words."""
    if fields.raw_status is None:
        seen = "the job was never seen"
        if fields.outcome is Outcome.UNRECOGNISED:
            seen += f": {fields.detail}"
        return seen
    return f"the job was last seen as {fields.raw_status}"


def _pause(fields: MonitorFields) -> timedelta:
    interval = timedelta(seconds=fields.poll_interval_seconds)
    if not fields.failures:
        return interval
    doublings = min(fields.failures - 1, 20)  # 2 ** 20 s is beyond every limit
    backoff = min(interval * float(2**doublings), max(interval, MAX_BACKOFF))
    name = f"{fields.source} {fields.job_id} {fields.polls}"
    return backoff * (0.9 + 0.2 * _fraction(name))


def _fraction(seed: str) -> float:
    """A number in [0, 1) that is the same at every replay."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) / 2**32
