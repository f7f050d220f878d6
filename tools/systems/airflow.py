"""Airflow 3: API server, scheduler (which runs the tasks) and DAG processor.

Not `airflow standalone`: its triggerer and scheduler serve logs on all addresses.
"""

import secrets
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from demo.part import PartFailed
from demo.ports import free_ports
from tools.systems.installing import venv
from tools.systems.system import Jobs, Seen, Server, System

_DAG = Path(__file__).parent / "jobs/airflow_dag.py"
_RUNS = "/api/v2/dags/work/dagRuns"
_SOURCE = """
[sources.airflow]
preset = "airflow-3"
parameters = { url = "${AIRFLOW_URL}", dag = "work", token = "${AIRFLOW_TOKEN}" }
"""


class _ApiServer(Server):
    name = "Airflow API server"
    path = "/api/v2/version"

    def command(self) -> list[str]:
        where = ("--host", "127.0.0.1", "--port", str(self.ports[0]))
        return [self.program("airflow"), "api-server", *where]


class _Scheduler(Server):
    name = "Airflow scheduler"
    port_count = 0

    def command(self) -> list[str]:
        return [self.program("airflow"), "scheduler", "--skip-serve-logs"]

    def problem(self) -> str | None:
        health = self.system.ask("GET", "/api/v2/monitor/health")["scheduler"]
        return None if health["status"] == "healthy" else f"the API server says {health}"


class _DagProcessor(Server):
    name = "Airflow DAG processor"
    port_count = 0

    def command(self) -> list[str]:
        return [self.program("airflow"), "dag-processor"]

    def problem(self) -> str | None:
        dags = self.system.ask("GET", "/api/v2/dags")["dags"]
        return None if dags else "the API server knows no DAG yet"


class Airflow(System):
    """Airflow. To cancel a run is to say that it failed: there is no other word for it."""

    name = "airflow"
    source = _SOURCE
    at_work = "running"
    cancelled = "failed"
    sweep = "list"
    cancelled_state = "Failed"
    _token = ""

    def install(self) -> None:
        self.programs = venv("airflow")

    def start(self, started: ExitStack) -> None:
        dags = self.folder / "dags"
        dags.mkdir()
        shutil.copy(_DAG, dags)
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            # The parts sign for each other.
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        self.run("airflow", "db", "migrate")
        started.enter_context(_ApiServer(self, [port]))
        self._token = self.ask("GET", "/auth/token")["access_token"]
        self.send_headers({"Authorization": f"Bearer {self._token}"})
        started.enter_context(_DagProcessor(self))
        started.enter_context(_Scheduler(self))
        errors = self.ask("GET", "/api/v2/importErrors")["import_errors"]
        if errors:
            raise PartFailed(f"Airflow can't import the DAG: {errors}")

    def settings(self) -> Mapping[str, str]:
        return {"AIRFLOW_URL": self.url, "AIRFLOW_TOKEN": self._token}

    def version(self) -> str:
        return str(self.ask("GET", "/api/v2/version")["version"])

    def jobs(self) -> Jobs:
        return Jobs(good=_job(3), bad=_job(1, fail=True), long=_job(120), steady=_job(40))

    def see(self, job_id: str) -> Seen:
        run = self.ask("GET", f"{_RUNS}/{quote(job_id, safe='')}")
        end = run["end_date"]
        return Seen(run["state"], datetime.fromisoformat(end) if end else None)

    def cancel(self, job_id: str) -> None:
        self.ask("PATCH", f"{_RUNS}/{quote(job_id, safe='')}", {"state": "failed"})


def _job(seconds: float, *, fail: bool = False) -> dict[str, Any]:
    return {"conf": {"seconds": seconds, "fail": fail}}
