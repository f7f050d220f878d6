"""Prefect: its server, and a worker that runs flows as processes."""

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from tools.systems.installing import venv
from tools.systems.system import Jobs, Seen, Server, System

_POOL = "processes"
_FLOW = Path(__file__).parent / "jobs/prefect_flow.py"
_SOURCE = """
[sources.prefect]
preset = "prefect"
parameters = { url = "${PREFECT_URL}/api" }
"""


class _PrefectServer(Server):
    name = "Prefect server"
    path = "/api/ready"

    def command(self) -> list[str]:
        where = ("--host", "127.0.0.1", "--port", str(self.ports[0]))
        return [self.program("prefect"), "server", "start", *where]


class _Worker(Server):
    name = "Prefect worker"
    port_count = 0

    def command(self) -> list[str]:
        return [self.program("prefect"), "worker", "start", "--pool", _POOL, "--type", "process"]

    def problem(self) -> str | None:
        workers = self.system.ask("POST", f"/api/work_pools/{_POOL}/workers/filter", {})
        online = any(each["status"] == "ONLINE" for each in workers)
        return None if online else f"the server knows these workers: {workers}"


class Prefect(System):
    """Prefect."""

    name = "prefect"
    source = _SOURCE
    sweep = "each"
    at_work = "RUNNING"
    cancelled = "CANCELLED"
    unknown = "11111111-2222-3333-4444-555555555555"
    _deployment = ""

    def install(self) -> None:
        self.programs = venv("prefect")

    def start(self, started: ExitStack) -> None:
        self.environment = {
            "PREFECT_HOME": str(self.folder),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",  # it looks for new runs
        }
        self.url = started.enter_context(_PrefectServer(self)).url
        self.environment["PREFECT_API_URL"] = f"{self.url}/api"
        self.run("prefect", "work-pool", "create", _POOL, "--type", "process")
        flow = str(shutil.copy(_FLOW, self.folder))
        self._deployment = self.run("python", flow, _POOL).split()[-1]
        started.enter_context(_Worker(self))

    def settings(self) -> Mapping[str, str]:
        return {"PREFECT_URL": self.url}

    def version(self) -> str:
        return str(self.ask("GET", "/api/admin/version"))

    def jobs(self) -> Jobs:
        return Jobs(
            good=self._job(3),
            bad=self._job(1, fail=True),
            long=self._job(120),
            steady=self._job(40),
        )

    def see(self, job_id: str) -> Seen:
        run = self.ask("GET", f"/api/flow_runs/{job_id}")
        end = run["end_time"]
        return Seen(run["state_type"], datetime.fromisoformat(end) if end else None)

    def cancel(self, job_id: str) -> None:
        self.ask("POST", f"/api/flow_runs/{job_id}/set_state", {"state": {"type": "CANCELLING"}})

    def _job(self, seconds: float, *, fail: bool = False) -> dict[str, Any]:
        parameters = {"seconds": seconds, "fail": fail}
        return {"deployment": self._deployment, "parameters": parameters}
