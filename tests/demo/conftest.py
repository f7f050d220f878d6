from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.azurite import Azurite
from demo.stack import JobService


@pytest.fixture(scope="package")
def job_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobService]:
    with JobService(tmp_path_factory.mktemp("jobs") / "jobs.log") as service:
        yield service


@pytest.fixture
def azurite(tmp_path: Path) -> Iterator[Azurite]:
    with Azurite(tmp_path / "data", tmp_path / "azurite.log") as azurite:
        yield azurite
