"""A job system for load: `python -m tools.bench.job_system --port 7901`, a process of its own.

- `POST /jobs` plans jobs: `{"prefix", "count", "seconds"}`. They are called `PREFIX-0`, ..., and
  end one after the other over so many seconds from now; null for never. They may be planned again.
- `POST /churn` with `{"interval", "change", "end"}` lets these shares of the jobs (0 to 1) change
  their progress, and end, in each interval of so many seconds; in the place of earlier shares.
- `GET /jobs/{id}` tells of one job, `GET /jobs?since=TIME&page=N` of those that changed since an
  ISO time, the earliest first: `{"jobs", "next"}`.
- `GET /figures` tells how often each was asked, how many jobs were asked about by now, and when
  which job ended (Unix time).
"""

import argparse
import asyncio
import contextlib
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from time import time
from typing import Any

import requests
from aiohttp import web

from demo.part import Part, get
from demo.ports import LOCALHOST

PAGE = 1_000
_TICK = 0.25  # seconds


@dataclass
class Job:
    """A job; `ends_at` is when it ends, or ended (Unix time)."""

    id: str
    updated: float
    ends_at: float | None
    progress: int = 0
    asked: bool = False

    @property
    def status(self) -> str:
        """In the words of this system."""
        return "completed" if self.ends_at is not None and self.ends_at <= time() else "processing"

    def to_wire(self) -> dict[str, object]:
        """As the system shows it."""
        updated = datetime.fromtimestamp(self.updated, UTC).isoformat()
        shown = {"id": self.id, "status": self.status, "progress": self.progress}
        return {**shown, "updated": updated}


class JobSystem:
    """The jobs, and what was asked about them."""

    def __init__(self) -> None:
        """No jobs."""
        self.jobs: dict[str, Job] = {}
        self.asked: Counter[str] = Counter()
        self._changes: list[tuple[float, str]] = []
        self._churn: asyncio.Task[None] | None = None

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/jobs", self._plan),
                web.post("/churn", self._start_churn),
                web.get("/jobs", self._list),
                web.get("/jobs/{id}", self._show),
                web.get("/figures", self._figures),
            ]
        )
        app.cleanup_ctx.append(self._closing)
        return app

    async def _closing(self, _: web.Application) -> AsyncIterator[None]:
        yield
        if self._churn:
            self._churn.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._churn

    async def _plan(self, request: web.Request) -> web.Response:
        plan = await request.json()
        now, many = time(), plan["count"]
        for number in range(many):
            ends_at = None
            if plan["seconds"] is not None:
                ends_at = now + plan["seconds"] * number / max(many - 1, 1)
            self._add(Job(f"{plan['prefix']}-{number}", now, ends_at))
        return web.json_response({"planned": many})

    def _add(self, job: Job) -> None:
        self.jobs[job.id] = job
        self._changes.append((job.updated, job.id))

    async def _start_churn(self, request: web.Request) -> web.Response:
        if self._churn:
            self._churn.cancel()
        self._churn = asyncio.create_task(self._keep_churning(**await request.json()))
        return web.json_response({})

    async def _keep_churning(self, interval: float, change: float, end: float) -> None:
        """Change and end jobs, evenly over time, round and round."""
        live = list(self.jobs.values())
        begin, changed, ended = time(), 0, 0
        for tick in count(1):
            await asyncio.sleep(begin + tick * _TICK - time())
            now = time()
            share = (now - begin) / interval * len(live)
            for number in range(changed, changed := int(share * change)):
                self._touch(live[number * 7919 % len(live)], now)
            for number in range(ended, ended := int(share * end)):
                job = live[number * 104_729 % len(live)]
                job.ends_at = job.ends_at or now
                self._touch(job, now)

    def _touch(self, job: Job, now: float) -> None:
        if job.ends_at is None or job.ends_at == now:
            job.progress, job.updated = (job.progress + 1) % 100, now
            self._changes.append((now, job.id))

    async def _show(self, request: web.Request) -> web.Response:
        self.asked["job"] += 1
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            raise web.HTTPNotFound
        job.asked = True
        return web.json_response(job.to_wire())

    async def _list(self, request: web.Request) -> web.Response:
        self.asked["list"] += 1
        self.asked["sweep"] += "page" not in request.query  # the first page of one
        since = datetime.fromisoformat(request.query["since"]).timestamp()
        first = int(request.query.get("page", bisect_left(self._changes, (since, ""))))
        page = self._changes[first : first + PAGE]
        last = first + len(page)
        items = [self.jobs[name].to_wire() for name in dict.fromkeys(name for _, name in page)]
        more = str(last) if last < len(self._changes) else None
        return web.json_response({"jobs": items, "next": more})

    async def _figures(self, _: web.Request) -> web.Response:
        now = time()
        ends = {each.id: each.ends_at for each in self.jobs.values() if (each.ends_at or now) < now}
        seen = sum(each.asked for each in self.jobs.values())
        figures: dict[str, Any] = {"asked": self.asked, "seen": seen, "ends": ends}
        return web.json_response(figures)


class JobSystemPart(Part):
    """The process."""

    name = "The job system of the bench"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tools.bench.job_system", "--port", str(self.ports[0])]

    @property
    def url(self) -> str:
        return f"http://{LOCALHOST}:{self.ports[0]}"

    def problem(self) -> str | None:
        try:
            get(f"{self.url}/figures").raise_for_status()
        except requests.RequestException as error:
            return str(error)
        return None

    def plan(self, prefix: str, count: int, seconds: float | None = None) -> None:
        """See `POST /jobs`."""
        plan = {"prefix": prefix, "count": count, "seconds": seconds}
        requests.post(f"{self.url}/jobs", json=plan, timeout=60).raise_for_status()

    def churn(self, interval: float, change: float, end: float) -> None:
        """See `POST /churn`."""
        churn = {"interval": interval, "change": change, "end": end}
        requests.post(f"{self.url}/churn", json=churn, timeout=60).raise_for_status()

    def asked(self) -> Counter[str]:
        """How often `job` and `list` were asked for; `sweep` counts the first pages of lists."""
        return Counter(self._figures()["asked"])

    def seen(self) -> int:
        """How many jobs were asked about by now."""
        return int(self._figures()["seen"])

    def ends(self) -> dict[str, float]:
        """When which job ended (Unix time)."""
        ends: dict[str, float] = self._figures()["ends"]
        return ends

    def _figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = requests.get(f"{self.url}/figures", timeout=60).json()
        return figures


def source(url: str, options: str = "") -> str:
    """The job system as a source called `load`; `options` are lines of its own table."""
    return f"""[sources.load]
{options}[sources.load.status]
url = "{url}/jobs/{{job_id}}"
status = "status"
progress = "progress"
[sources.load.list]
url = "{url}/jobs?since={{since}}"
items = "jobs"
id = "id"
status = "status"
progress = "progress"
updated = "updated"
overlap_seconds = 5
pages = {{ kind = "token", token = "next", name = "page" }}
[sources.load.outcomes]
running = ["processing"]
succeeded = ["completed"]
"""


def main() -> None:
    """Serve on 127.0.0.1 until the process is told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    web.run_app(JobSystem().app(), host="127.0.0.1", port=parser.parse_args().port, print=None)


if __name__ == "__main__":
    main()
