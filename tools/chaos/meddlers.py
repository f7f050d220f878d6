"""People and programs that meddle with watches, by the app's API and by that of the task hub."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import quote

from domain.monitors.monitor_id import monitor_id
from tools.chaos.client import Answer, Client
from tools.chaos.job_system import FORGED
from tools.chaos.plan import HUB_KNOWN, Act, Do, Job

_HUB = "/runtime/webhooks/durabletask"
_LOOK_AGAIN = 0.3  # seconds
_FAR = "2099-01-01T00:00:00Z"
_PAST = "2020-01-01T00:00:00Z"


class Meddlers:
    """They act once the watch was accepted, but for those with a crafted start, who need none.

    Attributes:
        refused: The answers that no request should get.
        cancels: The jobs that a stop was to cancel as well, by its answer.
        restarts: The runs that a restart was answered with.
    """

    def __init__(self, api: str, client: Client, refused: list[str]) -> None:
        self._api, self._client = api, client
        self._host = api.removesuffix("/api")
        self.refused = refused
        self.cancels: set[str] = set()
        self.restarts: dict[str, set[int]] = defaultdict(set)

    async def act(self, job: Job, act: Act, started: asyncio.Future[Any], rng: Random) -> None:
        """Do one thing at its time."""
        if act.do is Do.FORGE:
            await self._client.at(act.at)
            await self._forge(job, act, rng)
            return
        answer = await started
        await self._client.at(act.at)
        if act.do is Do.HINT:  # sent once; it may be lost
            await self._client.ask("POST", f"{self._monitor(job)}/notify", {})
            return
        match act.do:
            case Do.STOP | Do.STOP_AND_CANCEL:
                await self._stop(job, act.do, rng)
            case Do.RESTART:
                await self._restart(job, rng)
            case Do.CHANGE:
                await self._change(job, act, rng)
            case Do.SUSPEND:
                await self._suspend(job, answer, rng)
            case Do.COPY:
                await self._copy(job, answer, rng)
            case _:
                await self._terminate(job, act.do, answer, rng)

    def _monitor(self, job: Job) -> str:
        return f"{self._api}/monitors/{quote(monitor_id(job.source, job.id))}"

    def _expect(self, job: Job, do: Do, answer: Answer, *statuses: int) -> bool:
        """Whether the answer is one that the operation may get; others are noted."""
        if answer.status not in statuses:
            self.refused.append(f"{job.id}, {do}: {answer.status} {answer.body}")
        return answer.status in statuses

    async def _stop(self, job: Job, do: Do, rng: Random) -> None:
        flag = "&cancelJob=true" if do is Do.STOP_AND_CANCEL else ""
        url = f"{self._monitor(job)}/stop?reason=chaos{flag}"
        answer = await self._client.insist(rng, "POST", url)
        if self._expect(job, do, answer, 200, 202) and flag:
            self.cancels.add(job.id)

    async def _restart(self, job: Job, rng: Random) -> None:
        answer = await self._client.insist(rng, "POST", f"{self._monitor(job)}/restart")
        if self._expect(job, Do.RESTART, answer, 202, 409) and answer.status == 202:
            self.restarts[job.id].add(answer.body["monitor"]["run"])

    async def _change(self, job: Job, act: Act, rng: Random) -> None:
        answer = await self._client.insist(rng, "PATCH", self._monitor(job), dict(act.settings))
        self._expect(job, act.do, answer, 200, 409)

    async def _suspend(self, job: Job, started: Any, rng: Random) -> None:
        url = started["suspendPostUri"].replace("{text}", "chaos")
        # 500 is the answer about one that is suspended already.
        answer = await self._client.insist(rng, "POST", url, clear={500})
        self._expect(job, Do.SUSPEND, answer, 202, 410, 500)

    async def _copy(self, job: Job, started: Any, rng: Random) -> None:
        new = rng.choice(("true", "false"))
        url = f"{started['restartPostUri']}&restartWithNewInstanceId={new}"
        answer = await self._client.insist(rng, "POST", url)
        # 400: a restart removed the instance at that moment.
        self._expect(job, Do.COPY, answer, 202, 400, 409)

    async def _terminate(self, job: Job, do: Do, started: Any, rng: Random) -> None:
        if do is Do.PURGE_UNSEEN:
            await self._until_polled(job, rng)
        url = started["terminatePostUri"].replace("{text}", "chaos")
        self._expect(job, do, await self._client.insist(rng, "POST", url), 202, 410)
        if do is Do.TERMINATE:
            return
        while not self._client.gives_up():
            status = await self._client.insist(rng, "GET", started["statusQueryGetUri"])
            if status.status == 200:
                break
            await asyncio.sleep(_LOOK_AGAIN)
        if do is Do.PURGE:
            shown = await self._client.insist(rng, "GET", self._monitor(job))
            if self._expect(job, do, shown, 200):
                state = shown.body["monitor"]["state"]
                if state != "Terminated":
                    self.refused.append(f"{job.id}: {state} is shown after a terminate")
        purge = await self._client.insist(rng, "DELETE", started["purgeHistoryDeleteUri"])
        self._expect(job, do, purge, 200, 404)

    async def _until_polled(self, job: Job, rng: Random) -> None:
        """Wait for a poll that tells a purge from a lost hub: one that the hub saw for a minute."""
        since = datetime.fromtimestamp(self._client.begin + HUB_KNOWN, UTC)
        while not self._client.gives_up():
            shown = await self._client.insist(rng, "GET", self._monitor(job))
            if self._expect(job, Do.PURGE_UNSEEN, shown, 200):
                row = shown.body["monitor"]
                at = row["lastPollAt"]
                if at and datetime.fromisoformat(at) > since and not row["resumed"]:
                    return
            await asyncio.sleep(_LOOK_AGAIN)

    async def _forge(self, job: Job, act: Act, rng: Random) -> None:
        """Start the orchestrator under the monitor's id, with an input of one's own."""
        id_ = monitor_id(job.source, job.id)
        url = f"{self._host}{_HUB}/orchestrators/JobMonitoring/{quote(id_)}"
        answer = await self._client.insist(rng, "POST", url, forged(job, act, id_, rng))
        self._expect(job, Do.FORGE, answer, 202, 409)


def forged(job: Job, act: Act, id_: str, rng: Random) -> dict[str, Any]:
    """The input of a `JobMonitoring` that claims what is not so."""
    state = rng.choice(("Succeeded", "Failed", "Lost", "Stopped", "Expired", "Terminated"))
    verdict = {"state": state, "reason": "forged", "endedAt": _PAST}
    return {
        "source": job.source,
        "jobId": rng.choice((job.id, FORGED)),
        "monitorId": id_,
        "run": rng.choice((1, 1, 1, 2, 3)),
        "startedAt": _PAST,
        "expireTime": rng.choice((_PAST, _FAR)),
        "pollIntervalSeconds": 1,
        "nextPollAt": _FAR if "sleeps" in act.settings else _PAST,
        "lastPollAt": rng.choice((None, _PAST, _FAR)),
        "onExpiry": "cancel",
        "notFound": rng.choice((0, 99)),
        "cancelJob": True,
        "verdict": None if "sleeps" in act.settings else rng.choice((verdict, verdict, None)),
    }
