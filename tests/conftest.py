"""The real parts that tests share. Each worker starts its own, once, on free ports."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.azurite import ACCOUNT, KEY, Azurite
from demo.stack import Host, JobService


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--base-url", default=None, help="run the black-box tests on the host that serves there"
    )


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors: many tests wait for a real clock or a process.

    Each starts parts of its own, so that many would not be faster than eight.
    """
    return min((os.cpu_count() or 1) + 1, 8)


class Store(Azurite):
    """An Azurite with many accounts, so that a test can have one with nothing in it.

    It keeps all in memory: to write what many tests leave, over and over, takes longer than they.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(None, folder / "azurite.log")
        self._names = iter([f"account{number}" for number in range(1_000)])
        accounts = [f"{ACCOUNT}:{KEY}", *(f"account{number}:{KEY}" for number in range(1_000))]
        self.environment = {"AZURITE_ACCOUNTS": ";".join(accounts)}

    def new_account(self) -> str:
        """The connection string of an account that nobody uses."""
        return self.connection_string.replace(ACCOUNT, next(self._names))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One Azurite for all tests that do not stop it; they keep apart by accounts or ids."""
    with Store(tmp_path_factory.mktemp("azurite")) as store:
        yield store


@pytest.fixture(scope="session")
def base_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the app serves: the host under `--base-url`, else one started here."""
    given = request.config.getoption("--base-url")
    if given:
        yield given.rstrip("/")
        return
    store: Store = request.getfixturevalue("store")
    folder = tmp_path_factory.mktemp("app")
    with JobService(folder / "jobs.log") as jobs:
        host = Host(folder / "hub.db", folder / "host.log")
        host.environment = {
            "AzureWebJobsStorage": store.new_account(),
            "DEMO_JOB_SERVICE_URL": jobs.url,
        }
        with host:
            yield host.url
