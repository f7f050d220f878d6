"""A job system whose jobs go as planned. It records each request and its time."""

import asyncio
import json
import time
from collections import defaultdict
from typing import Any, NamedTuple
from urllib.parse import unquote

from aiohttp import web

from domain.monitors.monitor import State
from tools.chaos.plan import LOST_AFTER, POLLED, SWEEP_INTERVAL, SWEPT, Job, Plan

WORDS = {State.SUCCEEDED: "completed", State.FAILED: "failed", State.CANCELLED: "cancelled"}
"""A job's status once it has ended so."""

_SLOW, _HANG = 1.0, 8.0  # seconds; a poll has TIMEOUT
TIMEOUT = 5
NOT_FOUND = "404"
FORGED = "another"
"""The id of a job that only crafted starts name."""


SOURCES = """
[sources.chaos]
notify = ["all", "bad"]
lost_after_seconds = {lost_after}
[sources.chaos.status]
url = "{url}/jobs/{{job_id}}"
status = "status"
[sources.chaos.submit]
url = "{url}/jobs"
job_id = "id"
[sources.chaos.cancel]
url = "{url}/jobs/{{job_id}}/cancel"
[sources.chaos.outcomes]
running = ["processing"]
succeeded = ["completed"]
failed = ["failed"]
cancelled = ["cancelled"]
[sources.chaos.http]
timeout_seconds = {timeout}
"""


_SWEEP = """sweep = "list"
poll_interval_seconds = {interval}
safety_seconds = 60
list.url = "{url}/list"
list.items = "jobs"
list.id = "id"
list.status = "status"
"""
_LIST_TROUBLES = ("", "", "", "", "500", "reset", "gaps", "lies")
_FALSE = 0.02  # of the items of a list that leaves some out, or lies


class Asked(NamedTuple):
    """A poll: when it came in, and what it was answered."""

    at: float
    answer: str


class Submit(NamedTuple):
    """A job that was submitted: when, and for which start of its plan."""

    at: float
    start: str


class JobSystem:
    """Serves on this loop.

    Attributes:
        polls: The polls of each job.
        submits: The submits of each job: with each, it begins again.
        cancels: When each job was asked to end.
        touched: The requests that nobody may send.
        begin: The time of the beginning.
    """

    def __init__(self, plan: Plan) -> None:
        self._jobs = {job.id: job for job in plan.jobs}
        self._swept = [job for job in plan.jobs if job.swept]
        self._rng = plan.random("list")
        self.polls: dict[str, list[Asked]] = defaultdict(list)
        self.submits: dict[str, list[Submit]] = defaultdict(list)
        self.cancels: dict[str, list[float]] = defaultdict(list)
        self.touched: list[str] = []
        self.begin = time.time()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "JobSystem":
        app = web.Application()
        app.add_routes([web.route("*", "/{path:.*}", self._serve)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    @property
    def sources(self) -> str:
        """The job_sources.toml that describes it."""
        polled = SOURCES.format(url=self.url, timeout=TIMEOUT, lost_after=LOST_AFTER)
        head = f"[sources.{SWEPT}]\n"
        swept = polled.replace(f"[sources.{POLLED}", f"[sources.{SWEPT}")
        more = _SWEEP.format(url=self.url, interval=SWEEP_INTERVAL)
        return polled + swept.replace(head, head + more)

    def began(self, job: Job, at: float) -> float | None:
        """When the job of that time began to run; None if there was none yet."""
        if not job.submitted:
            return self.begin + job.begins_at
        return max((each.at for each in self.submits[job.id] if each.at <= at), default=None)

    def ended(self, job: Job, at: float) -> float | None:
        """When the job of that time has ended, or will end, by itself; None if never."""
        began = self.began(job, at)
        return None if began is None or job.life is None else began + job.life

    def status(self, job: Job, at: float) -> str:
        """A job's status, or `NOT_FOUND`."""
        began, ends = self.began(job, at), self.ended(job, at)
        if began is None or began <= at < began + job.hidden:
            return NOT_FOUND
        cancelled = [each for each in self.cancels[job.id] if began <= each <= at]
        if cancelled and (ends is None or cancelled[0] < ends):
            return WORDS[State.CANCELLED]
        if job.end is State.LOST:
            return NOT_FOUND if ends is None or at >= ends else "processing"
        if ends is None or at < ends:
            return "processing"
        return WORDS[self._end(job, at)]

    def _end(self, job: Job, at: float) -> State:
        """The end of the job of that time. Of two with the same id one fails, one does not."""
        if not job.submitted:
            return job.end or State.SUCCEEDED
        count = sum(1 for each in self.submits[job.id] if each.at <= at)
        return State.SUCCEEDED if count % 2 else State.FAILED

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        name, _, action = path.removeprefix("/jobs").strip("/").partition("/")
        job = self._jobs.get(unquote(name))
        match request.method, action:
            case "GET", "" if job:
                return await self._poll(request, job)
            case "POST", "" if path == "/jobs":
                return await self._submit(request)
            case "POST", "cancel" if job:
                return self._cancel(job)
            case "GET", "" if path == "/list":
                return self._list(request)
            case "GET", "" if name == FORGED:  # a look, where no row could be read
                return web.Response(status=404)
        self.touched.append(f"{request.method} {request.rel_url}")
        return web.Response(status=404)

    async def _poll(self, request: web.Request, job: Job) -> web.StreamResponse:
        polls = self.polls[job.id]
        trouble = job.troubles.get(len(polls) + 1, "")
        now = time.time()
        answer = self.status(job, now)
        polls.append(Asked(now, answer if trouble in ("", "slow") else trouble))
        match trouble:
            case "slow":
                await asyncio.sleep(_SLOW)
            case "hang":
                await asyncio.sleep(_HANG)
            case "reset" if request.transport:
                request.transport.abort()
            case "html":
                return web.Response(text="<html>Sign in</html>", content_type="text/html")
            case "429":
                return web.Response(status=429, headers={"Retry-After": "2"})
            case "500":
                return web.Response(status=500)
        return web.Response(status=404) if answer == NOT_FOUND else _json({"status": answer})

    def _list(self, request: web.Request) -> web.StreamResponse:
        """All swept jobs: at times no answer, at times one that leaves some out, or lies."""
        trouble = self._rng.choice(_LIST_TROUBLES)
        if trouble == "reset" and request.transport:
            request.transport.abort()
        if trouble in ("500", "reset"):
            return web.Response(status=500)
        now, items = time.time(), []
        for job in self._swept:
            status = self.status(job, now)
            if status == NOT_FOUND or (trouble == "gaps" and self._rng.random() < _FALSE):
                continue
            if trouble == "lies" and self._rng.random() < _FALSE:
                status = self._rng.choice((*WORDS.values(), "processing"))
            items.append({"id": job.id, "status": status})
        return _json({"jobs": items})

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        """Begin the job that the body names; it may have run before."""
        body = await request.json()
        job = self._jobs.get(body["id"])
        if job is None or not job.submitted:
            self.touched.append(f"submit {body}")
            return web.Response(status=400)
        submits = self.submits[job.id]
        submits.append(Submit(time.time(), body["start"]))
        if job.cut_submit and len(submits) == 1 and request.transport:
            request.transport.abort()
        return _json({"id": job.id})

    def _cancel(self, job: Job) -> web.Response:
        now = time.time()
        ended = self.status(job, now) != "processing"
        self.cancels[job.id].append(now)
        return web.Response(status=409, text="It has ended.") if ended else _json({})


def _json(body: Any) -> web.Response:
    return web.Response(text=json.dumps(body), content_type="application/json")
