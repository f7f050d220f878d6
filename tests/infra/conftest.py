from typing import Any

import pytest

from tests.infra.rules import Deployed, environments
from tests.infra.running import ROOT, check


@pytest.fixture(scope="session")
def found() -> dict[str, Any]:
    """What the checks find in this repository."""
    return check(ROOT)


@pytest.fixture(scope="session")
def deployed(found: dict[str, Any]) -> dict[str, Deployed]:
    """What would be deployed, by environment."""
    return {each.name: each for each in environments(found["checked"][0])}
