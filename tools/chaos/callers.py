"""The users of the API: callers that start monitors, and people who hint, stop and terminate.

They behave as clients should: they ask again, a little later, until the answer is clear.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

import aiohttp

from domain.monitors.monitor import State
from tools.chaos.plan import Job, Plan

Answer = tuple[int, Any]

_CLEAR = frozenset({200, 202, 400, 404, 409, 410, 413})
_PAUSE = 0.2, 1.5  # seconds before a caller asks again
_PATIENCE = 20.0  # seconds that a caller waits for an answer


@dataclass
class Accepted:
    """A start that was answered with success."""

    job: Job
    monitor_id: str
    run: int


@dataclass
class Callers:
    """All users. They give up at `until`; `answers` counts the answers by their status."""

    plan: Plan
    api: str
    begin: float
    until: float
    accepted: list[Accepted] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    asked: int = 0

    async def run(self) -> None:
        """Return when all had their answers."""
        connector = aiohttp.TCPConnector(limit=64)
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            for job in self.plan.jobs:
                group.create_task(self._attend(session, job))

    async def _attend(self, session: aiohttp.ClientSession, job: Job) -> None:
        """Start, hint and meddle as the plan of one job says."""
        rng = self.plan.random(job.id)
        starts = [self._start(session, job, at, rng) for at in job.starts]
        hints = [self._hint(session, job, at) for at in job.hints]
        answers = await asyncio.gather(*starts, *hints)
        started = next((each for each in answers if each), None)
        if job.meddles is not None and started:
            await self._at(job.meddles)
            await self._meddle(session, job, started, rng)

    async def _start(
        self, session: aiohttp.ClientSession, job: Job, at: float, rng: Random
    ) -> Any | None:
        await self._at(at)
        self.asked += 1
        body = {
            "jobId": job.id,
            "pollIntervalSeconds": job.interval,
            "timeoutSeconds": job.timeout,
        }
        status, answer = await self._insist(session, f"{self.api}/monitors", rng, body)
        if status not in (200, 202):
            self.refused.append(f"{job.id}: {status} {answer}")
            return None
        row = answer["monitor"]
        self.accepted.append(Accepted(job, row["id"], row["run"]))
        return answer

    async def _hint(self, session: aiohttp.ClientSession, job: Job, at: float) -> None:
        """Send a hint once; it may be lost."""
        await self._at(at)
        mine = [each.monitor_id for each in self.accepted if each.job is job]
        if mine:
            await self._ask(session, f"{self.api}/monitors/{quote(mine[0])}/notify", {})

    async def _meddle(
        self, session: aiohttp.ClientSession, job: Job, started: Any, rng: Random
    ) -> None:
        if job.verdict is State.STOPPED:
            url = f"{self.api}/monitors/{quote(started['id'])}/stop?reason=chaos"
        else:
            url = started["terminatePostUri"].replace("{text}", "chaos")
        status, answer = await self._insist(session, url, rng)
        if status not in (200, 202, 410):
            self.refused.append(f"{job.id}, {job.verdict}: {status} {answer}")

    async def _insist(
        self, session: aiohttp.ClientSession, url: str, rng: Random, body: Any = None
    ) -> Answer:
        """Ask until there is a clear answer."""
        while True:
            status, answer = await self._ask(session, url, body)
            self.answers[str(status or answer)] += 1
            if status in _CLEAR or time.time() > self.until:
                return status, answer
            await asyncio.sleep(rng.uniform(*_PAUSE))

    async def _ask(self, session: aiohttp.ClientSession, url: str, body: Any) -> Answer:
        """The answer's status and body; 0 and the error's name if there was none."""
        try:
            async with session.post(url, json=body) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return 0, type(error).__name__

    async def _at(self, seconds: float) -> None:
        await asyncio.sleep(max(self.begin + seconds - time.time(), 0))
