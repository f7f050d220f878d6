"""Trouble of the app itself: it is told once when it lasts, and once when all of it is over.

The watchdog notes how its own runs and those of the cleanup go.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime

from domain.monitors.cleanup import INTERVAL, CleanupProgress
from domain.notices.notice import Event, Notice
from domain.wire import InternalModel


class Part(StrEnum):
    """The work that may fail."""

    CLEANUP = "cleanup"
    WATCHDOG = "watchdog"


LASTS = {Part.CLEANUP: INTERVAL + timedelta(minutes=15), Part.WATCHDOG: timedelta(minutes=4)}
"""How long trouble lasts before it is told: past the next run, which may mend it."""

SILENT_AFTER = 3 * INTERVAL
"""From the end of a cleanup to the time at which the next is missed."""

FAILING, OVER = "failing", "over"
"""The `state` of a notice of trouble."""


class Trouble(InternalModel):
    """Trouble with a part.

    Attributes:
        since: When it was noted first.
        told: Whether it was told.
    """

    since: AwareDatetime
    told: bool = False


def of_cleanup(progress: CleanupProgress, now: datetime) -> str | None:
    """The trouble that a cleanup has, by its progress; None for none."""
    if progress.last_error:
        return f"The cleanup fails: {progress.shown_error}"
    if progress.last_run_at and now - progress.last_run_at > SILENT_AFTER:
        return f"No cleanup has ended since {progress.last_run_at:%Y-%m-%d %H:%M} UTC"
    return None


def noted(
    known: Mapping[Part, Trouble], part: Part, detail: str | None, now: datetime
) -> tuple[dict[Part, Trouble], Notice | None]:
    """The troubles after a look at a part, and the notice that is due.

    Args:
        known: The troubles before.
        part: The part.
        detail: Its trouble; None if it works.
        now: The time.
    """
    others = {name: each for name, each in known.items() if name is not part}
    trouble = known.get(part)
    if detail is None:
        was_told = trouble is not None and trouble.told
        if not was_told or any(each.told for each in others.values()):
            return others, None
        text = "The cleanup and the watchdog work again"
        return others, Notice(event=Event.TROUBLE, at=now, state=OVER, detail=text)
    trouble = trouble or Trouble(since=now)
    if trouble.told or now - trouble.since < LASTS[part]:
        return {**others, part: trouble}, None
    told = trouble.model_copy(update={"told": True})
    notice = Notice(event=Event.TROUBLE, at=now, state=FAILING, detail=detail)
    return {**others, part: told}, notice
