"""An app of its own, whose sources and cleanup random requests may meddle with."""

from collections.abc import Iterator

import pytest

from tests.conftest import Store
from tests.openapi.served import served


@pytest.fixture(scope="session")
def url(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("openapi"), store.new_account()) as url:
        yield url
