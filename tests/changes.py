"""Changes of a stored monitor, as the app's functions make them."""

from datetime import datetime

from activities.record_final_status import finish
from adapters.monitor_table import MonitorTable, Written
from domain.monitors import transitions
from domain.monitors.monitor import MonitorRow, Watch
from domain.outcome import StopRequest

__all__ = ["ask_to_stop", "claim_again", "finish", "poll", "restart", "resume", "terminate"]


def poll(table: MonitorTable, watch: Watch) -> Written | None:
    """The watch after a poll."""
    return table.change(watch.monitor_id, lambda row: transitions.polled(row, watch))


def ask_to_stop(table: MonitorTable, row: MonitorRow, stop: StopRequest) -> Written | None:
    return table.change(row.id, lambda known: transitions.stop_asked(known, row.run, stop))


def claim_again(table: MonitorTable, ended: MonitorRow, again: MonitorRow) -> Written | None:
    return table.change(again.id, lambda row: transitions.claimed_again(row, ended, again))


def restart(table: MonitorTable, row: MonitorRow, at: datetime) -> MonitorRow | None:
    written = table.change(row.id, lambda known: transitions.restarted(known, row.run, at))
    return written.now if written else None


def resume(table: MonitorTable, row: MonitorRow, at: datetime) -> Written | None:
    return table.change(row.id, lambda known: transitions.resumed(known, row.run, at))


def terminate(table: MonitorTable, end: MonitorRow) -> Written | None:
    return table.change(end.id, lambda row: transitions.terminated(row, end))
