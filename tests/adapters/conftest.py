from collections.abc import Iterator

import pytest

from tests.faulty_source import FaultySource


@pytest.fixture(scope="module")
def _shared() -> Iterator[FaultySource]:
    with FaultySource() as server:
        yield server


@pytest.fixture
def server(_shared: FaultySource) -> FaultySource:
    """The one server of a module, with nothing in it."""
    _shared.forget()
    return _shared
