import pytest

from tests.api import Api


@pytest.fixture(scope="session")
def api(base_url: str) -> Api:
    return Api(base_url)
