"""How a monitor's row may change: for a row and an event, the new row, its log lines and notices.

Each function answers None where the event changes nothing: the run that it is about has ended,
or another run has begun (I3). The store applies the answer only if nobody wrote to the row
meanwhile, and asks again if somebody did.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.monitors import log, occasions
from domain.monitors.decide import (
    POLL_GAP,
    TIMER_EARLY,
    Ending,
    find_ending,
    next_poll_at,
    observe,
)
from domain.monitors.log import LogLine
from domain.monitors.monitor import MonitorRow, State, Verdict, Watch
from domain.monitors.sweep import Look, Mark, to_do, woken_and_silent
from domain.notices.notice import Notice
from domain.outcome import Poll, Rules, StopRequest
from domain.sources.page import Sight

_SWEPT = ("raw_status", "progress", "message", "moved_at")
"""The fields of a row that polls and sweeps both write."""

WRITTEN_EVERY = 3
"""So many polls after the last that was written, a poll is written that changed nothing."""

_MAY_BE_LATE = timedelta(seconds=30)
"""Less than the minute that the watchdog waits: a host that is late must not write more."""

_BEATS = ("last_poll_at", "next_poll_at", "polls", "late_seconds")
"""The fields that every poll moves."""


class Change(NamedTuple):
    """A new row, and the log lines and notices that come with it."""

    row: MonitorRow
    lines: list[LogLine]
    notices: Sequence[Notice] = ()


Transition = Callable[[MonitorRow], Change | None]
"""From the row as the store has it to its change, or None for no change."""


def claimed(row: MonitorRow, by: str | None = None) -> Change:
    """The first watch over a job begins."""
    return Change(row, [log.started(row, by)])


def claimed_again(
    current: MonitorRow, ended: MonitorRow, again: MonitorRow, by: str | None = None
) -> Change | None:
    """The next run begins after `ended`, which is the row as its caller knows it."""
    if current.run != ended.run:
        return None
    # The log may not have the end yet: the task hub alone told of it, or this start is the end.
    end = [] if current.state.final else [log.ended(ended)]
    notices = [occasions.of_end(ended)] if end else []
    return Change(again, [*end, log.started(again, by)], notices)


def polled(current: MonitorRow, run: int, poll: Poll, at: datetime) -> Change | None:
    """A poll was asked for at the time `at`. A late one, after which another came, is void."""
    if not _is_live(current, run) or (current.last_poll_at and current.last_poll_at > at):
        return None
    row = observe(current, poll, at)
    if current.looked_at and current.looked_at > at and not poll.outcome.is_end:
        # A sweep asked after this poll did: the latest look wins. An end has its own status.
        row = row.model_copy(update={name: getattr(current, name) for name in _SWEPT})
    update: dict[str, object] = {
        "next_poll_at": next_poll_at(row, poll, at),
        "failed_polls": row.failed_polls + (poll.looked and poll.outcome.unseen),
        "hinted_at": at if poll.looked and _is_hinted(current, at) else row.hinted_at,
        "swept": poll.rules is not None and poll.rules.safety_seconds is not None,
        "stale": False,
        "resumed": False,
        "late_seconds": _late(current, at),
    }
    if poll.saw_job:
        update |= _slowness(row, poll, at) | _result(poll.result)
    row = row.model_copy(update=update)
    row = row.model_copy(update={"milestone": occasions.milestone(row)})
    found = (log.hint, log.sight, log.status_change, log.slowness)
    lines = [line for lines_of in found for line in lines_of(current, row)]
    return Change(row, lines, occasions.of_poll(current, row, at))


def caught_up(current: MonitorRow, watch: Watch, at: datetime) -> MonitorRow:
    """The row with what its watch counted in polls that were not worth writing.

    The watch is a claim of the input: it can neither take anything back, nor tell of more polls
    than there was time for.
    """
    if current.last_poll_at is None or current.next_poll_at is None:
        return current
    possible = current.polls + max(int((at - current.last_poll_at) / POLL_GAP), 0)
    counted = {
        "polls": max(current.polls, min(watch.polls, possible)),
        "next_poll_at": max(current.next_poll_at, watch.next_poll_at),
    }
    return current.model_copy(update=counted)


def worth_writing(before: MonitorRow, polled: MonitorRow, watch: Watch) -> bool:
    """Whether the row is to be written after a poll.

    It is, unless only its times and its count of polls moved. Then it is written every third time,
    and long before the watchdog takes the watch for silent. A poll that a hint brought forward is
    always written, since somebody waits for it. So is the first after a sweep woke the watch. So
    are those that may bear out an end: the last ones before the expire time, and those that saw an
    end which must last.

    Args:
        before: The row as the store has it.
        polled: The row after the poll.
        watch: The watch that polled.
    """
    beats = {name: getattr(polled, name) for name in _BEATS}
    if before.model_copy(update=beats) != polled or polled.end_seen or woken_and_silent(before):
        return True
    planned, at, next_at = before.next_poll_at, polled.last_poll_at, polled.next_poll_at
    if planned is None or at is None or next_at is None or next_at > polled.expire_time:
        return True
    if polled.polls - before.polls >= WRITTEN_EVERY:
        return True
    hinted = at < max(planned, watch.next_poll_at) - TIMER_EARLY
    rests = timedelta(seconds=polled.poll_interval_seconds) * (WRITTEN_EVERY - 0.5) + _MAY_BE_LATE
    return hinted or not planned <= next_at <= planned + rests


def swept(current: MonitorRow, run: int, sight: Sight, look: Look, at: datetime) -> Change | None:
    """A sweep saw the job of a watch, or missed it in a complete list.

    It takes over status, progress and message if it asked after the last look, and notes for what
    it is about to wake the watch. It never writes an outcome: a poll decides.

    Args:
        current: The row.
        run: The run that the sweep knows of.
        sight: What it saw.
        look: The sweep.
        at: The time.
    """
    if not _is_live(current, run):
        return None
    polled = woken_and_silent(current) is None
    todo = to_do(Mark.of(current), sight, look, polled=polled)
    update: dict[str, object] = {}
    if todo.status and sight.poll:
        told = ("progress", "message")
        read = {n: value for n in told if (value := getattr(sight.poll, n)) is not None}
        read["raw_status"] = sight.poll.raw_status
        update |= {**read, "looked_at": look.at}
        if any(getattr(current, name) != value for name, value in read.items()):
            update |= {"moved_at": look.at, "stalled": False}
    if todo.listed is not None:
        update["listed"] = todo.listed
    if todo.wake:
        update |= {"woken_for": todo.wake, "woken_at": at}
    if todo.clear:
        update["woken_for"] = None
    if not update:
        return None
    row = current.model_copy(update=update)
    row = row.model_copy(update={"milestone": occasions.milestone(row)})
    return Change(row, log.status_swept(current, row), occasions.of_poll(current, row, look.at))


def stop_asked(current: MonitorRow, stop: StopRequest) -> Change | None:
    """Somebody wishes that the watch ends, whichever run is live; the next poll reads it."""
    if current.state.final:
        return None
    joined = current.stop.joined(stop) if current.stop else stop
    return Change(current.model_copy(update={"stop": joined}), [])


def changed(
    current: MonitorRow, settings: Mapping[str, object], at: datetime, by: str | None = None
) -> Change | None:
    """Somebody changed settings of a watch, whichever run is live."""
    if current.state.final:
        return None
    row = current.model_copy(update=settings)
    return Change(row, [log.changed(current, row, at, by)] if row != current else [])


def flagged_stale(current: MonitorRow, run: int, at: datetime) -> Change | None:
    """The watchdog found the watch silent; its next poll takes the flag away."""
    if not _is_live(current, run) or current.stale:
        return None
    row = current.model_copy(update={"stale": True})
    return Change(row, [], [occasions.of_silence(row, at)])


def restarted(current: MonitorRow, run: int, at: datetime, by: str | None = None) -> Change | None:
    """The watch goes on as the next run, so that nothing of this one counts any more."""
    if not _is_live(current, run):
        return None
    again = current.model_copy(update={"run": run + 1, "stale": False, "resumed": True})
    return Change(again, [log.resumed(again, at, by)])


def resumed(
    current: MonitorRow, run: int, at: datetime, poll_at: datetime | None = None
) -> Change | None:
    """The watch is started again as it is; noted once, until its next poll at `poll_at`."""
    if not _is_live(current, run) or current.resumed:
        return None
    update = {"resumed": True, "next_poll_at": poll_at or current.next_poll_at}
    return Change(current.model_copy(update=update), [log.resumed(current, at)])


def ended(
    current: MonitorRow, watch: Watch, rules: Rules, asked_at: datetime | None, now: datetime
) -> Change | None:
    """A watch came to a verdict, and the row bears it out: the row decides, not the watch.

    None if the row shows no end (a wish to stop, an expire time, what its last poll saw), or if the
    source is to be asked first to cancel the job. None as well if the watch saw the job end, and
    the row, which that poll may not have reached, shows another end: one more look tells.

    Args:
        current: The row.
        watch: The watch, with its verdict.
        rules: Of the source.
        asked_at: When the last poll was asked for, if it does not stand in the row.
        now: The time.
    """
    if not _is_live(current, watch.run):
        return None
    ending = ending_of(current, rules, asked_at)
    if ending is None or (ending.cancel_job and watch.cancel_result is None):
        return None
    claim = watch.verdict
    if claim and claim.state.job_ended and not ending.state.job_ended and asked_at is None:
        return None
    decided_at = claim.ended_at if claim and claim.state is ending.state else now
    # The time, too, is a claim: no watch ended before its last poll.
    decided_at = min(max(decided_at, current.last_poll_at or current.started_at), now)
    verdict = Verdict(state=ending.state, reason=ending.reason, ended_at=decided_at)
    end = current.ended(verdict).model_copy(update={"cancel_result": watch.cancel_result})
    by = current.stop.by if current.stop and ending.state is State.STOPPED else None
    return Change(end, [log.ended(end, by)], [occasions.of_end(end)])


def ending_of(row: MonitorRow, rules: Rules, asked_at: datetime | None = None) -> Ending | None:
    """How the watch ends by what its row holds; None if it goes on."""
    return find_ending(row, row.stop, asked_at or row.last_poll_at or row.started_at, rules)


def terminated(current: MonitorRow, end: MonitorRow) -> Change | None:
    """The instance of the watch was terminated; `end` is the `effective_row` that shows it."""
    if not _is_live(current, end.run) or end.ended_at is None:
        return None
    verdict = Verdict(state=end.state, reason=end.reason or "", ended_at=end.ended_at)
    row = current.ended(verdict)
    return Change(row, [log.ended(row)], [occasions.of_end(row)])


def cancelled_late(current: MonitorRow, run: int, result: str) -> Change | None:
    """The job of a watch that ended without it was asked to end; `result` is the source's word."""
    if current.run != run or not current.state.final:
        return None
    return Change(current.model_copy(update={"cancel_result": result}), [])


