"""The log of a monitor: what each line says, and when there is one."""

from datetime import datetime

from pydantic import AwareDatetime, Field

from domain.monitors.monitor import MonitorRow
from domain.wire import WireModel


class LogLine(WireModel):
    """One line of a monitor's log.

    Attributes:
        at: When it was seen.
        run: In which run.
        poll: In which poll; 0 for the start.
        event: `started`, `resumed` (by the watchdog or a restart), `status` (the raw status
            changed) or `ended`.
        from_: What it was before: a raw status, or None.
        to: What it is now: a raw status, or a state.
        reason: Why, for an end.
    """

    at: AwareDatetime
    run: int
    poll: int
    event: str
    from_: str | None = Field(None, alias="from")
    to: str | None = None
    reason: str | None = None


def started(row: MonitorRow) -> LogLine:
    """The first line of a run."""
    return LogLine(at=row.started_at, run=row.run, poll=0, event="started", to=row.state)


def resumed(row: MonitorRow, at: datetime) -> LogLine:
    """The line of a watch that goes on."""
    return LogLine(at=at, run=row.run, poll=row.polls, event="resumed", to=row.state)


def status_change(before: MonitorRow, now: MonitorRow) -> list[LogLine]:
    """A line if the raw status changed, none if it did not or `now` knows less than `before`."""
    if now.raw_status == before.raw_status or now.last_poll_at is None or now.polls < before.polls:
        return []
    line = LogLine(
        at=now.last_poll_at,
        run=now.run,
        poll=now.polls,
        event="status",
        from_=before.raw_status,
        to=now.raw_status,
    )
    return [line]


def ended(row: MonitorRow) -> LogLine:
    """The last line of a run."""
    return LogLine(
        at=row.ended_at or row.started_at,
        run=row.run,
        poll=row.polls,
        event="ended",
        from_=row.raw_status,
        to=row.state,
        reason=row.reason,
    )
