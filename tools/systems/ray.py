"""Ray: a head node with its dashboard, which serves the Jobs API."""

import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from demo.part import ROOT
from demo.ports import free_ports
from tools.systems.installing import venv
from tools.systems.system import Jobs, Seen, Server, System

_SOURCE = """
[sources.ray]
preset = "ray-jobs"
parameters = { url = "${RAY_URL}" }
"""


class _Head(Server):
    name = "Ray"
    path = "/api/version"
    port_count = 3

    def command(self) -> list[str]:
        dashboard, clients, agent = self.ports
        return [
            *(self.program("ray"), "start", "--head", "--block", "--disable-usage-stats"),
            *("--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--port=0"),
            *(f"--dashboard-port={dashboard}", f"--ray-client-server-port={clients}"),
            # By default workers take ports of a fixed range, in which the others may lie.
            *(f"--dashboard-agent-listen-port={agent}", "--min-worker-port=0"),
            *("--max-worker-port=0", "--num-cpus=2", "--object-store-memory=100000000"),
            f"--temp-dir={self.system.folder}",
        ]


class Ray(System):
    """Ray."""

    name = "ray"
    source = _SOURCE
    at_work = "RUNNING"
    cancelled = "STOPPED"
    sweep = "list"

    def install(self) -> None:
        self.programs = venv("ray")

    def start(self, started: ExitStack) -> None:
        metrics = map(str, free_ports(2))
        self.environment = {
            # Else Ray takes this machine's outer address in the place of 127.0.0.1.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "DASHBOARD_METRIC_PORT": next(metrics),
            "AUTOSCALER_METRIC_PORT": next(metrics),
        }
        self.url = started.enter_context(_Head(self)).url

    def settings(self) -> Mapping[str, str]:
        return {"RAY_URL": self.url}

    def version(self) -> str:
        return str(self.ask("GET", "/api/version")["ray_version"])

    def jobs(self) -> Jobs:
        return Jobs(
            good=_job("primes", 3),
            bad=_job("crash", 2),
            long=_job("checksum", 120),
            steady=_job("primes", 40),
        )

    def see(self, job_id: str) -> Seen:
        job = self.ask("GET", f"/api/jobs/{job_id}")
        end = job["end_time"]
        return Seen(job["status"], datetime.fromtimestamp(end / 1_000, UTC) if end else None)

    def cancel(self, job_id: str) -> None:
        self.ask("POST", f"/api/jobs/{job_id}/stop")


def _job(workload: str, seconds: int) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "demo/workloads.py"), workload]
    return {"entrypoint": shlex.join([*command, "--seconds", str(seconds)])}
