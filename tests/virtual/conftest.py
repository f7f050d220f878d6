"""The app on a virtual clock: a real store, a real job system, and days that take seconds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.monitor_table import MonitorTable
from adapters.services import get_services
from demo.part import ROOT
from devhost.testing import VirtualHost
from tests.api import Api
from tests.conftest import Store
from tests.faulty_source import FaultySource

_SOURCES = """
[sources.demo]
poll_interval_seconds = 60
[sources.demo.status]
url = "{url}/jobs/{{job_id}}"
status = "status"
[sources.demo.submit]
url = "{url}/jobs"
job_id = "id"
[sources.demo.cancel]
url = "{url}/jobs/{{job_id}}/cancel"
[sources.demo.outcomes]
running = ["queued", "processing"]
succeeded = ["completed"]
failed = ["failed"]
cancelled = ["cancelled"]
"""


class Lab:
    """The app on its host, and what is around it."""

    def __init__(self, host: VirtualHost, source: FaultySource, table: MonitorTable) -> None:
        self.host, self.source, self.table = host, source, table

    @property
    def api(self) -> Api:
        return Api(self.host.url)

    def state(self, job_id: str) -> str:
        """What the store says of a monitor."""
        row = self.table.get(f"demo.{job_id}")
        return str(row.state) if row else "nothing"

    def ended(self, *job_ids: str) -> Callable[[], bool]:
        """A condition for `run_until`."""
        return lambda: all(self.state(each) not in ("nothing", "Monitoring") for each in job_ids)


@pytest.fixture
def lab(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The watchdog and the cleanup find the monitors of one test only."""
    connection = store.new_account()
    with FaultySource() as source:
        (tmp_path / "sources.toml").write_text(_SOURCES.format(url=source.url))
        monkeypatch.setenv("JOB_SOURCES_FILE", str(tmp_path / "sources.toml"))
        monkeypatch.setenv("AzureWebJobsStorage", connection)
        host = VirtualHost(ROOT, tmp_path / "hub.db")
        monkeypatch.setattr("adapters.services.utc_now", host.clock.now)
        get_services.cache_clear()
        with host:
            yield Lab(host, source, MonitorTable.connect(connection=connection))
    get_services.cache_clear()
