"""The progress of the cleanup, and what one run of it has to do.

1. The list tells which monitors ended before the retention began. Of each the instance goes first,
   by its id, then the log, then the row. Its place in the list goes last.
2. Once the list is done, and once a day, the hub is asked to purge what else has ended: instances
   that are no monitor's. It finds them by their time, for which its storage has no index. So this
   takes long in a large hub, and the run waits for it only as long as it has time.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

from pydantic import AwareDatetime, Field

from domain.text import Text
from domain.wire import InternalModel

INTERVAL = timedelta(hours=1)
"""From the end of one cleanup to the beginning of the next."""

TIME_BUDGET = timedelta(minutes=2)
"""For one run of `DoCleanup`; hosts stop a function after five minutes at the earliest."""

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_STRAYS_EVERY = timedelta(days=1)


Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""As large as a number of the table is by default."""


class CleanupProgress(InternalModel):
    """The input of a `PeriodicCleanup` generation and the result of `DoCleanup`.

    The management API takes any input. One that is out of these bounds ends its generation, and the
    watchdog starts a new cleanup.

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
    after: Annotated[str, Field(pattern="^([0-9]{16}-[!-~]{1,300}|0)$")] | None = None
    more: bool = False
    runs: Count = 0
    last_run_at: AwareDatetime | None = None
    instances: Count = 0
    monitors: Count = 0
    failed: Count = 0
    hub: Annotated[str, Field(pattern="^[0-9A-Za-z:.+-]{1,64}$")] | None = None
    last_error: Text | None = None

    @property
    def shown_error(self) -> str | None:
        """The first line of that; the rest shows the code of the host."""
        return self.last_error.partition("\n")[0].strip() if self.last_error else None


class SeenHub(NamedTuple):
    """The task hub as somebody saw it, by its cleanup.

    Attributes:
        hub: The id that the cleanup carries; empty if it carries none.
        runs: How many runs it had behind it.
        since: Since when the hub is this one.
    """

    hub: str
    runs: int
    since: datetime


def seen_hub(known: SeenHub | None, progress: CleanupProgress, now: datetime) -> SeenHub:
    """The task hub whose cleanup is at `progress`; `known` was read before that was looked up.

    A cleanup of another id is that of another hub, as one that was lost and made anew. Fewer runs
    are those of an old copy that was put back.
    """
    hub, runs = progress.hub or "", progress.runs
    is_known = known is not None and known.hub == hub and known.runs <= runs
    return SeenHub(hub, runs, known.since if known and is_known else now)


def strays(
    progress: CleanupProgress, cutoff: datetime, now: datetime
) -> tuple[datetime, datetime] | None:
    """The span of creation time in which the hub is to purge all that ended; None for none now."""
    through = progress.purged_through
    # Nobody has come past the present, or looked before the past.
    begin = max(through, _LONG_AGO) if through and through <= now else _LONG_AGO
    asked_at = progress.strays_at
    if begin >= cutoff or (asked_at and asked_at <= now < asked_at + _STRAYS_EVERY):
        return None
    return begin, cutoff
