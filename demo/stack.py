"""The parts of a working Job Monitor on one machine: Azurite, the job service and the host.

`with Stack(folder) as stack:` starts them in that order and stops them in the opposite one.
All that they keep is below the folder: `azurite/`, `hub.db` and `logs/`.
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import requests

from demo.azurite import Azurite
from demo.part import Part, PartFailed, get
from demo.ports import LOCALHOST

STORAGE_SETTINGS = ("AzureWebJobsStorage", "JobStatusStorage")
"""How settings begin that name a storage account."""

_NOT_INHERITED = (*STORAGE_SETTINGS, "JOB_SOURCES_FILE")


class JobService(Part):
    """The job system that the demo watches. Its jobs end with it."""

    name = "The job service"

    def command(self) -> list[str]:
        """The module, on its port."""
        return [sys.executable, "-m", "demo.job_service", "--port", str(self.ports[0])]

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://{LOCALHOST}:{self.ports[0]}"

    def problem(self) -> str | None:
        """It is ready when it shows its jobs."""
        try:
            get(f"{self.url}/jobs").raise_for_status()
        except requests.RequestException as error:
            return str(error)
        return None


class Host(Part):
    """The local host with the app. `arguments` are added to its command line."""

    name = "The host"

    def __init__(
        self,
        state: Path,
        log: Path,
        ports: Sequence[int] = (),
        arguments: Sequence[str] = (),
    ) -> None:
        super().__init__(log, ports)
        self.arguments = list(arguments)
        self.state = state.resolve()
        # Without storage, say, the app answers that it isn't ready. Tests want to start it so.
        self.healthy_only = True

    def command(self) -> list[str]:
        """The module, with the app in this repository."""
        options = ["--app", ".", "--port", str(self.ports[0]), "--state", str(self.state)]
        return [sys.executable, "-m", "devhost", *options, *self.arguments]

    def inherited(self) -> dict[str, str]:
        """This environment without settings that may name a real storage account."""
        return {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://{LOCALHOST}:{self.ports[0]}"

    def problem(self) -> str | None:
        """It is ready when the app says so.

        Raises:
            PartFailed: The app's settings or sources are faulty, which no waiting mends.
        """
        try:
            answer = get(f"{self.url}/api/health")
            if answer.ok or not self.healthy_only:
                return None
            details = get(f"{self.url}/api/health/details")
        except requests.RequestException as error:
            return str(error)
        if faults := _faults(details):
            raise PartFailed("\n  ".join(["The app is not configured:", *faults]))
        return f"{details.status_code} {details.text[:500]}"


@dataclass(frozen=True)
class Ports:
    """Ports that are fixed; for an empty one free ports are taken."""

    azurite: tuple[int, ...] = ()  # blob, queue, table
    jobs: tuple[int, ...] = ()
    host: tuple[int, ...] = ()


_FREE = Ports()


def _say_nothing(_: str) -> None:
    pass


class Stack:
    """All parts together. `say` is told, in a line each, what happens.

    Tests may change `host.environment` and `host.arguments` before the start or between two.
    """

    def __init__(
        self, folder: Path, ports: Ports = _FREE, say: Callable[[str], None] = _say_nothing
    ) -> None:
        logs = folder / "logs"
        self.azurite = Azurite(folder / "azurite", logs / "azurite.log", ports.azurite)
        self.jobs = JobService(logs / "jobs.log", ports.jobs)
        self.host = Host(folder / "hub.db", logs / "host.log", ports.host)
        self._say = say
        self._started = ExitStack()

    @property
    def parts(self) -> list[Part]:
        """In the order of their start."""
        return [self.azurite, self.jobs, self.host]

    def environment(self) -> dict[str, str]:
        """The app's settings: where the parts are. Known once Azurite and the jobs are started."""
        return {
            "AzureWebJobsStorage": self.azurite.connection_string,
            "DEMO_JOB_SERVICE_URL": self.jobs.url,
        }

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for part in self.parts:
                if part is self.host:
                    # Settings that were made before stay.
                    part.environment = {**self.environment(), **part.environment}
                started.enter_context(part)
                self._say(f"{part.name} answers on {LOCALHOST}:{', '.join(map(str, part.ports))}.")
            self._started = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()


def _faults(answer: requests.Response) -> list[str]:
    """The faults that the app names in an answer, each with its place; none if it names none."""
    try:
        errors = answer.json().get("errors", [])
    except requests.JSONDecodeError:
        return []
    return [f"{error['field']}: {error['message']}" for error in errors]
