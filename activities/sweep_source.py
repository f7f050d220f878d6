"""`SweepSource`: one sweep of a source by its list, or the plan and the end of one job by job.

A list is read page by page. One that is complete is compared with the live watches, once all of it
is there: a job that it named before and does not name now is missing. Of any other list each page
is done with before the next is asked for. The cursor moves on after the last page, so a sweep that
is cut off repeats what it did, which does no harm.

A source may say anything. Time, pages, bytes and wakes have limits, a page is not asked for twice,
and whatever the list says, a poll decides.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df

from adapters import hub
from adapters.event_log import log_event
from adapters.handled import digest
from adapters.list_walk import Walk
from adapters.monitor_table import Claim
from adapters.services import Services, get_services
from adapters.sweeper import Seen, Sweeper, needs
from adapters.threads import at_store, long_at_store
from domain import names
from domain.errors import JobMonitorError
from domain.monitors.monitor_id import earlier_id, monitor_id
from domain.monitors.sweep import (
    LOOK_BACK,
    Look,
    Part,
    Sweep,
    SweepTurn,
    cursor_after,
    pause_after,
)
from domain.sources.listing import ListEndpoint
from domain.sources.page import Sight
from domain.sources.source import Source

bp = df.Blueprint()
_PASS_PAGES = 10  # times `max_pages`, until a sweep that never comes to an end is given up
_SOON = timedelta(seconds=5)
_PART = 500  # watches, at the least
PARTS = 4
"""Parts of a sweep that are done at once."""


@bp.function_name(names.SWEEP_SOURCE)
@bp.activity_trigger(input_name="order")
@bp.durable_client_input(client_name="client")
async def sweep_source(order: object, client: df.DurableOrchestrationClient) -> dict[str, Any]:
    """Sweep once by the list, or begin or end a sweep job by job.

    Args:
        order: `{"source"}`, and `{"done"}`, a `SweepTurn`, at the end of a sweep job by job.
        client: The durable client of the task hub.

    Returns:
        A `SweepTurn` as JSON.
    """
    given: dict[str, Any] = order if isinstance(order, dict) else {}
    name, done = str(given.get("source")), given.get("done")
    services = await at_store(get_services)
    source = services.sources.by_name.get(name)
    if source is None or not source.sweeps:
        return SweepTurn(ended=True).to_wire()
    run = Run(client, services, source)
    try:
        if done is not None:
            turn = await run.end_parts(SweepTurn.model_validate(done))
        elif name in await at_store(services.app_state.paused_sources, services.now()):
            turn = await run.hold()
        elif source.sweep == "each":
            turn = await run.plan()
        else:
            turn = await run.by_list()
    except JobMonitorError as error:
        turn = SweepTurn(pause_seconds=source.poll_interval_seconds, failed=True, detail=str(error))
    level = logging.WARNING if turn.failed else logging.INFO
    if not turn.parts:
        log_event(
            "swept",
            None,
            level=level,
            source=name,
            jobs=turn.jobs,
            changed=turn.changed,
            woken=turn.woken,
            failed=turn.failed,
            detail=turn.detail,
        )
    return turn.to_wire()


class Run:
    """One activity of a source's sweep."""

    def __init__(
        self, client: df.DurableOrchestrationClient, services: Services, source: Source
    ) -> None:
        self._client, self._services, self._source = client, services, source
        self._interval = timedelta(seconds=source.poll_interval_seconds)

    async def hold(self) -> SweepTurn:
        """Ask nothing, since somebody holds the polls of the source."""
        now = self._services.now()
        sweep = await self._state()
        next_at = now + self._interval
        held = {"next_at": next_at, "covers_until": sweep.covers_until and next_at}
        return await self._note(sweep.model_copy(update=held), SweepTurn(), self._interval)

    async def plan(self) -> SweepTurn:
        """Begin a sweep job by job: the spans of live watches to ask about."""
        sweep = await self._begin(await self._state())
        live = self._services.monitors.live_of(self._source.name)
        keys = await long_at_store(lambda: [claim.key for _, claim in live])
        size = max(_PART, -(-len(keys) // PARTS))
        ends = [keys[min(end, len(keys)) - 1] for end in range(size, len(keys) + size, size)]
        parts = [Part(after=a, last=b) for a, b in zip(["", *ends], ends, strict=False)]
        return SweepTurn(parts=parts) if parts else await self._end(sweep, SweepTurn())

    async def end_parts(self, turn: SweepTurn) -> SweepTurn:
        """End a sweep job by job."""
        return await self._end(await self._state(), turn)

    async def by_list(self) -> SweepTurn:
        """Sweep by the list."""
        endpoint, before = self._source.list, await self._state()
        if endpoint is None:
            return SweepTurn(ended=True)
        sweep = await self._begin(before)
        look = look_of(sweep, self._source, self._services.now())
        if endpoint.is_complete:
            return await self._compare(sweep, look)
        new_hub = sweep.hub_since != before.hub_since
        return await self._take_changes(sweep, look, endpoint, new_hub=new_hub)

    async def _compare(self, sweep: Sweep, look: Look) -> SweepTurn:
        """Compare a complete list with the live watches."""
        sweeper = Sweeper(self._client, self._services)
        live = self._services.monitors.live_of(self._source.name)
        entries = await long_at_store(lambda: list(live))
        watched = {claim.job_id for _, claim in entries}
        walk = Walk(self._services, self._source, look.at, None, sweeper.deadline)
        named: dict[str, tuple[Sight, datetime]] = {}  # of a list of millions, what is watched
        jobs = 0
        async for read in walk.pages():
            jobs += len(read.page.sights)
            told = (sight for sight in read.page.sights if sight.job_id in watched)
            named |= {sight.job_id: (sight, read.asked_at) for sight in told}
        if walk.more:
            walk.fail("the list has more pages than one sweep reads")
        for unknown in (id_ for id_, claim in entries if claim.job_id is None):
            # An entry of an earlier release: the next sweep knows its job.
            if row := await at_store(self._services.monitors.get, unknown):
                await at_store(self._services.monitors.remark, row)
        seen = await long_at_store(_compared, entries, named, look, whole=walk.whole)
        await sweeper.take_all(seen)
        turn = _turn(sweeper, walk, jobs)
        return await self._end(sweep, turn, more=sweeper.left and not sweeper.woken_all)

    async def _take_changes(
        self, sweep: Sweep, look: Look, endpoint: ListEndpoint, *, new_hub: bool
    ) -> SweepTurn:
        """Take over what changed, page by page, from where the sweep before was cut off."""
        name, overlap = self._source.name, timedelta(seconds=endpoint.overlap_seconds)
        sweeper = Sweeper(self._client, self._services)
        if new_hub or sweep.position is None or sweep.since is None:
            if new_hub:  # wakes were lost with the hub before
                overlap += timedelta(seconds=self._source.safety_seconds)
            since = (sweep.cursor or look.at - LOOK_BACK) - overlap
            begun = {"position": None, "pages": 0, "since": since, "newest": None}
            sweep = sweep.model_copy(update={**begun, "pass_at": look.at})
        walk = Walk(
            self._services, self._source, sweep.since or look.at, sweep.position, sweeper.deadline
        )
        handled, kept = self._services.handled.of(name, look.hub_since), dict[str, int]()
        jobs, newest, position = 0, sweep.newest, sweep.position
        async for read in walk.pages():
            position = read.at
            page_look = look._replace(at=read.asked_at)
            told = {sight.job_id: sight for sight in read.page.sights}
            kept |= {job: seen for job, seen in handled.items() if job in told}
            new = [each for each in told.values() if handled.get(each.job_id) != digest(each)]
            seen = [Seen(i, each, page_look) for each in new for i in _ids(name, each.job_id)]
            done = await sweeper.take_all(seen)
            if sweeper.left or sweeper.failed:
                walk.more = True
                break
            undone = {each.sight.job_id for each, ok in zip(seen, done, strict=True) if not ok}
            kept |= {each.job_id: digest(each) for each in new}
            kept = {job: known for job, known in kept.items() if job not in undone}
            jobs += len(told)
            newest = max(filter(None, (newest, *(each.updated for each in new))), default=None)
            position = read.page.next
        self._services.handled.keep(name, look.hub_since, kept)
        pages, cut = sweep.pages + walk.count, sweeper.left or (walk.more and endpoint.asks_since)
        endless = cut and pages >= _PASS_PAGES * endpoint.max_pages
        if endless:
            walk.fail("the list does not come to an end")
        if cut and position is not None and self._source.redact(position) != position:
            walk.fail("the list names its next page by a secret")  # which no row may hold
        turn = _turn(sweeper, walk, jobs)
        if turn.failed or not cut:
            # After a failure the next sweep begins again: a position may not last.
            sweep = sweep.model_copy(update={"position": None, "pages": 0, "newest": None})
        else:
            update = {"position": position, "pages": pages, "newest": newest}
            sweep = sweep.model_copy(update=update)
        if endless or not (turn.failed or cut):
            cursor = cursor_after(newest, sweep.cursor, self._services.now())
            sweep = sweep.model_copy(update={"cursor": cursor})
        return await self._end(sweep, turn, more=cut, spare=sweeper.woken_all)

    async def _state(self) -> Sweep:
        return await at_store(self._services.app_state.sweep, self._source.name)

    async def _begin(self, sweep: Sweep) -> Sweep:
        """Note that a sweep begins, for the next one to know if this one is cut off."""
        now = self._services.now()
        begun = sweep.begun(await hub.hub_since(self._client, self._services), now)
        await at_store(self._services.app_state.save_sweep, self._source.name, begun, now)
        return begun

    async def _end(
        self, sweep: Sweep, turn: SweepTurn, *, more: bool = False, spare: bool = False
    ) -> SweepTurn:
        """Note that a sweep came to its end, and when the next one follows.

        Args:
            sweep: The state.
            turn: What was done.
            more: Whether there was more to do than time.
            spare: Whether the rest must wait for the interval, to spare the task hub.
        """
        now = self._services.now()
        began = sweep.began_at or now
        update: dict[str, object] = turn.model_dump(include={"jobs", "changed", "woken"})
        update["open_since"] = sweep.open_since if turn.undone else None
        if turn.failed:
            update |= {"failures": sweep.failures + 1, "detail": turn.detail}
        elif not more:
            update |= {"failures": 0, "detail": turn.detail}
            update["looked_at"] = sweep.pass_at or began
            update["pass_at"] = None
            update["covers_until"] = began + self._interval
        sweep = sweep.model_copy(update=update)
        longest = self._source.max_wait_seconds
        pause = pause_after(sweep, self._interval, turn.wait_seconds, longest) - (now - began)
        pause = _SOON if more and not turn.failed and not spare else max(pause, _SOON)
        update = {"next_at": now + pause}
        if turn.wait_seconds is not None and sweep.looked_at:
            # Left alone as it wishes: its watches must not ask in the place of the sweep.
            safety = timedelta(seconds=self._source.safety_seconds)
            update["covers_until"] = min(now + pause, sweep.looked_at + safety)
        return await self._note(sweep.model_copy(update=update), turn, pause)

    async def _note(self, sweep: Sweep, turn: SweepTurn, pause: timedelta) -> SweepTurn:
        state, now = self._services.app_state, self._services.now()
        await at_store(state.save_sweep, self._source.name, sweep, now)
        return turn.model_copy(update={"pause_seconds": pause.total_seconds(), "parts": []})


def look_of(sweep: Sweep, source: Source, now: datetime) -> Look:
    """A look at the time `now`, in a sweep that began."""
    return Look(
        now,
        timedelta(seconds=source.progress_seconds),
        listing=source.lists_all,
        hub_since=sweep.hub_since,
        again_since=sweep.again_since,
    )


def _turn(sweeper: Sweeper, walk: Walk, jobs: int) -> SweepTurn:
    """What a sweep by a list did."""
    return SweepTurn(
        jobs=jobs,
        changed=sweeper.changed,
        woken=sweeper.woken,
        failed=walk.failed or bool(sweeper.failed),
        undone=sweeper.failed,
        detail=walk.detail or sweeper.error,
        wait_seconds=walk.wait,
    )


def _ids(source: str, job_id: str) -> list[str]:
    """The ids under which a job may have its monitor."""
    return [each for each in (monitor_id(source, job_id), earlier_id(source, job_id)) if each]


def _compared(
    entries: list[tuple[str, Claim]],
    named: Mapping[str, tuple[Sight, datetime]],
    look: Look,
    *,
    whole: bool,
) -> list[Seen]:
    """The watches that a complete list asks something for."""
    found = []
    for monitor_id_, claim in entries:
        if claim.job_id is None:
            continue
        sight, asked_at = named.get(claim.job_id, (Sight(claim.job_id, None), look.at))
        if sight.poll is None and not whole:
            continue
        seen = Seen(monitor_id_, sight, look._replace(at=asked_at), claim.run, claim.mark)
        if needs(seen):
            found.append(seen)
    return found
