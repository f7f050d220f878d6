"""What the watchdog does about a monitor, from its row and its instance.

1. A row that ended needs nothing but tidying: what helps to find it is brought in line.
2. An instance that was terminated ends the watch: `Terminated`.
3. A live row whose instance is missing, failed, or of an earlier run, is started again: a claim
   that never was started, a task hub that was lost. Not within a minute of the start: the caller
   may be about to do it.
4. One that runs, but is silent for three poll intervals longer than planned, is flagged stale.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from domain.monitors.monitor import MonitorRow

START_GRACE = timedelta(minutes=1)
"""How long a start may take from the claim to the orchestrator."""

STALE_AFTER_INTERVALS = 3


class Recovery(StrEnum):
    """What to do."""

    NOTHING = "nothing"
    SYNC_INDEXES = "sync indexes"
    END = "end"
    RESUME = "resume"
    FLAG_STALE = "flag stale"


def decide_recovery(
    row: MonitorRow, runtime_status: str | None, instance_run: int | None, now: datetime
) -> Recovery:
    """What to do about a monitor.

    Args:
        row: Its row.
        runtime_status: Of its instance, as the management API spells it; None if there is none.
        instance_run: The run that the instance watches.
        now: The time.
    """
    if row.state.final:
        return Recovery.SYNC_INDEXES
    ours = instance_run == row.run
    if ours and runtime_status in ("Terminated", "Canceled"):
        return Recovery.END
    if not ours or runtime_status in (None, "Failed", "Completed"):
        return Recovery.RESUME if now >= row.started_at + START_GRACE else Recovery.NOTHING
    expected = row.next_poll_at or row.started_at
    stale_after = STALE_AFTER_INTERVALS * timedelta(seconds=row.poll_interval_seconds)
    if now > expected + stale_after + START_GRACE:
        return Recovery.FLAG_STALE
    return Recovery.NOTHING