def reused(row: MonitorRow, now: datetime) -> MonitorRow:
    """The end of a live run whose job id the source gave to a new job."""
    why = "The source used the job's id again, for a new job."
    return row.ended(Verdict(state=State.LOST, reason=why, ended_at=now))


def _late(current: MonitorRow, at: datetime) -> float | None:
    """How late a poll comes that was asked for at the time; None for the first."""
    if current.next_poll_at is None:
        return None
    return max((at - current.next_poll_at).total_seconds(), 0.0)


def _is_hinted(current: MonitorRow, at: datetime) -> bool:
    """Whether a hint brought a poll forward.

    None did so for the first poll of a watch that was started again, or for a poll that runs twice.
    """
    before, planned = current.last_poll_at, current.next_poll_at
    if before is None or planned is None or current.resumed:
        return False
    if at < before + POLL_GAP - TIMER_EARLY:
        return False
    return at < planned - TIMER_EARLY


def _slowness(row: MonitorRow, poll: Poll, at: datetime) -> dict[str, object]:
    """Whether the job runs longer than it should, and whether anything of it moves.

    A job that has ended does neither.
    """
    if poll.outcome.is_end:
        return {"overdue": False, "stalled": False}
    rules = poll.rules or Rules()
    warn = row.warn_after_seconds or rules.warn_after_seconds
    stall = row.stall_after_seconds or rules.stall_after_seconds
    runs_for, rests_for = at - row.started_at, at - (row.moved_at or row.started_at)
    return {
        "overdue": warn is not None and runs_for >= timedelta(seconds=warn),
        "stalled": stall is not None and rests_for >= timedelta(seconds=stall),
    }


RESULT_LENGTH = 16 * 1024
"""Bytes of a job's result that are kept."""


def _result(text: str | None) -> dict[str, object]:
    if text is None:
        return {"result": None, "result_cut": False}
    data = text.encode()
    kept = data[:RESULT_LENGTH].decode(errors="ignore")
    return {"result": kept, "result_cut": len(data) > RESULT_LENGTH}


def _is_live(row: MonitorRow, run: int) -> bool:
    """Whether the row is that of this run, which has not ended."""
    return row.run == run and not row.state.final
