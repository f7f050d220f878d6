"""The sweep: one look at all jobs of a source, in the place of a poll for each.

A sweep wakes, a poll decides. A sweep writes status, progress and message of jobs that changed, and
sends a hint to the watches whose job ended, has another outcome than its last poll saw, or is
missing. It writes nothing that an end can come of: no outcome, no count, no first sight of a job.

1. `to_do` compares what a sweep saw with what is known of a watch. Both the row and its entry in
   `~live` tell that, as a `Mark`. So a job that did not change costs neither a read nor a write.
2. A watch is woken once for each state that the list shows (`wake_key`). Its polls come at its own
   interval until list and polls agree again.
3. `covers` says whether a sweep looks after a watch. If it does, the next poll is a safety net.
4. `Sweep` is the state of a source's sweep. The table has it, not the orchestrator: it outlives
   the task hub, and nobody can forge it with an input.
"""

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import AwareDatetime, Field

from domain.monitors.decide import MAX_BACKOFF, TIMER_EARLY, observe
from domain.monitors.monitor import MonitorRow
from domain.outcome import Outcome, Poll, Rules
from domain.sources.page import Sight
from domain.text import Text
from domain.wire import InternalModel

GRACE = timedelta(minutes=1)
SILENT_AFTER_INTERVALS = 3
LOOK_BACK = timedelta(days=1)
"""How far back the first list is asked for, before the source has told a time of its own."""

MISSING = "missing"


class Sweep(InternalModel):
    """The state of a source's sweep.

    Attributes:
        began_at: When the newest sweep began.
        open_since: When the first sweep began since one came to its end with all done; None if the
            newest one did.
        again_since: What a sweep was about to do since then may not be done: one before the newest
            was cut off.
        looked_at: When the newest sweep began that saw all that it was to see.
        covers_until: When the next such look is due.
        next_at: When the next sweep is planned.
        failures: How many sweeps in a row did not see all.
        detail: Why the newest one did not.
        jobs: How many jobs the newest look saw.
        changed: How many rows it wrote.
        woken: How many watches it woke.
        cursor: The newest change that the source told of, in its own time.
        position: The page of a list where a sweep stopped for want of time, for the next to go on.
        pages: How many pages of it were read, or asked for again.
        since: The time that it was asked for.
        newest: The newest change on its pages so far.
        pass_at: When its first page was asked for.
        hub_since: The task hub that the sweep ran in, by its beginning.
    """

    began_at: AwareDatetime | None = None
    open_since: AwareDatetime | None = None
    again_since: AwareDatetime | None = None
    looked_at: AwareDatetime | None = None
    covers_until: AwareDatetime | None = None
    next_at: AwareDatetime | None = None
    failures: int = 0
    detail: Text | None = None
    jobs: int = 0
    changed: int = 0
    woken: int = 0
    cursor: AwareDatetime | None = None
    position: str | None = None
    pages: int = 0
    since: AwareDatetime | None = None
    newest: AwareDatetime | None = None
    pass_at: AwareDatetime | None = None
    hub_since: AwareDatetime | None = None

    def begun(self, hub_since: datetime | None, now: datetime) -> "Sweep":
        """The state at the beginning of a sweep."""
        return self.model_copy(
            update={
                "began_at": now,
                "open_since": self.open_since or now,
                "again_since": self.open_since,
                "hub_since": hub_since,
            }
        )

    def is_fresh(self, interval: timedelta, now: datetime) -> bool:
        """Whether the watches may rely on it: its next look is not overdue."""
        return self.covers_until is not None and now <= self.covers_until + _patience(interval)

    def is_silent(self, alive_at: datetime | None, interval: timedelta, now: datetime) -> bool:
        """Whether the orchestrator has stopped: nothing of it was heard when it should have been.

        Args:
            alive_at: When it was last heard of.
            interval: Between two sweeps.
            now: The time.
        """
        heard = [at for at in (alive_at, self.next_at) if at]
        return not heard or now > max(heard) + _patience(interval)


class SweepState(NamedTuple):
    """The state of a source's sweep, and when its orchestrator was last heard of."""

    sweep: Sweep
    alive_at: datetime | None


class Part(InternalModel):
    """A span of the live watches of a source: those with keys after one, up to another."""

    after: str
    last: str


