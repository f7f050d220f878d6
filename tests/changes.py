"""Changes of a stored monitor, as the app's functions make them."""

from datetime import datetime, timedelta

from adapters.monitor_table import MonitorTable, Written
from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow, State, Verdict
from domain.outcome import Outcome, Poll, Rules, StopRequest

LIFE = timedelta(hours=1)
"""From the start of a monitor that `end` ends to its end."""


def seen(status: str, outcome: Outcome = Outcome.RUNNING) -> Poll:
    """A poll that saw a job."""
    return Poll(outcome=outcome, raw_status=status, progress=12.5, message="ok", rules=Rules())


def poll(table: MonitorTable, row: MonitorRow, status: str, minutes: float = 1) -> Written | None:
    """A poll that saw a status, so many minutes after the start."""
    at = row.started_at + timedelta(minutes=minutes)
    return table.change(row.id, lambda now: transitions.polled(now, row.run, seen(status), at))


def ended(row: MonitorRow, state: State = State.SUCCEEDED) -> MonitorRow:
    return row.ended(Verdict(state=state, reason="because", ended_at=row.started_at + LIFE))


def end(table: MonitorTable, row: MonitorRow, state: State = State.SUCCEEDED) -> MonitorRow:
    """Let the run of a row end, if it is live; the row as it is then."""
    written = table.change(row.id, lambda now: transitions.terminated(now, ended(row, state)))
    now = written.now if written else table.get(row.id)
    assert now is not None
    return now


def ask_to_stop(table: MonitorTable, row: MonitorRow, stop: StopRequest) -> Written | None:
    return table.change(row.id, lambda now: transitions.stop_asked(now, stop))


def claim_again(table: MonitorTable, before: MonitorRow, again: MonitorRow) -> Written | None:
    return table.change(again.id, lambda now: transitions.claimed_again(now, before, again))


def restart(table: MonitorTable, row: MonitorRow, at: datetime) -> MonitorRow | None:
    written = table.change(row.id, lambda now: transitions.restarted(now, row.run, at))
    return written.now if written else None


def resume(table: MonitorTable, row: MonitorRow, at: datetime) -> Written | None:
    return table.change(row.id, lambda now: transitions.resumed(now, row.run, at))


def terminate(table: MonitorTable, end: MonitorRow) -> Written | None:
    return table.change(end.id, lambda now: transitions.terminated(now, end))
