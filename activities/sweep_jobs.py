"""`SweepJobs`: ask a source for the job of each live watch in a span, as a sweep does.

It takes as many of the source's places as `adapters.places` leaves it, works for a limited time,
and says where it stopped. If nothing of the source can be seen, or it wants fewer requests, it
stops at once: the others would fare no better. A single job that can't be seen is left to its own
watch, which is woken.
"""

import asyncio
from functools import partial
from itertools import islice
from time import monotonic
from typing import Any

import azure.durable_functions as df

from activities.sweep_source import PARTS, look_of
from adapters.monitor_table import Claim
from adapters.places import places_of_sweep
from adapters.services import Services, get_services
from adapters.sweeper import MAX_WAKES, Seen, Sweeper, needs
from adapters.threads import at_store, in_sweep, long_at_store
from domain import names
from domain.errors import Faults, JobMonitorError
from domain.monitors.sweep import Part, Sweep, SweepTurn
from domain.outcome import Outcome, Poll
from domain.sources.page import Sight
from domain.sources.source import Source

bp = df.Blueprint()

_BATCH = 500  # watches that are read and asked about together
_LAST_REQUEST = 15.0  # seconds beyond the time for all
_BLIND_AFTER = 3  # times as many requests as are made at once


@bp.function_name(names.SWEEP_JOBS)
@bp.activity_trigger(input_name="part")
@bp.durable_client_input(client_name="client")
async def sweep_jobs(part: object, client: df.DurableOrchestrationClient) -> dict[str, Any]:
    """Ask about the jobs of a part.

    Args:
        part: `{"source"}` with a `Part`.
        client: The durable client of the task hub.

    Returns:
        A `SweepTurn` as JSON, with the rest of the part in `parts`.
    """
    given: dict[str, Any] = part if isinstance(part, dict) else {}
    name = str(given.get("source"))
    services = await at_store(get_services)
    source = services.sources.by_name.get(name)
    if source is None or source.sweep != "each":
        return SweepTurn().to_wire()
    try:
        sweep = await at_store(services.app_state.sweep, name)
        run = _Run(client, services, source, sweep)
        turn = await run.ask(Part.model_validate(given))
        await at_store(services.app_state.note_sweep, name, services.now())
    except JobMonitorError as error:
        turn = SweepTurn(failed=True, undone=1, detail=str(error))
    return turn.to_wire()


class _Run:
    def __init__(
        self,
        client: df.DurableOrchestrationClient,
        services: Services,
        source: Source,
        sweep: Sweep,
    ) -> None:
        self._services, self._source, self._sweep = services, source, sweep
        self._sweeper = Sweeper(client, services, MAX_WAKES // PARTS)
        self._size = places_of_sweep(source)
        self._turns = asyncio.Semaphore(self._size)
        self._jobs = self._unseen = 0
        self._trouble: list[Seen] = []
        self._stopped = False
        self._detail: str | None = None
        self._wait: float | None = None

    async def ask(self, part: Part) -> SweepTurn:
        """Ask about each watch of a part, as far as the time goes."""
        live = self._services.monitors.live_of(self._source.name, part.after, part.last)
        after: str | None = part.after
        while batch := await long_at_store(lambda: list(islice(live, _BATCH))):
            done = await asyncio.gather(*(self._one(*each) for each in batch))
            if self._stopped:
                break
            await self._sweeper.take_all(self._trouble)
            self._trouble = []
            if False in done:
                first = done.index(False)
                after = batch[first - 1][1].key if first else after
                break
            after = batch[-1][1].key
        else:
            after = None
        failed = self._stopped or self._sweeper.failed > 0
        rest = [] if after is None or failed else [Part(after=after, last=part.last)]
        return SweepTurn(
            parts=rest,
            jobs=self._jobs,
            changed=self._sweeper.changed,
            woken=self._sweeper.woken,
            failed=failed,
            undone=self._sweeper.failed,
            detail=self._detail or self._sweeper.error,
            wait_seconds=self._wait,
        )

    async def _one(self, monitor_id: str, claim: Claim) -> bool:
        """Ask about one job; whether there was time for it."""
        async with self._turns:
            if self._sweeper.late or self._stopped:
                return False
            if claim.mark and claim.mark.paused:
                return True
            job_id = claim.job_id
            if job_id is None:  # an entry of an earlier release
                row = await at_store(self._services.monitors.get, monitor_id)
                if row is None or row.run != claim.run:
                    return True
                job_id = row.job_id
            look = look_of(self._sweep, self._source, self._services.now())
            poll = await in_sweep(self._source.name, self._size, partial(self._ask, job_id))
        if poll is None:
            return False
        self._jobs += 1
        self._watch_out(poll)
        seen = Seen(monitor_id, Sight(job_id, poll), look, claim.run, claim.mark)
        if needs(seen) and poll.outcome.unseen:
            self._trouble.append(seen)  # for later: it may be the whole source
        elif needs(seen):
            return await self._sweeper.take(seen) or not self._sweeper.late
        return True

    def _ask(self, job_id: str) -> Poll | None:
        """One look at a job; None if there was no place for it in time."""
        services, source = self._services, self._source
        with services.places.wait(source, self._sweeper.deadline) as found:
            if not found:
                return None
            until = max(self._sweeper.deadline, monotonic()) + _LAST_REQUEST
            try:
                return services.jobs.poll(source, job_id, services.now(), until)
            except Faults as error:  # no id of the source, since that was changed
                return Poll(outcome=Outcome.UNREACHABLE, detail=str(error))

    def _watch_out(self, poll: Poll) -> None:
        """Stop if the source wants fewer requests, or if nothing of it can be seen."""
        self._unseen = self._unseen + 1 if poll.outcome.unseen else 0
        if poll.outcome is Outcome.THROTTLED:
            self._stopped, self._wait = True, poll.retry_after_seconds or 0
        if self._unseen >= _BLIND_AFTER * self._size:
            self._stopped = True
        if self._stopped:
            self._detail = poll.detail
