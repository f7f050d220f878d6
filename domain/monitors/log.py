"""The log of a monitor: its lines, and the changes that they record."""

import json
from datetime import datetime, timedelta

from pydantic import AwareDatetime, Field

from domain.monitors.monitor import MonitorRow
from domain.notices.delivery import Told
from domain.notices.notice import Notice
from domain.outcome import Outcome
from domain.wire import WireModel

KEPT = 1_000
"""Lines of a monitor that are kept. Of older ones, only those in `OUTCOMES` are (I3)."""

PAGE = 200
"""Lines that are read at once."""

OUTCOMES = {"started", "ended"}


class LogLine(WireModel):
    """One line of a monitor's log.

    Attributes:
        at: The time of the change.
        run: The number of the run.
        poll: The number of the poll; 0 for the start.
        event: `started`, `resumed` (by the watchdog or a restart), `status` (the raw status
            changed), `unseen` (polls fail from here on), `seen` (they see the job again), `hinted`
            (a hint brought a poll forward), `overdue`, `stalled`, `changed` (settings) or `ended`;
            of a notice `delivered`, `notDelivered` or `givenUp`, from its event to the channel.
        from_: The value before: a raw status, an outcome, settings as JSON, or None.
        to: The value now: a raw status, an outcome, settings as JSON, or a state.
        reason: Why, for an end and for polls that fail; for a notice the words of the receiver.
        by: Who asked for the change, or for the stop that led to the end; `key` if a key was asked
            for. None for changes that nobody asked for, and in lines of earlier releases.
    """

    at: AwareDatetime
    run: int
    poll: int
    event: str
    from_: str | None = Field(None, alias="from")
    to: str | None = None
    reason: str | None = None
    by: str | None = None


def started(row: MonitorRow, by: str | None = None) -> LogLine:
    """The first line of a run."""
    return LogLine(at=row.started_at, run=row.run, poll=0, event="started", to=row.state, by=by)


def resumed(row: MonitorRow, at: datetime, by: str | None = None) -> LogLine:
    """The line of a watch that goes on."""
    return LogLine(at=at, run=row.run, poll=row.polls, event="resumed", to=row.state, by=by)


def status_change(before: MonitorRow, now: MonitorRow) -> list[LogLine]:
    """A line if the raw status changed, none if it did not or `now` knows less than `before`."""
    return [] if now.polls < before.polls else _status(before, now, now.last_poll_at)


def status_swept(before: MonitorRow, now: MonitorRow) -> list[LogLine]:
    """A line if a sweep saw another raw status."""
    return _status(before, now, now.looked_at)


def _status(before: MonitorRow, now: MonitorRow, at: datetime | None) -> list[LogLine]:
    if now.raw_status == before.raw_status or at is None:
        return []
    change = {"from_": before.raw_status, "to": now.raw_status}
    return [LogLine(at=at, run=now.run, poll=now.polls, event="status", **change)]


def sight(before: MonitorRow, now: MonitorRow) -> list[LogLine]:
    """A line if this poll is the first that missed the job, or the first that found it again."""
    missed, found = _misses(now.outcome), not _misses(before.outcome)
    if missed is not found or now.last_poll_at is None:
        return []
    line = LogLine(
        at=now.last_poll_at,
        run=now.run,
        poll=now.polls,
        event="unseen" if missed else "seen",
        from_=before.outcome,
        to=now.outcome,
        reason=now.detail,
    )
    return [line]


def _misses(outcome: Outcome | None) -> bool:
    return outcome is not None and (outcome.unseen or outcome is Outcome.NOT_FOUND)


def hint(before: MonitorRow, now: MonitorRow) -> list[LogLine]:
    """A line if a hint brought this poll forward; one for hints less than a poll interval apart."""
    at, known = now.hinted_at, before.hinted_at
    if at is None or at == known:
        return []
    if known and at < known + timedelta(seconds=now.poll_interval_seconds):
        return []
    return [LogLine(at=at, run=now.run, poll=now.polls, event="hinted")]


def slowness(before: MonitorRow, now: MonitorRow) -> list[LogLine]:
    """A line for each of `overdue` and `stalled` that this poll found."""
    found = [name for name in ("overdue", "stalled") if getattr(now, name)]
    return [
        LogLine(at=now.last_poll_at, run=now.run, poll=now.polls, event=name, to=now.raw_status)
        for name in found
        if now.last_poll_at and not getattr(before, name)
    ]


def changed(before: MonitorRow, now: MonitorRow, at: datetime, by: str | None = None) -> LogLine:
    """The line of a change of settings: each old and new value that differs, as JSON."""
    old, new = before.to_wire(), now.to_wire()
    names = [name for name in new if new[name] != old[name]]
    return LogLine(
        at=at,
        run=now.run,
        poll=now.polls,
        event="changed",
        from_=json.dumps({name: old[name] for name in names}),
        to=json.dumps({name: new[name] for name in names}),
        by=by,
    )


def ended(row: MonitorRow, by: str | None = None) -> LogLine:
    """The last line of a run."""
    return LogLine(
        at=row.ended_at or row.started_at,
        run=row.run,
        poll=row.polls,
        event="ended",
        from_=row.raw_status,
        to=row.state,
        reason=row.reason,
        by=by,
    )


def notified(
    row: MonitorRow, notice: Notice, channel: str, told: Told, words: str | None
) -> LogLine:
    """The line of an attempt to tell a channel of a notice."""
    return LogLine(
        at=told.at or notice.at,
        run=notice.run or row.run,
        poll=row.polls,
        event="notDelivered" if told.state == "waiting" else told.state,
        from_=notice.event,
        to=channel,
        reason=words,
    )
