"""The host under test: the one under `--base-url`, else devhost as a child process."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.hub import Hub
from tests.devhost.host import Devhost

APP = Path(__file__).parent / "app"


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
    state = tmp_path_factory.mktemp("devhost") / "hub.db"
    with Devhost(APP, state) as host, closing(Hub(host.url)) as hub:
        yield hub
        assert host.running, host.log_tail()
