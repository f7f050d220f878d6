"""A real job system, or a real receiver of messages, on this machine, and its servers.

Each knows how to install and start itself. A job system knows how the app is told of it (`source`),
what jobs it takes, and asks its own API, not through the app, how a job is. A receiver knows how a
channel is told of it, and which messages came.
"""

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import requests

from demo.part import ROOT, Part, PartFailed, get
from tools.systems.leftovers import end_session, new_mark

LOGS = ROOT / ".local/systems/logs"
_START = 120.0  # seconds until a server must answer
# A user's own settings of these would change what is started, or send it elsewhere.
_NOT_INHERITED = (
    *("AIRFLOW", "DAGSTER_", "PREFECT_", "RAY_", "RQ_", "SLURM_", "PYTHON", "VIRTUAL_ENV"),
)


@dataclass(frozen=True)
class Jobs:
    """The jobs to submit: one succeeds, one fails, one would run long.

    Attributes:
        steady: One that succeeds after 40 seconds, for a sweep to look at meanwhile.
        more: Others by name, each with the state in which its monitor must end.
    """

    good: dict[str, Any]
    bad: dict[str, Any]
    long: dict[str, Any]
    steady: dict[str, Any] = field(default_factory=dict)
    more: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A job as the system itself shows it."""

    status: str
    ended_at: datetime | None


class Program(ABC):
    """A real program on this machine, with its servers.

    Attributes:
        name: Of the program.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        """Work in a folder that is there and empty."""
        self.folder = folder
        self.programs = Path()
        self.environment: dict[str, str] = {}
        self.url = ""
        self._http = requests.Session()
        self._http.trust_env = False

    @abstractmethod
    def install(self) -> None:
        """Install it; raises NotInstalled."""

    @abstractmethod
    def start(self, started: ExitStack) -> None:
        """Start its servers; `started` is to end them."""

    @abstractmethod
    def version(self) -> str:
        """As the running program says."""

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of an answer of its API."""
        answer = self._http.request(method, self.url + path, json=body, timeout=30)
        if not answer.ok:
            raise PartFailed(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def send_headers(self, headers: Mapping[str, str]) -> None:
        """Send these with every request, as credentials are."""
        self._http.headers.update(headers)

    def whole_environment(self) -> dict[str, str]:
        """That of the system's programs."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}
        path = f"{self.programs}:{inherited.get('PATH', os.defpath)}"
        return {**inherited, "PATH": path, "TMPDIR": str(self.folder), **self.environment}

    def run(self, *command: str) -> str:
        """The output of one of its programs."""
        try:
            return subprocess.run(
                [str(self.programs / command[0]), *command[1:]],
                cwd=self.folder,
                env=self.whole_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
                timeout=_START,
            ).stdout
        except subprocess.CalledProcessError as error:
            raise PartFailed(f"{command} failed:\n{error.stdout}\n{error.stderr}") from error
        except subprocess.TimeoutExpired as error:
            raise PartFailed(f"{command} took over {_START:g} s.") from error


class System(Program):
    """One job system.

    Attributes:
        name: Of the system, and of its source.
        source: The table of job_sources.toml.
        at_work: Its status of a job that has begun to work.
        cancelled: Its status of a job that was cancelled.
        sweep: How a sweep looks at its jobs, `list` or `each`; None if that is not tried.
        unknown: The id of a job that it does not know.
        submits: Whether it takes jobs over HTTP; else `submit` starts them.
        cancelled_state: What becomes of a monitor whose job is cancelled there.
    """

    source: ClassVar[str]
    at_work: ClassVar[str]
    cancelled: ClassVar[str]
    sweep: ClassVar[str | None] = None
    unknown: ClassVar[str] = "no-such-job"
    submits: ClassVar[bool] = True
    cancelled_state: ClassVar[str] = "Cancelled"

    @abstractmethod
    def settings(self) -> Mapping[str, str]:
        """The app settings that `source` takes."""

    @abstractmethod
    def jobs(self) -> Jobs:
        """The jobs to submit."""

    def submit(self, job: dict[str, Any]) -> str:
        """Start a job where the app can't; its id."""
        raise NotImplementedError

    @abstractmethod
    def see(self, job_id: str) -> Seen:
        """Ask for a job."""

    @abstractmethod
    def cancel(self, job_id: str) -> None:
        """Have a job cancelled."""


class Receiver(Program):
    """One receiver of messages."""

    @abstractmethod
    def channel(self) -> tuple[str, str]:
        """The table of a channel that it is, and the value of its setting `RECEIVER_URL`."""

    @abstractmethod
    def received(self) -> list[str]:
        """The texts that people see there."""


class Server(Part):
    """One server of a program. When it is stopped, all that it started ends too."""

    path: ClassVar[str] = "/"  # what it answers when it is ready

    def __init__(self, system: Program, ports: list[int] | None = None) -> None:
        log = LOGS / f"{self.name.lower().replace(' ', '-')}.log"
        log.unlink(missing_ok=True)
        super().__init__(log, ports or [])
        self.system = system
        self._mark = new_mark()

    def inherited(self) -> dict[str, str]:
        """The program's environment, and a mark by which to know what was started."""
        return {**self.system.whole_environment(), **self._mark}

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def problem(self) -> str | None:
        """It is ready when it answers."""
        try:
            answer = get(self.url + self.path)
        except requests.RequestException as error:
            return str(error)
        return None if answer.ok else f"{answer.status_code} {answer.text[:500]}"

    def start(self, deadline: float = _START) -> None:
        """Start; most of these take longer than the parts of the app."""
        try:
            super().start(deadline)
        except BaseException:
            self._end_the_rest()
            raise

    def stop(self, grace: float = 10.0) -> None:
        """Ask it to end, then end what it left behind."""
        super().stop(grace)
        self._end_the_rest()

    def program(self, name: str) -> str:
        """The path of one of the system's programs."""
        return str(self.system.programs / name)

    def _end_the_rest(self) -> None:
        if self._process is not None:
            end_session(self.pid, self._mark)
