"""`make run`: the ports that it needs, and the settings that it takes over."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.part import ROOT, get
from demo.ports import free_ports, is_taken
from demo.run import run
from demo.stack import JobService, Ports
from tests.demo.processes import wait_until

# A process that a script starts in the background ignores Ctrl-C, and so do its children.
RUN = """
import signal
import sys
from functools import partial
from pathlib import Path
from demo.run import run
from demo.stack import Ports
signal.signal(signal.SIGINT, signal.default_int_handler)
host, jobs, *azurite = map(int, sys.argv[2:])
ports = Ports(azurite=tuple(azurite), jobs=(jobs,), host=(host,))
sys.exit(run(ports, partial(print, flush=True), Path(sys.argv[1])))
"""
SOURCES = """
[sources.mine.status]
url = "https://example.com/{job_id}"
status = "status"
[sources.mine.outcomes]
succeeded = ["done"]
"""


class Running:
    """A run in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", ports: list[int]) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{ports[0]}"

    def stop(self) -> tuple[int, str]:
        """The exit code after Ctrl-C, and what was said."""
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=30)
        return self.process.returncode, said


def fixed_ports(count: int) -> list[int]:
    """Free ports below those that the system gives to connections: they stay free meanwhile."""
    begin = 15_000 + secrets.randbelow(15_000)
    return [port for port in range(begin, begin + 100) if not is_taken(port)][:count]


@contextmanager
def running(folder: Path, environment: dict[str, str]) -> Iterator[Running]:
    ports = fixed_ports(5)
    command = [sys.executable, "-c", RUN, str(folder), *map(str, ports)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield Running(process, ports)
        finally:
            process.kill()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of this process, with a sources' file and a storage account of somebody's."""
    sources = tmp_path / "mine.toml"
    sources.write_text(SOURCES)
    return {
        **os.environ,
        "JOB_SOURCES_FILE": str(sources),
        "JobStatusStorage__accountName": "production",
    }


def is_answered(url: str) -> bool:
    try:
        return get(url).ok
    except OSError:  # requests' errors are among them
        return False


def test_a_run_takes_the_sources_of_the_environment_and_no_storage(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with running(tmp_path / "data", environment) as host:
        wait_until(
            lambda: host.process.poll() is not None or is_answered(f"{host.url}/api/health"),
            deadline=60,  # a busy machine takes its time to start three parts
        )
        [source] = get(f"{host.url}/api/sources").json()["sources"]
        assert source["name"] == "mine"
        assert "<title>Job Monitor</title>" in get(f"{host.url}/api/ui").text
        code, said = host.stop()
    assert code == 0
    assert f"{host.url}/api/ui" in said
    assert "JobStatusStorage__accountName of the environment is not used" in said
    assert said.splitlines()[-1] == "Stopped."


def test_a_file_of_sources_that_can_not_be_read_ends_a_run_at_once(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    Path(environment["JOB_SOURCES_FILE"]).write_text("[sources.mine")
    with running(tmp_path / "data", environment) as host:
        said, _ = host.process.communicate(timeout=60)
    assert host.process.returncode == 1
    assert "The app is not configured:" in said
    assert said.count("TOML") == 1


def test_every_port_in_use_is_named_with_its_setting(
    tmp_path: Path, job_service: JobService
) -> None:
    said: list[str] = []
    taken, free = job_service.ports[0], free_ports(2)
    ports = Ports(azurite=(taken, *free), jobs=(free_ports(1)[0],), host=(free_ports(1)[0],))
    assert run(ports, said.append, tmp_path) == 1
    assert said == [f"Port {taken} is in use. Set AZURITE_PORT to another one, the first of three."]
    said.clear()
    ports = Ports(azurite=(free_ports(1)[0], *free), jobs=(taken,), host=(taken,))
    assert run(ports, said.append, tmp_path) == 1
    assert said == [f"Port {taken} can't serve both PORT and JOB_SERVICE_PORT: change one of them."]


@pytest.mark.parametrize(
    ("setting", "value"), [("PORT", "http"), ("JOB_SERVICE_PORT", "0"), ("AZURITE_PORT", "65534")]
)
def test_a_port_that_is_none_is_refused(
    environment: dict[str, str], setting: str, value: str
) -> None:
    command = [sys.executable, "-m", "demo", "run"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment | {setting: value},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "is not a port (1 to 65535)" in done.stderr
