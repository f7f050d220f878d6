"""The occasions to tell somebody of a monitor, and the notices that they make.

A state that lasts is told once: as it begins, and `seen` as blindness ends. The store numbers the
notices that a channel takes.
"""

from datetime import datetime

from domain.monitors.monitor import MonitorRow
from domain.notices.notice import Event, Notice

MILESTONES = (25, 50, 75)
"""Percents of progress that are told, each once in a run; the end tells of the rest."""


def of_end(row: MonitorRow) -> Notice:
    """The notice of a run that ended."""
    return _about(row, Event.ENDED, row.ended_at or row.started_at)


def of_poll(before: MonitorRow, now: MonitorRow, at: datetime) -> list[Notice]:
    """The notices of what a poll, or a sweep, at that time changed."""
    found = []
    if now.blind != before.blind:
        found.append(Event.BLIND if now.blind else Event.SEEN)
    found += [
        event
        for event in (Event.OVERDUE, Event.STALLED)
        if getattr(now, event) and not getattr(before, event)
    ]
    if now.milestone > before.milestone:
        found.append(Event.PROGRESS)
    return [_about(now, event, at) for event in found]


def of_silence(row: MonitorRow, at: datetime) -> Notice:
    """The notice of a watch that went silent."""
    return _about(row, Event.STALE, at)


def milestone(row: MonitorRow) -> int:
    """The last milestone that a run has reached; a progress that falls back takes none away."""
    reached = [each for each in MILESTONES if row.progress is not None and each <= row.progress]
    return max([row.milestone, *reached])


def _about(row: MonitorRow, event: Event, at: datetime) -> Notice:
    return Notice(
        event=event,
        at=at,
        monitor_id=row.id,
        run=row.run,
        source=row.source,
        job_id=row.job_id,
        state=row.state,
        labels=row.labels,
        raw_status=row.raw_status,
        progress=row.progress,
        message=row.message,
        reason=row.reason,
        detail=row.detail,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
