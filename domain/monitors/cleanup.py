"""The progress of the cleanup, and what one run of it has to do.

1. The list tells which monitors ended before the retention began. Of each the instance goes first,
   by its id, then the log, then the row. Its place in the list goes last.
2. Once the list is done, and once a day, the hub is asked to purge what else has ended: instances
   that are no monitor's. It finds them by their time, for which its storage has no index. So this
   takes long in a large hub, and the run waits for it only as long as it has time.
"""

from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime

from domain.text import Text
from domain.wire import InternalModel

INTERVAL = timedelta(hours=1)
"""From the end of one cleanup to the beginning of the next."""

TIME_BUDGET = timedelta(minutes=2)
"""For one run of `DoCleanup`; hosts stop a function after five minutes at the earliest."""

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_STRAYS_EVERY = timedelta(days=1)


class CleanupProgress(InternalModel):
    """The input of a `PeriodicCleanup` generation and the result of `DoCleanup`.

    Attributes:
        purged_through: Instances created before this that had ended are purged, whatever they were.
        strays_at: When the hub was last asked for that.
        after: Where in the list the run stopped for want of time; None if it came to the end.
        more: Whether the time budget ended the run before the work was done.
        runs: How many runs ended well.
        last_run_at: When the last of them ended.
        instances: Instances purged in it.
        monitors: Monitors whose rows were removed in it.
        failed: Monitors that were to be removed in it, and were not.
        hub: An id of the task hub, made when its cleanup first started.
        last_error: Why the newest run failed, if it did.
    """

    purged_through: AwareDatetime | None = None
    strays_at: AwareDatetime | None = None
    after: str | None = None
    more: bool = False
    runs: int = 0
    last_run_at: AwareDatetime | None = None
    instances: int = 0
    monitors: int = 0
    failed: int = 0
    hub: str | None = None
    last_error: Text | None = None


def strays(
    progress: CleanupProgress, cutoff: datetime, now: datetime
) -> tuple[datetime, datetime] | None:
    """The span of creation time in which the hub is to purge all that ended; None for none now."""
    begin = progress.purged_through or _LONG_AGO
    asked_at = progress.strays_at
    if begin >= cutoff or (asked_at and asked_at <= now < asked_at + _STRAYS_EVERY):
        return None
    return begin, cutoff
