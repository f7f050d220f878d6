"""The host under test: the one under `--base-url`, else devhost as a child process."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from demo.part import Part, get
from demo.ports import LOCALHOST
from tests.conformance.hub import Hub

APP = Path(__file__).parent / "app"


class Devhost(Part):
    """devhost with the conformance app."""

    name = "devhost"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "host.log")
        self.state = folder / "hub.db"

    def command(self) -> list[str]:
        options = ["--app", APP, "--port", self.ports[0], "--state", self.state]
        return [sys.executable, "-m", "devhost", *map(str, options)]

    @property
    def url(self) -> str:
        return f"http://{LOCALHOST}:{self.ports[0]}"

    def problem(self) -> str | None:
        try:
            return None if get(f"{self.url}/api/ticks").ok else "no good answer"
        except requests.RequestException as error:
            return str(error)


@pytest.fixture(scope="session")
def other_host(request: pytest.FixtureRequest) -> str | None:
    """The origin of the host to test when it is not devhost, where devhost differs on purpose."""
    given = request.config.getoption("--base-url")
    return str(given) if given else None


@pytest.fixture(scope="session")
def hub(other_host: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    if other_host:
        with closing(Hub(other_host)) as hub:
            yield hub
        return
    with Devhost(tmp_path_factory.mktemp("devhost")) as host, closing(Hub(host.url)) as hub:
        yield hub
        assert host.running, host.log_tail()
