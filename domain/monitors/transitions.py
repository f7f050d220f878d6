"""How a monitor's row may change: for a row and an event, the new row and its log lines.

Each function answers None where the event changes nothing: the run that it is about has ended,
or another run has begun (I3). The store applies the answer only if nobody wrote to the row
meanwhile, and asks again if somebody did.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from domain.monitors import log
from domain.monitors.log import LogLine
from domain.monitors.monitor import MonitorRow, Watch
from domain.outcome import StopRequest


class Change(NamedTuple):
    """A new row, and the log lines that come with it."""

    row: MonitorRow
    lines: list[LogLine]


Transition = Callable[[MonitorRow], Change | None]
"""From the row as the store has it to its change, or None for no change."""


def claimed(row: MonitorRow) -> Change:
    """The first watch over a job begins."""
    return Change(row, [log.started(row)])


def claimed_again(current: MonitorRow, ended: MonitorRow, again: MonitorRow) -> Change | None:
    """The next run begins after `ended`, which is the row as its caller knows it."""
    if current.run != ended.run:
        return None
    # An end that only the task hub told of is not in the log yet.
    end = [] if current.state.final else [log.ended(ended)]
    return Change(again, [*end, log.started(again)])


def polled(current: MonitorRow, watch: Watch) -> Change | None:
    """A poll was made; `watch` is the watch after it."""
    if not _is_live(current, watch.run) or current.polls > watch.polls:
        return None
    row = current.polled(watch)
    return Change(row, log.status_change(current, row))


def stop_asked(current: MonitorRow, run: int, stop: StopRequest) -> Change | None:
    """Somebody wishes that the watch ends; the next poll reads the wish."""
    if not _is_live(current, run):
        return None
    return Change(current.model_copy(update={"stop": stop}), [])


def flagged_stale(current: MonitorRow, run: int) -> Change | None:
    """The watchdog found the watch silent; its next poll takes the flag away."""
    if not _is_live(current, run) or current.stale:
        return None
    return Change(current.model_copy(update={"stale": True}), [])


def restarted(current: MonitorRow, run: int, at: datetime) -> Change | None:
    """The watch goes on as the next run, so that nothing of this one counts any more."""
    if not _is_live(current, run):
        return None
    again = current.model_copy(update={"run": run + 1, "stale": False, "resumed": True})
    return Change(again, [log.resumed(again, at)])


def resumed(current: MonitorRow, run: int, at: datetime) -> Change | None:
    """The watch is started again as it is; noted once, until its next poll."""
    if not _is_live(current, run) or current.resumed:
        return None
    return Change(current.model_copy(update={"resumed": True}), [log.resumed(current, at)])


def ended(current: MonitorRow, watch: Watch) -> Change | None:
    """A watch came to its verdict. Its last poll is stored with it, if that was not yet."""
    if not _is_live(current, watch.run) or watch.verdict is None:
        return None
    seen = current if current.polls > watch.polls else current.polled(watch)
    end = seen.ended(watch.verdict)
    return Change(end, [*log.status_change(current, end), log.ended(end)])


def terminated(current: MonitorRow, end: MonitorRow) -> Change | None:
    """The instance of the watch was terminated; `end` is the `effective_row` that shows it."""
    if not _is_live(current, end.run):
        return None
    verdict = {"state": end.state, "reason": end.reason, "ended_at": end.ended_at, "stop": None}
    row = current.model_copy(update=verdict)
    return Change(row, [log.ended(row)])


def _is_live(row: MonitorRow, run: int) -> bool:
    """Whether the row is that of this run, which has not ended."""
    return row.run == run and not row.state.final
