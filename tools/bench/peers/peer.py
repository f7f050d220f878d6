"""The peers: each watches jobs of the job system in processes of its own."""

import contextlib
import os
import subprocess
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from demo.azurite import Azurite
from demo.stack import Host
from domain.monitors.monitor_id import monitor_id
from tests.api import Api
from tools.bench.ends import stored_ends
from tools.bench.job_system import source
from tools.bench.processes import cpu_of, memory_of, tree
from tools.systems.installing import venv

_HERE = Path(__file__).parent
_STARTERS = 4  # threads


class Peer(ABC):
    """Something that polls jobs each second, and stores their ends.

    Args:
        folder: Of its own, empty.
        url: The job system.
    """

    name: str
    left_by_a_kill: str
    """What a new process finds, in words."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        folder.mkdir()

    @property
    @abstractmethod
    def pid(self) -> int:
        """The process whose CPU and memory count, with its children."""

    @abstractmethod
    def start(self) -> None:
        """Start the processes; after a kill with the state that it left."""

    @abstractmethod
    def begin(self, prefix: str, count: int) -> None:
        """Begin to watch jobs."""

    @abstractmethod
    def ends(self) -> dict[str, list[float]]:
        """When the end of which job was stored, as Unix time."""

    @abstractmethod
    def kill(self) -> None:
        """kill -9."""

    @abstractmethod
    def stop(self) -> None:
        """End all processes."""

    def cpu(self) -> float:
        """Seconds of CPU time that the processes have used."""
        return cpu_of(self.pid)

    def memory(self) -> float:
        """KiB of memory."""
        return memory_of(self.pid)


class Script(Peer):
    """A script that reads from its input which jobs to watch, in a venv of its own."""

    script: str

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        script = _HERE / self.script
        python = venv(script.stem, _HERE) / "python"
        self._ends = folder / "ends.txt"
        self._command = [str(python), str(script), url, str(folder), str(self._ends)]

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        with (self.folder / "log.txt").open("a") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, text=True, stdout=log, stderr=log
            )

    def begin(self, prefix: str, count: int) -> None:
        assert self._process.stdin
        print(prefix, count, file=self._process.stdin, flush=True)

    def ends(self) -> dict[str, list[float]]:
        return _read_ends(self._ends)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def stop(self) -> None:
        """None of them has anything to lose."""
        self.kill()


class BareLoop(Script):
    name = "bare asyncio loop with one session"
    script = "bare_loop.py"
    left_by_a_kill = "nothing"


class Dbos(Script):
    name = "DBOS on SQLite, a workflow per job"
    script = "dbos_workflows.py"
    left_by_a_kill = "each workflow, step by step"


class _PlainHost(Host):
    name = "The host of the plain orchestrator"

    def command(self) -> list[str]:
        return [str(_HERE / "plain") if each == "." else each for each in super().command()]

    def problem(self) -> str | None:
        try:
            requests.get(self.url, timeout=2)
        except requests.RequestException as error:
            return str(error)
        return None


class OnDevhost(Peer):
    """An app on the local host."""

    host: Host

    @property
    def pid(self) -> int:
        return self.host.pid

    def start(self) -> None:
        self.host.start(deadline=60)

    def kill(self) -> None:
        for pid in tree(self.pid):
            os.kill(pid, 9)
        self.host.kill()

    def stop(self) -> None:
        self.host.stop()


class Plain(OnDevhost):
    name = "plain orchestrator on the local host"
    left_by_a_kill = "the orchestrations"

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        self.host = _PlainHost(folder / "hub.db", folder / "log.txt")
        self._ends = folder / "ends.txt"
        self.host.environment = {"JOBS_URL": url, "ENDS": str(self._ends)} | _THREADS

    def begin(self, prefix: str, count: int) -> None:
        start = f"{self.host.url}/runtime/webhooks/durabletask/orchestrators/watch"
        with requests.Session() as session:
            for number in range(count):
                id_ = f"{prefix}-{number}"
                job = {"id": id_, "interval": 1}
                session.post(f"{start}/{id_}", json=job, timeout=30).raise_for_status()

    def ends(self) -> dict[str, list[float]]:
        return _read_ends(self._ends)


class JobMonitor(OnDevhost):
    name = "Job Monitor, polled"
    left_by_a_kill = "rows and orchestrations"
    options = 'sweep = "off"\n'

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        self._jobs: dict[str, str] = {}
        self._azurite = Azurite(folder / "azurite", folder / "azurite.txt")
        self._azurite.start(deadline=60)
        self.host = Host(folder / "hub.db", folder / "log.txt")
        sources = folder / "sources.toml"
        sources.write_text(source(url, self.options + "poll_interval_seconds = 1\n"))
        self.host.environment = {
            "JOB_SOURCES_FILE": str(sources),
            "AzureWebJobsStorage": self._azurite.connection_string,
        } | _THREADS

    def begin(self, prefix: str, count: int) -> None:
        jobs = [f"{prefix}-{number}" for number in range(count)]
        self._jobs |= {monitor_id("load", job): job for job in jobs}
        with ThreadPoolExecutor(_STARTERS) as pool:
            list(pool.map(lambda job: Api(self.host.url).start(source="load", jobId=job), jobs))

    def ends(self) -> dict[str, list[float]]:
        return {self._jobs[id_]: at for id_, at in stored_ends(self._azurite).items()}

    def stop(self) -> None:
        super().stop()
        self._azurite.stop()


class SweptJobByJob(JobMonitor):
    name = "Job Monitor, swept job by job"
    options = 'sweep = "each"\nmax_concurrent_polls = 16\n'


class SweptByList(JobMonitor):
    name = "Job Monitor, swept by a list of what changed"
    options = 'sweep = "list"\n'


_THREADS = {"PYTHON_THREADPOOL_THREAD_COUNT": "40"}


def _read_ends(file: Path) -> dict[str, list[float]]:
    ends: dict[str, list[float]] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        job_id, at = line.split()
        ends.setdefault(job_id, []).append(float(at))
    return ends
