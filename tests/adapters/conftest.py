from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.services import Services, get_services
from tests.conftest import Store
from tests.faulty_source import FaultySource, Reply

CHANNEL = """
[channels.ops]
kind = "webhook"
url = "URL/ops"
allow_http = true
"""


@pytest.fixture(scope="module")
def _shared() -> Iterator[FaultySource]:
    with FaultySource() as server:
        yield server


@pytest.fixture
def server(_shared: FaultySource) -> FaultySource:
    """The one server of a module, with nothing in it."""
    _shared.forget()
    return _shared


@pytest.fixture
def services(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FaultySource
) -> Iterator[Services]:
    """The app with the channel `ops`, whose receiver is the server, and a table."""
    server.behave("submit", Reply(204))
    file = tmp_path / "sources.toml"
    file.write_text(CHANNEL.replace("URL", server.url), encoding="utf-8")
    monkeypatch.setenv("JOB_SOURCES_FILE", str(file))
    monkeypatch.setenv("AzureWebJobsStorage", store.new_account())
    get_services.cache_clear()
    services = get_services()
    services.monitors.ping()
    yield services
    get_services.cache_clear()
