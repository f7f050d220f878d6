"""What a monitor's instance says of it, and what the watchdog does about it.

1. A row that ended needs nothing but its indexes: they are brought in line.
2. An instance that was terminated ends the watch: `Terminated`.
3. A live row whose instance is missing, failed, or of an earlier run, is started again: a claim
   that never was started, a task hub that was lost. Not within a minute of the start: the caller
   may be about to do it.
4. A watch that runs, but has not polled for three poll intervals longer than planned, is flagged
   stale.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from domain.monitors.instance import Instance
from domain.monitors.monitor import MonitorRow, State, Verdict

START_GRACE = timedelta(minutes=1)
"""How long a start may take from the claim to the orchestrator."""

STALE_AFTER_INTERVALS = 3


class Recovery(StrEnum):
    """What to do about a monitor."""

    NOTHING = "nothing"
    SYNC_INDEXES = "sync indexes"
    END = "end"
    RESUME = "resume"
    FLAG_STALE = "flag stale"


def effective_row(row: MonitorRow, instance: Instance | None, now: datetime) -> MonitorRow:
    """The row as its instance shows it: live, but with its instance terminated, it has ended.

    An instance of an earlier run says nothing: the new one is about to start.
    """
    if row.state.final or instance is None or instance.run != row.run or not instance.terminated:
        return row
    reason = instance.reason or "Terminated through the management API."
    return row.ended(Verdict(state=State.TERMINATED, reason=reason, ended_at=now))


def decide_recovery(row: MonitorRow, instance: Instance | None, now: datetime) -> Recovery:
    """What to do about a monitor, whose instance may be missing."""
    if row.state.final:
        return Recovery.SYNC_INDEXES
    if effective_row(row, instance, now).state.final:
        return Recovery.END
    if instance is None or instance.run != row.run or instance.ended:
        return Recovery.RESUME if now >= row.started_at + START_GRACE else Recovery.NOTHING
    expected = row.next_poll_at or row.started_at
    stale_after = STALE_AFTER_INTERVALS * timedelta(seconds=row.poll_interval_seconds)
    if now > expected + stale_after + START_GRACE:
        return Recovery.FLAG_STALE
    return Recovery.NOTHING
