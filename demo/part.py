"""A server as a child process: start it and wait for its answer, stop it, kill it, start it again.

1. `start` runs the command on a leash (leash.py), so that it ends with this process, and in a
   session of its own, so that Ctrl-C in a terminal reaches this process only, which then stops
   its parts in order.
2. It returns when the part answers, and fails with the tail of the part's log when the part
   ends first or takes too long.
3. A caller that gives no ports gets free ones; when another program takes one first, others are
   tried. Once started, a part keeps its ports over a restart.
"""

import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Self

import requests

from demo.ports import free_ports, is_taken

ROOT = Path(__file__).parent.parent

_LEASH = Path(__file__).with_name("leash.py")
_ATTEMPTS = 3
_LOOK_AGAIN = 0.05  # seconds

# For the kernel the parent of a process is a thread, and the leash pulls when that thread ends.
# This one ends with the interpreter, so `start` may be called from any thread.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="part-starter")


class PartFailed(Exception):
    """A part didn't start; the text says why and shows the end of its log."""


class PortTaken(PartFailed):
    """A part found another program on one of its ports."""


def get(url: str) -> requests.Response:
    """GET from this machine, whatever proxy the environment names.

    Raises:
        requests.RequestException: Nothing answers there.
    """
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=10)


class Part(ABC):
    """One server. `environment` adds to this process's own and may change between starts."""

    name: ClassVar[str]
    port_count: ClassVar[int] = 1

    def __init__(self, log: Path, ports: Sequence[int] = ()) -> None:
        self.log = log
        self.ports = list(ports)
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @abstractmethod
    def command(self) -> list[str]:
        """The command line."""

    @abstractmethod
    def problem(self) -> str | None:
        """Why the part isn't ready; None when it is."""

    def inherited(self) -> dict[str, str]:
        """The environment that `environment` is added to."""
        return dict(os.environ)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process that was started last."""
        if self._process is None:
            raise PartFailed(f"{self.name} was never started.")
        return self._process.pid

    def start(self, deadline: float = 60.0) -> None:
        """Start and return when the part answers.

        Raises:
            PartFailed: It ended first, or gave no answer within `deadline` seconds.
        """
        if self.running:
            raise PartFailed(f"{self.name} runs already.")
        attempts = 1 if self.ports else _ATTEMPTS
        for attempt in range(1, attempts + 1):
            if attempts > 1:
                self.ports = free_ports(self.port_count)
            try:
                self._launch()
                self._wait(deadline)
            except PortTaken:
                if attempt == attempts:
                    raise
            except BaseException:  # Ctrl-C as well: nothing stays behind
                self.kill()
                raise
            else:
                return

    def stop(self, grace: float = 10.0) -> None:
        """Ask the part to end; kill it after `grace` seconds."""
        if self._process is not None and self.running:
            self._process.terminate()
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()

    def signal(self, number: int) -> None:
        """Send a signal, say SIGSTOP to have it hang and SIGCONT to have it go on."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End the part at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the part wrote since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self) -> None:
        # Looked at first, or the answer of another server there would pass for the part's.
        for port in filter(is_taken, self.ports):
            raise PortTaken(f"{self.name} can't have port {port}: another program listens there.")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = _STARTER.submit(
                subprocess.Popen,
                [sys.executable, "-I", str(_LEASH), str(os.getpid()), *self.command()],
                cwd=ROOT,
                env={**self.inherited(), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ).result()

    def _wait(self, deadline: float) -> None:
        end = time.monotonic() + deadline
        while (problem := self.problem()) is not None:
            if not self.running:
                tail = self.log_tail()
                taken = "address already in use" in tail.lower()
                kind = PortTaken if taken else PartFailed
                raise kind(f"{self.name} ended while it started. {self.log} ends with:\n{tail}")
            if time.monotonic() > end:
                raise PartFailed(
                    f"{self.name} isn't ready after {deadline:g} seconds: {problem}\n"
                    f"{self.log} ends with:\n{self.log_tail()}"
                )
            time.sleep(_LOOK_AGAIN)
