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

from domain.monitor import MonitorRow

START_GRACE = timedelta(minutes=1)
"""How long a start may take from the claim to the orchestrator."""

SILENT_INTERVALS = 3


class Measure(StrEnum):
    """What to do."""

    NOTHING = "nothing"
    SETTLE = "settle"
    END = "end"
    RESUME = "resume"
    CALL_STALE = "call stale"


def measure(
    row: MonitorRow, runtime_status: str | None, instance_run: int | None, now: datetime
) -> Measure:
    """What to do about a monitor.

    Args:
        row: Its row.
        runtime_status: Of its instance, as the management API spells it; None if there is none.
        instance_run: The run that the instance watches.
        now: The time.
    """
    if row.state.final:
        return Measure.SETTLE
    ours = instance_run == row.run
    if ours and runtime_status in ("Terminated", "Canceled"):
        return Measure.END
    if not ours or runtime_status in (None, "Failed", "Completed"):
        return Measure.RESUME if now >= row.started_at + START_GRACE else Measure.NOTHING
    expected = row.next_poll_at or row.started_at
    silent_since = SILENT_INTERVALS * timedelta(seconds=row.poll_interval_seconds)
    if now > expected + silent_since + START_GRACE:
        return Measure.CALL_STALE
    return Measure.NOTHING
