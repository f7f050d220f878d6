"""A job system whose jobs go as planned. It records each request and its time."""

import asyncio
import json
import time
from collections import defaultdict
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import web

from domain.monitors.monitor import State
from tools.chaos.plan import Job, Plan

_WORDS = {State.SUCCEEDED: "completed", State.FAILED: "failed", State.CANCELLED: "cancelled"}
_SLOW, _HANG = 1.0, 8.0  # seconds; a poll has TIMEOUT
TIMEOUT = 5

SOURCES = """
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


class Asked(NamedTuple):
    """A poll: when it came in, and what it was answered."""

    at: float
    answer: str


class JobSystem:
    """Serves on this loop. `polls` has the polls of each job, `touched` the forbidden requests."""

    def __init__(self, plan: Plan) -> None:
        self._jobs = {job.id: job for job in plan.jobs}
        self.polls: dict[str, list[Asked]] = defaultdict(list)
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
        return SOURCES.format(url=self.url, timeout=TIMEOUT)

    def status(self, job: Job, at: float) -> str | None:
        """A job's status; None if there is no such job."""
        if job.verdict is State.LOST:
            return None
        ended = job.ends_at is not None and at >= self.begin + job.ends_at
        return _WORDS[job.verdict] if ended else "processing"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        job = self._jobs.get(unquote(request.rel_url.raw_path.removeprefix("/jobs/")))
        if request.method != "GET" or job is None:
            self.touched.append(f"{request.method} {request.rel_url}")
            return web.Response(status=404)
        polls = self.polls[job.id]
        trouble = job.troubles.get(len(polls) + 1, "")
        now = time.time()
        answer = self.status(job, now)
        polls.append(Asked(now, trouble or answer or "404"))
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
        if answer is None:
            return web.Response(status=404)
        return web.Response(text=json.dumps({"status": answer}), content_type="application/json")
