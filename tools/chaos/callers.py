"""The callers: they start monitors, each as the plan of its job says, until all are answered.

A caller does as the answers tell. If the app does not know whether it started a job, a caller with
an Idempotency-Key looks for the job in its system: it watches the one that is there by its id, or
sends the request with a new key.
"""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tools.chaos.client import Answer, Client, new_session
from tools.chaos.job_system import JobSystem
from tools.chaos.meddlers import Meddlers
from tools.chaos.plan import Job, Plan

_UNDER_WAY = 5.0  # seconds for a request with the same key to be answered
_REPEATED_AFTER = 0.0, 0.3, 3.0  # seconds at the most, until the same request is sent again


@dataclass(frozen=True)
class Accepted:
    """A start that was answered with success.

    Attributes:
        job: Its job.
        monitor_id: The monitor.
        run: The run.
        began_by: The time after which the run began, if the start submitted the job.
    """

    job: Job
    monitor_id: str
    run: int
    began_by: float | None = None


@dataclass
class Callers:
    """All users of the API. They give up at `until`.

    Attributes:
        plan: The plan.
        api: The URL that the routes begin with.
        jobs: The job system, where a caller may look.
        until: When they give up.
        accepted: The starts that were answered with success.
        refused: The answers that no request should get.
        asked: How many starts there were.
        sent: When each job's starts were sent, also the repeated ones.
        busy: When somebody last did something about each job.
    """

    plan: Plan
    api: str
    jobs: JobSystem
    until: float
    accepted: list[Accepted] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    asked: int = 0
    sent: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    busy: dict[str, float] = field(default_factory=dict)
    meddlers: Meddlers = field(init=False)
    client: Client = field(init=False)

    async def run(self) -> None:
        """Return when all had their answers."""
        async with new_session() as session, asyncio.TaskGroup() as group:
            self.client = Client(self.jobs.begin, self.until, session)
            self.meddlers = Meddlers(self.api, self.client, self.refused)
            for job in self.plan.jobs:
                group.create_task(self._attend(job))

    async def _attend(self, job: Job) -> None:
        """Start, hint and meddle as the plan of one job says."""
        started: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        rng = self.plan.random(job.id)
        async with asyncio.TaskGroup() as group:
            for number, at in enumerate(job.starts):
                seed = self.plan.random(f"{job.id} {number}")
                for repeat in range(job.repeats):
                    after = rng.uniform(0, _REPEATED_AFTER[repeat % len(_REPEATED_AFTER)])
                    start = self._start(job, number, at + after, seed, started)
                    group.create_task(start)
            for number, act in enumerate(job.acts):
                seed = self.plan.random(f"{job.id} act {number}")
                group.create_task(self.meddlers.act(job, act, started, seed))
        self.busy[job.id] = time.time()

    async def _start(
        self, job: Job, number: int, at: float, rng: Random, started: asyncio.Future[Any]
    ) -> None:
        await self.client.at(at)
        self.asked += 1
        if job.keyed:
            answer, began_by = await self._start_with_key(job, number, rng)
        else:
            answer, began_by = await self._post(job, rng, self._subject(job, f"{number}"))
        if answer.status not in (200, 202):
            self.refused.append(f"{job.id}: {answer.status} {answer.body}")
            started.cancel()  # nobody waits for it
            return
        row = answer.body["monitor"]
        self.accepted.append(Accepted(job, row["id"], row["run"], began_by))
        if not started.done():
            started.set_result(answer.body)

    async def _start_with_key(
        self, job: Job, number: int, rng: Random
    ) -> tuple[Answer, float | None]:
        """Send a start with its key until its outcome is known; the repeats share the key."""
        for attempt in range(99):
            key = f"{job.id} {number} {attempt}".encode().hex()
            begun = time.time()
            while True:
                answer, began_by = await self._post(job, rng, self._subject(job, key), key)
                under_way = time.time() < begun + _UNDER_WAY and not self.client.gives_up()
                if answer.status != 409 or not under_way:
                    break
                await asyncio.sleep(rng.uniform(0.5, 2))
            if answer.status not in (409, 502) or self.client.gives_up():
                return answer, began_by
            if any(each.start == key for each in self.jobs.submits[job.id]):
                return await self._post(job, rng, {"jobId": job.id})
        raise AssertionError(f"{job.id}: no start after 99 keys")

    async def _post(
        self, job: Job, rng: Random, subject: dict[str, Any], key: str | None = None
    ) -> tuple[Answer, float | None]:
        """The answer to a start, and since when its run may have begun if it submits a job."""
        body = {
            **subject,
            "source": job.source,
            "pollIntervalSeconds": job.interval,
            "timeoutSeconds": job.timeout,
            "onExpiry": job.on_expiry,
        }
        headers = {"Idempotency-Key": key} if key else None
        answer = await self._insist(job, rng, body, headers)
        found = answer.body.get("jobId") if isinstance(answer.body, dict) else None
        if answer.status == 503 and found:  # the job runs, and its watch did not begin
            answer = await self._insist(job, rng, {**body, "job": None, "jobId": found}, None)
            return answer, None
        return answer, answer.sent_at if "job" in subject and not key else None

    async def _insist(
        self, job: Job, rng: Random, body: dict[str, Any], headers: dict[str, str] | None
    ) -> Answer:
        """Ask until the answer is clear, and note each request."""
        while True:
            self.sent[job.id].append(time.time())
            answer = await self.client.ask("POST", f"{self.api}/monitors", body, headers)
            self.client.answers[str(answer.status or answer.body)] += 1
            told_id = isinstance(answer.body, dict) and "jobId" in answer.body
            if answer.status in (200, 202, 400, 404, 409, 413, 422) or told_id:
                return answer
            if answer.status == 502 and headers:  # the job may run, and all answers will say that
                return answer
            if self.client.gives_up():
                return answer
            await asyncio.sleep(rng.uniform(0.2, 1.5))

    def _subject(self, job: Job, start: str) -> dict[str, Any]:
        return {"job": {"id": job.id, "start": start}} if job.submitted else {"jobId": job.id}