class SweepTurn(InternalModel):
    """The input of a `SourceSweep` generation, and what its activities answer. It is no authority.

    Attributes:
        ended: Whether the source does not sweep any more.
        pause_seconds: The time until the next sweep.
        parts: The spans of watches that are still to be asked about in this sweep.
        jobs: How many jobs this sweep saw so far.
        changed: How many rows it wrote.
        woken: How many watches it woke.
        failed: Whether it did not see all.
        undone: Watches for which it could not do what was to be done.
        detail: Why not.
        wait_seconds: How long the source wants to be left alone.
    """

    ended: bool = False
    pause_seconds: float = 60
    parts: list[Part] = Field(default=[])
    jobs: int = 0
    changed: int = 0
    woken: int = 0
    failed: bool = False
    undone: int = 0
    detail: Text | None = None
    wait_seconds: float | None = None

    def joined(self, parts: "list[SweepTurn]") -> "SweepTurn":
        """This turn after its parts, each of which tells what is left of it."""
        waits = [each.wait_seconds for each in parts if each.wait_seconds is not None]
        return self.model_copy(
            update={
                "parts": [rest for each in parts for rest in each.parts],
                "jobs": self.jobs + sum(each.jobs for each in parts),
                "changed": self.changed + sum(each.changed for each in parts),
                "woken": self.woken + sum(each.woken for each in parts),
                "undone": self.undone + sum(each.undone for each in parts),
                "failed": self.failed or any(each.failed for each in parts),
                "detail": next((each.detail for each in parts if each.detail), self.detail),
                "wait_seconds": max(waits, default=self.wait_seconds),
            }
        )


class Mark(InternalModel):
    """What is known of a watch for a sweep to compare, without reading its row.

    Attributes:
        outcome: Of the last poll.
        raw_status: As the row has it; so is the progress.
        message: A digest of the message.
        looked_at: When they were last written.
        listed: Whether a complete list named the job.
        woken_for: The listed state that the watch was woken for, until list and polls agree.
        woken_at: When it was.
        paused: Whether somebody holds the watch.
    """

    outcome: Outcome | None = None
    raw_status: Text | None = None
    progress: float | None = None
    message: str | None = None
    looked_at: AwareDatetime | None = None
    listed: bool = False
    woken_for: Text | None = None
    woken_at: AwareDatetime | None = None
    paused: bool = False

    @classmethod
    def of(cls, row: MonitorRow) -> "Mark":
        """The mark of a row."""
        return cls(
            outcome=row.outcome,
            raw_status=row.raw_status,
            progress=row.progress,
            message=_digest(row.message),
            looked_at=last_look(row),
            listed=row.listed,
            woken_for=row.woken_for,
            woken_at=row.woken_at,
            paused=row.paused,
        )


def is_other(mark: Mark, row: MonitorRow) -> bool:
    """Whether a mark tells otherwise than its row, in more than progress and message."""
    late = {"progress", "message", "looked_at"}
    return mark.model_dump(exclude=late) != Mark.of(row).model_dump(exclude=late)


class Look(NamedTuple):
    """One sweep, as far as each of its sights is concerned.

    Attributes:
        at: When the request began that saw the jobs.
        progress_every: How often progress and message are written.
        listing: Whether a complete list looks, so that it counts whether a job is named.
        hub_since: Since when the task hub is this one: wakes of before are lost.
        again_since: See `Sweep`.
    """

    at: datetime
    progress_every: timedelta
    listing: bool = False
    hub_since: datetime | None = None
    again_since: datetime | None = None


class ToDo(NamedTuple):
    """What a sight asks for; nothing if all is false.

    Attributes:
        status: Whether status, progress and message are to be written. Not again for a state that
            the watch was woken for: its polls, which see otherwise, have the word.
        listed: Whether the job is named by a complete list now; None if that stays.
        wake: The state to wake the watch for.
        clear: Whether list and polls agree again.
    """

    status: bool = False
    listed: bool | None = None
    wake: str | None = None
    clear: bool = False


def to_do(mark: Mark, sight: Sight, look: Look, *, polled: bool = False) -> ToDo:
    """What a sweep does about a watch that goes on.

    Args:
        mark: What is known of the watch.
        sight: What the sweep saw of its job.
        look: The sweep.
        polled: Whether a poll began since the watch was woken.
    """
    if mark.paused:
        return ToDo()
    key = wake_key(mark, sight)
    if sight.poll is None and not mark.listed and mark.woken_for != MISSING:
        key = None  # never named, so that nothing follows from it
    listed = (sight.poll is not None) if look.listing else None
    if listed is mark.listed:
        listed = None
    return ToDo(
        status=_is_news(mark, sight, look) and (key is None or key != mark.woken_for),
        listed=listed,
        wake=key if key and not _is_woken(mark, key, look, polled=polled) else None,
        clear=key is None and mark.woken_for is not None,
    )


def wake_key(mark: Mark, sight: Sight) -> str | None:
    """The listed state for which a watch is woken; None if its last poll saw the same outcome."""
    if mark.outcome is None:
        return None  # its first poll is on the way
    if sight.poll is None or sight.poll.outcome is Outcome.NOT_FOUND:
        return None if mark.outcome is Outcome.NOT_FOUND else MISSING
    if sight.poll.outcome is mark.outcome:
        return None
    updated = f" {sight.updated.isoformat()}" if sight.updated else ""
    return f"{sight.poll.outcome} {sight.poll.raw_status}{updated}"


def _is_woken(mark: Mark, key: str, look: Look, *, polled: bool) -> bool:
    """Whether the watch was woken for this state, by a hint that is not lost."""
    if mark.woken_for != key or mark.woken_at is None:
        return False
    if look.hub_since and mark.woken_at < look.hub_since:
        return False
    return polled or not look.again_since or mark.woken_at < look.again_since


