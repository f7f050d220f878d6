"""`DoCleanup`: remove what ended before the retention began; see `domain.monitors.cleanup`."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import azure.durable_functions as df

from adapters import hub
from adapters.event_log import log_event
from adapters.monitor_list import Ended
from adapters.services import Services, get_services
from adapters.threads import long_at_store
from domain import names
from domain.errors import StoreUnavailable
from domain.monitors.cleanup import TIME_BUDGET, CleanupProgress, strays

bp = df.Blueprint()
log = logging.getLogger(__name__)

_BEGINNING = "0"
"""A key before all others in the list."""

_AT_ONCE, _BATCH = 12, 100  # monitors removed in parallel, and between two looks at the list


@bp.function_name(names.DO_CLEANUP)
@bp.activity_trigger(input_name="progress")
@bp.durable_client_input(client_name="client")
async def do_cleanup(progress: object, client: df.DurableOrchestrationClient) -> dict[str, Any]:
    """One cleanup within the time budget.

    Args:
        progress: A `CleanupProgress` as JSON: where the last run stopped.
        client: The durable client of the task hub.

    Returns:
        The new `CleanupProgress` as JSON.
    """
    services = get_services()
    deadline = services.now() + TIME_BUDGET
    done = await clean(CleanupProgress.model_validate(progress), client, services, deadline)
    log_event(
        "cleaned",
        None,
        level=logging.WARNING if done.failed else logging.INFO,
        instances=done.instances,
        monitors=done.monitors,
        failed=done.failed,
        more=done.more,
    )
    return done.to_wire()


async def clean(
    progress: CleanupProgress,
    client: df.DurableOrchestrationClient,
    services: Services,
    deadline: datetime,
) -> CleanupProgress:
    """Remove monitors along the list, then other instances, until done or at the deadline."""
    cutoff = services.now() - services.settings.retention
    run = _Run(client, services, deadline)
    ended = services.monitors.list.ended_before(cutoff, progress.after or "")
    after = await run.remove_monitors(ended)
    await long_at_store(services.intents.remove_old, services.now())
    through, asked_at = progress.purged_through, progress.strays_at
    now = services.now()
    if after is None and now < deadline and (span := strays(progress, cutoff, now)):
        asked_at = now
        through = await run.purge_strays(*span) or through
    return CleanupProgress(
        purged_through=through,
        strays_at=asked_at,
        after=after,
        more=after is not None,
        runs=progress.runs + 1,
        last_run_at=services.now(),
        instances=run.instances,
        monitors=run.monitors,
        failed=run.failed,
        hub=progress.hub,
        last_error=run.error,
    )


class _Tried(NamedTuple):
    """A monitor of the list, and whether all of it is gone; None if there was no time."""

    ended: Ended
    gone: bool | None


class _Run:
    """A run of the cleanup, with what it did."""

    def __init__(
        self, client: df.DurableOrchestrationClient, services: Services, deadline: datetime
    ) -> None:
        self.instances = self.monitors = self.failed = 0
        self.error: str | None = None
        self._client, self._services, self._deadline = client, services, deadline
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def remove_monitors(self, due: Iterator[Ended]) -> str | None:
        """Remove monitors until there are no more, or no more time.

        Returns:
            The key in the list after which the next run goes on; None at the end of the list.
        """
        after = None
        while batch := await long_at_store(lambda: list(islice(due, _BATCH))):
            tried = await asyncio.gather(*(self._try(each) for each in batch))
            gone = [each.ended for each in tried if each.gone]
            await long_at_store(self._services.monitors.list.remove, gone)
            left = [each.ended for each in tried if each.gone is None]
            if left:
                first = batch.index(left[0])
                return batch[first - 1].key if first else after or _BEGINNING
            after = batch[-1].key
        return None

    async def _try(self, ended: Ended) -> _Tried:
        """Remove one monitor, if there is time; trouble with it must not keep the others."""
        async with self._places:
            if self._services.now() >= self._deadline:
                return _Tried(ended, None)
            try:
                gone = await self._remove(ended)
            except StoreUnavailable as error:
                self.failed += 1
                self.error = self.error or f"{ended.monitor_id}: {error}"
                return _Tried(ended, gone=False)
        return _Tried(ended, gone=gone)

    async def _remove(self, ended: Ended) -> bool:
        """Remove instance, log and row, in this order, unless a new run began (I8).

        Returns:
            Whether the run is gone: not as long as a notice of it waits.
        """
        monitors = self._services.monitors
        known = await long_at_store(monitors.ended, ended)
        if known:
            waits = await long_at_store(monitors.has_notices, known)
            if waits:
                return False
            # Not `+= await`: that would take the count from before the wait, and lose the others'.
            instances = await hub.purge(self._client, ended.monitor_id)
            self.instances += instances
            removed = await long_at_store(monitors.remove, known)
            self.monitors += removed
        return True

    async def purge_strays(self, begin: datetime, end: datetime) -> datetime | None:
        """Have the hub purge all that ended. Returns `end`, or None if it was not done in time."""
        left = (self._deadline - self._services.now()).total_seconds()
        try:
            self.instances += await asyncio.wait_for(
                hub.purge_ended(self._client, begin, end), left
            )
        except TimeoutError:
            # The hub goes on with it all the same.
            log.warning("The hub did not purge its other instances within %.0f s", left)
        except StoreUnavailable as error:
            self.error = self.error or str(error)
        else:
            return end
        return None
