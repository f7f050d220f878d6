"""The progress of the cleanup, and the spans of time that it purges."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime

from domain.text import Text
from domain.wire import InternalModel

INTERVAL = timedelta(hours=1)
"""From the end of one cleanup to the beginning of the next."""

TIME_BUDGET = timedelta(minutes=2)
"""For one run of `DoCleanup`; hosts stop a function after five minutes at the earliest."""

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_WINDOWS = timedelta(days=30)
_WINDOW = timedelta(days=1)


class CleanupProgress(InternalModel):
    """The input of a `PeriodicCleanup` generation and the result of `DoCleanup`.

    Attributes:
        purged_through: Instances created before this that had ended are purged.
        more: Whether the time budget ended the run before the work was done.
        runs: How many runs ended well.
        last_run_at: When the last of them ended.
        instances: Instances purged in it.
        monitors: Monitors whose rows were removed in it.
        hub: An id of the task hub, made when its cleanup first started.
        last_error: Why the newest run failed, if it did.
    """

    purged_through: AwareDatetime | None = None
    more: bool = False
    runs: int = 0
    last_run_at: AwareDatetime | None = None
    instances: int = 0
    monitors: int = 0
    hub: str | None = None
    last_error: Text | None = None


def windows(
    purged_through: datetime | None, cutoff: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """The spans of creation time to purge, oldest first, up to `cutoff`.

    A purge of everything at once may outlast the client's timeout of four minutes. A purge of a
    day leaves progress behind. The first span begins before any instance.
    """
    begin = purged_through
    if begin is None:
        begin = cutoff - _FIRST_WINDOWS
        yield _LONG_AGO, begin
    while begin < cutoff:
        end = min(begin + _WINDOW, cutoff)
        yield begin, end
        begin = end
