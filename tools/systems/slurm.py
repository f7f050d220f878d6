"""Slurm on one node: munged, slurmctld, slurmd, and slurmrestd, which serves the REST API.

They come from Debian's packages, keep all they have in one folder, and need root: slurmd does,
and slurmrestd refuses to run as the user of the others.
"""

import secrets
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.part import ROOT, PartFailed
from demo.ports import free_ports
from tools.systems.installing import debian
from tools.systems.system import Jobs, Seen, Server, System

_PACKAGES = (
    *("munge", "slurmctld", "slurmd", "slurmrestd", "slurm-client"),
    *("slurm-wlm-basic-plugins", "slurm-wlm-jwt-plugin"),
)
_API = "/slurm/v0.0.38"
_USER = "root"  # whose jobs they are
_CONFIGURATION = """
ClusterName=systems
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={folder}/jwt.key
StateSaveLocation={folder}/control
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/linear
KillWait=2
NodeName=node NodeAddr=127.0.0.1 NodeHostname={host} CPUs=1 RealMemory=500 State=UNKNOWN
PartitionName=work Nodes=node Default=YES State=UP
"""
_SOURCE = """
[sources.slurm]
preset = "slurm"
parameters = { url = "${SLURM_URL}", token = "${SLURM_TOKEN}", api_version = "v0.0.38" }
# Later versions take the user from the token.
headers = { X-SLURM-USER-NAME = "${SLURM_USER}" }
"""


class _Munge(Server):
    name = "Munge"
    port_count = 0

    def command(self) -> list[str]:
        folder = self.system.folder
        files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid"}
        files |= {"log-file": "munged.log", "seed-file": "munged.seed"}
        options = [f"--{option}={folder / name}" for option, name in files.items()]
        # --force: it finds a folder below /tmp unsafe.
        return ["/usr/sbin/munged", "--foreground", "--force", *options]

    def problem(self) -> str | None:
        there = (self.system.folder / "munge.socket").exists()
        return None if there else "its socket isn't there"


class _Control(Server):
    name = "Slurm controller"

    def command(self) -> list[str]:
        return ["/usr/sbin/slurmctld", "-D"]

    def problem(self) -> str | None:
        try:
            self.system.run("scontrol", "ping")
        except PartFailed as error:
            return str(error)
        return None


class _Node(Server):
    name = "Slurm node"

    def command(self) -> list[str]:
        return ["/usr/sbin/slurmd", "-D", "-N", "node"]

    def problem(self) -> str | None:
        state = self.system.run("sinfo", "--noheader", "--format=%T").strip()
        return None if state == "idle" else f"the controller calls it {state}"


class _Rest(Server):
    name = "Slurm REST API"

    def command(self) -> list[str]:
        return [
            # With another user the kernel forgets the leash, so it is put on again.
            *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"),
            *("--pdeathsig=TERM", "/usr/sbin/slurmrestd"),
            *("-a", "rest_auth/jwt", "-s", "openapi/v0.0.38", f"127.0.0.1:{self.ports[0]}"),
        ]

    def problem(self) -> str | None:
        """The API is ready when it refuses a request without a token."""
        found = super().problem()
        return None if found and found.startswith("401") else found


class Slurm(System):
    """Slurm. The times that it tells have no fractions of a second."""

    name = "slurm"
    source = _SOURCE
    at_work = "RUNNING"
    cancelled = "CANCELLED"
    sweep = "list"
    unknown = "999999"
    _token = ""

    def install(self) -> None:
        debian(_PACKAGES)
        self.programs = Path("/usr/bin")

    def start(self, started: ExitStack) -> None:
        control, node, rest = free_ports(3)
        self._make_folder(control, node)
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        started.enter_context(_Munge(self))
        started.enter_context(_Control(self, [control]))
        started.enter_context(_Node(self, [node]))
        server = _Rest(self, [rest])
        server.environment = {"SLURM_JWT": "daemon"}  # it has no token of its own
        self.url = started.enter_context(server).url
        token = self.run("scontrol", "token", f"username={_USER}", "lifespan=3600")
        self._token = token.strip().removeprefix("SLURM_JWT=")
        self.send_headers({"X-SLURM-USER-NAME": _USER, "X-SLURM-USER-TOKEN": self._token})

    def _make_folder(self, control: int, node: int) -> None:
        self.folder.chmod(0o711)  # slurmrestd reads the configuration
        for name, size in (("munge.key", 128), ("jwt.key", 32)):
            key = self.folder / name
            key.touch(0o600)
            key.write_bytes(secrets.token_bytes(size))
        for name in ("control", "node"):
            (self.folder / name).mkdir(0o755)
        values = {"control": control, "node": node, "folder": self.folder}
        text = _CONFIGURATION.format(host=socket.gethostname().partition(".")[0], **values)
        (self.folder / "slurm.conf").write_text(text)

    def settings(self) -> Mapping[str, str]:
        return {"SLURM_URL": self.url, "SLURM_USER": _USER, "SLURM_TOKEN": self._token}

    def version(self) -> str:
        return str(self.ask("GET", f"{_API}/ping")["meta"]["Slurm"]["release"])

    def jobs(self) -> Jobs:
        return Jobs(
            good=self._job("primes", 3),
            bad=self._job("crash", 2),
            long=self._job("checksum", 120),
            steady=self._job("primes", 40),
            more={
                "array, one task fails": (self._array("[ $SLURM_ARRAY_TASK_ID != 2 ]"), "Failed"),
                "array, all succeed": (self._array("true"), "Succeeded"),
            },
        )

    def see(self, job_id: str) -> Seen:
        tasks = self.ask("GET", f"{_API}/job/{job_id}")["jobs"]  # several of an array
        states = {task["job_state"] for task in tasks}
        # While a job runs, its end is the one that it must keep to.
        if states & {"PENDING", "RUNNING", "COMPLETING"}:
            return Seen(min(states), None)
        status = max(states, key=["COMPLETED", "CANCELLED", "FAILED"].index)
        return Seen(status, datetime.fromtimestamp(max(t["end_time"] for t in tasks), UTC))

    def cancel(self, job_id: str) -> None:
        self.ask("DELETE", f"{_API}/job/{job_id}")

    def _array(self, command: str) -> dict[str, Any]:
        """Three tasks, one after the other, for there is one processor."""
        job = self._job("primes", 1)
        job["job"] |= {"name": "array", "array": "1-3"}
        return {**job, "script": f"#!/bin/sh\nsleep 1\n{command}\n"}

    def _job(self, workload: str, seconds: int) -> dict[str, Any]:
        command = f"{sys.executable} {ROOT}/demo/workloads.py {workload} --seconds {seconds}"
        job = {
            "name": workload,
            "current_working_directory": str(self.folder),
            "environment": {"PATH": "/usr/bin:/bin"},
        }
        return {"job": job, "script": f"#!/bin/sh\nexec {command}\n"}
