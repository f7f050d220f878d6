"""A monitor and its instance: the row that both show, and the watchdog's decision.

1. A final row needs only its indexes brought in line.
2. An instance that was terminated ends the watch: `Terminated`. So does an instance that polled in
   this task hub and is gone: somebody purged it. Not so one that the app itself removed for a new
   run: two callers that do that at once may hit the instance of the new run.
3. A live row whose instance is otherwise missing, failed, or of an earlier run is started again. So
   a claim that never started recovers, and so does a lost task hub. Nothing is done within a minute
   of the start: the caller may be about to start the instance.
4. A suspended watch that is to end, by a wish to stop it or by its expire time, is resumed.
5. A watch whose poll is overdue by three poll intervals and a minute is flagged stale, and gets a
   hint: a crafted input may have put its poll off for ever. So is one that a sweep woke so long
   ago, and that has not polled since, however fresh the sweep is.
6. A watch that relies on a sweep which is silent, or was switched off, gets a hint: its next poll
   would be a safety net, far ahead.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from domain.monitors.instance import Instance
from domain.monitors.monitor import MonitorRow, State, Verdict
from domain.monitors.sweep import woken_and_silent

START_GRACE = timedelta(minutes=1)
"""How long a start may take from the claim to the orchestrator."""

CLAIM_GRACE = timedelta(minutes=15)
"""How long a start may take to its claim: the host ends a function after ten minutes."""

STALE_AFTER_INTERVALS = 3

REMOVED = "Removed to free a stuck monitor."
"""The reason that the app gives when it terminates the instance of an earlier run."""


class Recovery(StrEnum):
    """The watchdog's actions on a monitor."""

    NOTHING = "nothing"
    SYNC_INDEXES = "sync indexes"
    END = "end"
    RESUME = "resume"
    WAKE = "wake"
    FLAG_STALE = "flag stale"
    FALL_BACK = "fall back"


def effective_row(
    row: MonitorRow, instance: Instance | None, hub_since: datetime | None, now: datetime
) -> MonitorRow:
    """The row as its instance shows it: a live row whose instance was ended has ended.

    An instance of an earlier run says nothing: the new one is about to start.

    Args:
        row: The row.
        instance: Its instance, looked up after the row was read; None if there is none.
        hub_since: Since when the task hub is known to be this one; None if it is not known.
        now: The time.
    """
    if row.state.final:
        return row
    if instance is None:
        if hub_since is None or not polled_since(row, hub_since):
            return row
        reason, at = "Its instance was removed through the management API.", None
    elif instance.run == row.run and instance.terminated and instance.reason != REMOVED:
        reason, at = (
            instance.reason or "Terminated through the management API.",
            instance.updated_at,
        )
    else:
        return row
    return row.ended(Verdict(state=State.TERMINATED, reason=reason, ended_at=at or now))


def polled_since(row: MonitorRow, hub_since: datetime) -> bool:
    """Whether this run polled in the task hub that began then, and was not started again since.

    A poll of the hub before may have been under way when that was lost: the first minute says
    nothing.
    """
    at = row.last_poll_at
    return at is not None and at > hub_since + START_GRACE and not row.resumed


def decide_recovery(
    row: MonitorRow,
    instance: Instance | None,
    hub_since: datetime | None,
    now: datetime,
    *,
    has_sweep: bool = True,
) -> Recovery:
    """The action on a monitor.

    Args:
        row: As for `effective_row`; so are the next three.
        instance: Its instance.
        hub_since: The age of the task hub.
        now: The time.
        has_sweep: Whether its source has a sweep that it may rely on.
    """
    if row.state.final:
        return Recovery.SYNC_INDEXES
    if effective_row(row, instance, hub_since, now).state.final:
        return Recovery.END
    if instance is None or instance.run != row.run or instance.ended:
        return Recovery.RESUME if now >= row.started_at + START_GRACE else Recovery.NOTHING
    if instance.suspended and (row.stop or now > row.expire_time):
        return Recovery.WAKE
    expected = row.next_poll_at or row.started_at
    if woken_at := woken_and_silent(row):
        expected = min(expected, woken_at)
    stale_after = STALE_AFTER_INTERVALS * timedelta(seconds=row.poll_interval_seconds)
    if now > expected + stale_after + START_GRACE:
        return Recovery.FLAG_STALE
    if row.swept and not has_sweep and not instance.suspended:
        return Recovery.FALL_BACK
    return Recovery.NOTHING