def _is_news(mark: Mark, sight: Sight, look: Look) -> bool:
    """Whether status, progress and message of a job are newer than the row's.

    A poll sees a job first, since "not found" counts otherwise for a job that was seen. An end that
    a poll saw keeps its status.
    """
    poll = sight.poll
    if poll is None or not poll.saw_job or mark.raw_status is None:
        return False
    if (mark.outcome and mark.outcome.is_end) or (mark.looked_at and look.at <= mark.looked_at):
        return False
    if poll.raw_status != mark.raw_status:
        return True
    progress = poll.progress is not None and poll.progress != mark.progress
    message = poll.message is not None and _digest(poll.message) != mark.message
    if not progress and not message:
        return False
    return not mark.looked_at or look.at >= mark.looked_at + look.progress_every


def _digest(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()[:16]


def last_look(row: MonitorRow) -> datetime | None:
    """When a poll or a sweep last wrote the status of a row."""
    times = [at for at in (row.last_poll_at, row.looked_at) if at]
    return max(times, default=None)


def woken_and_silent(row: MonitorRow) -> datetime | None:
    """When a watch was woken that has not polled since; None if none was."""
    if row.woken_at is None or (row.last_poll_at and row.last_poll_at >= row.woken_at):
        return None
    return row.woken_at


class Net(NamedTuple):
    """What a source says of its sweep to a watch.

    Attributes:
        safety: The time between two polls of a watch that is looked after.
        interval: Between two sweeps.
        listing: Whether only a job that a complete list names is looked after.
    """

    safety: timedelta
    interval: timedelta
    listing: bool


def covers(net: Net, sweep: Sweep | None, row: MonitorRow, now: datetime) -> bool:
    """Whether a sweep looks after a watch, so that its polls may be rare.

    Not after one that wants shorter intervals, that a complete list does not name, or of which list
    and polls tell different things.
    """
    if sweep is None or not sweep.is_fresh(net.interval, now):
        return False
    if timedelta(seconds=row.poll_interval_seconds) < net.interval or row.woken_for is not None:
        return False
    return row.listed or not net.listing


def safety_seconds(
    net: Net, sweep: Sweep | None, row: MonitorRow, poll: Poll, now: datetime
) -> float | None:
    """The wait until the next poll of a watch, if a sweep looks after it.

    It differs by id, so that watches that polled together do not go on together. It ends where
    the job is overdue or stalled, since polls alone tell that. After a poll that finds the job
    stalled, a sweep may see it move: it is stalled again by then at the earliest.
    """
    if not poll.saw_job or poll.outcome.is_end or not covers(net, sweep, row, now):
        return None
    wait = net.safety.total_seconds() * (0.9 + 0.1 * fraction(row.id))
    rules = poll.rules or Rules()
    moved_at = observe(row, poll, now).moved_at or row.started_at
    runs_for, rests_for = (now - row.started_at).total_seconds(), (now - moved_at).total_seconds()
    ends = [wait]
    if (warn := row.warn_after_seconds or rules.warn_after_seconds) and runs_for < warn:
        ends.append(warn - runs_for + TIMER_EARLY.total_seconds())
    if stall := row.stall_after_seconds or rules.stall_after_seconds:
        left = stall - rests_for if rests_for < stall else stall
        ends.append(left + TIMER_EARLY.total_seconds())
    return max(min(ends), float(row.poll_interval_seconds))


def resumed_poll_at(row: MonitorRow, safety: timedelta, now: datetime) -> datetime | None:
    """When a swept watch polls whose instance was lost; None for at once.

    A lost task hub loses all at once. So they come back over the time of the safety net, each at a
    moment that its id gives, and none after the poll that it had planned.
    """
    if not row.swept or row.stop or row.woken_for is not None:
        return None
    planned = row.next_poll_at if row.next_poll_at and row.next_poll_at > now else row.expire_time
    return min(now + safety * fraction(row.id), planned, row.expire_time + TIMER_EARLY)


def cursor_after(
    newest: datetime | None, before: datetime | None, now: datetime
) -> datetime | None:
    """The newest change that a source told of. A time in the future counts as now."""
    times = [time for time in (newest and min(newest, now), before) if time]
    return max(times, default=None)


def pause_after(sweep: Sweep, interval: timedelta, wish: float | None, longest: float) -> timedelta:
    """From the beginning of a sweep to the next one: the interval, a back-off, or a wish.

    Args:
        sweep: The state after the sweep.
        interval: Of the source.
        wish: The seconds that the source asks for.
        longest: How many of them it gets.
    """
    doublings = min(max(sweep.failures - 1, 0), 20)
    pause = interval if not sweep.failures else min(interval * float(2**doublings), MAX_BACKOFF)
    pause = max(pause, interval)
    return max(pause, timedelta(seconds=min(wish or 0, longest)))


def fraction(seed: str) -> float:
    """A number in [0, 1) that is always the same for a text."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) / 2**32


def _patience(interval: timedelta) -> timedelta:
    return SILENT_AFTER_INTERVALS * interval + GRACE
