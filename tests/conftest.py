"""What all tests share: real parts, started once in each worker, on free ports."""

import os
from collections.abc import Iterator

import pytest

from demo.azurite import Azurite
from demo.stack import Stack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--base-url", default=None, help="run the black-box tests on the host that serves there"
    )


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors: many tests wait for a real clock or a process.

    Each starts parts of its own, so that many would not be faster than eight.
    """
    return min((os.cpu_count() or 1) + 1, 8)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One Azurite for all tests that do not stop it; they keep apart by their ids."""
    folder = tmp_path_factory.mktemp("azurite")
    with Azurite(folder / "data", folder / "azurite.log") as azurite:
        yield azurite


@pytest.fixture(scope="session")
def base_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the app serves: the host under `--base-url`, else one started here."""
    given = request.config.getoption("--base-url")
    if given:
        yield given.rstrip("/")
        return
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack.host.url
