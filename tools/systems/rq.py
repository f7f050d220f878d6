"""RQ: Redis, a worker, and rq-dashboard, whose JSON is all that RQ has of an HTTP API.

It takes no jobs over HTTP, forgets a job that is cancelled, and says "no such job" with 500. There
is no preset for it: the source shows that such a system needs none.
"""

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import requests

from demo.part import PartFailed
from tools.systems.installing import debian, venv
from tools.systems.system import Jobs, Seen, Server, System

_SOURCE = """
[sources.rq]
lost_after_seconds = 0

[sources.rq.status]
url = "${RQ_URL}/0/data/job/{job_id}.json"
status = "status"
message = "exc_info"
not_found = "httpStatus == `500`"

[sources.rq.cancel]
url = "${RQ_URL}/job/{job_id}/delete"

[sources.rq.outcomes]
running = ["queued", "started", "deferred", "scheduled", "created"]
succeeded = ["finished"]
failed = ["failed", "stopped"]
cancelled = ["canceled"]
gone = "cancelled"
"""


class _Redis(Server):
    name = "Redis"

    def command(self) -> list[str]:
        where = ("--bind", "127.0.0.1", "--port", str(self.ports[0]))
        return ["/usr/bin/redis-server", *where, "--save", "", "--dir", str(self.system.folder)]

    def problem(self) -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", self.ports[0]), 1):
                return None
        except OSError as error:
            return str(error)


class _Worker(Server):
    name = "RQ worker"
    port_count = 0

    def command(self) -> list[str]:
        return [self.program("rq"), "worker", "--url", self.system.environment["RQ_REDIS_URL"]]

    def problem(self) -> str | None:
        workers = self.system.ask("GET", "/0/data/workers.json")["workers"]
        return None if workers else "the dashboard knows no worker yet"


class _Dashboard(Server):
    name = "RQ dashboard"
    path = "/0/data/queues.json"

    def command(self) -> list[str]:
        where = ("--bind", "127.0.0.1", "--port", str(self.ports[0]))
        redis = self.system.environment["RQ_REDIS_URL"]
        return [self.program("rq-dashboard"), *where, "--redis-url", redis]


class Rq(System):
    """RQ."""

    name = "rq"
    source = _SOURCE
    at_work = "started"
    cancelled = "started"  # as it was last seen: a job that is cancelled is forgotten
    submits = False

    def install(self) -> None:
        debian(("redis-server",))
        self.programs = venv("rq")

    def start(self, started: ExitStack) -> None:
        redis = started.enter_context(_Redis(self))
        self.environment = {"RQ_REDIS_URL": f"redis://127.0.0.1:{redis.ports[0]}"}
        self.url = started.enter_context(_Dashboard(self)).url
        started.enter_context(_Worker(self))
        self._ended: dict[str, datetime] = {}

    def settings(self) -> Mapping[str, str]:
        return {"RQ_URL": self.url}

    def version(self) -> str:
        return self.run("rq", "--version").split()[-1]

    def jobs(self) -> Jobs:
        return Jobs(
            good={"call": ["time.sleep", ":2"]},
            bad={"call": ["json.loads", "nonsense"]},
            long={"call": ["time.sleep", ":20"]},
        )

    def submit(self, job: dict[str, Any]) -> str:
        url = self.environment["RQ_REDIS_URL"]
        said = self.run("rq", "enqueue", "--url", url, *job["call"])
        return said.rpartition("'")[0].rpartition("'")[2]

    def see(self, job_id: str) -> Seen:
        try:
            job = self.ask("GET", f"/0/data/job/{job_id}.json")
        except (PartFailed, requests.RequestException):
            return Seen(self.cancelled, self._ended.setdefault(job_id, datetime.now(UTC)))
        end = job["ended_at"]
        return Seen(job["status"], datetime.fromisoformat(end) if end else None)

    def cancel(self, job_id: str) -> None:
        self.ask("POST", f"/job/{job_id}/delete")
        self._ended[job_id] = datetime.now(UTC)
