"""The app on a virtual clock: a real store, a real job system, and days that take seconds."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.monitor_table import MonitorTable
from adapters.services import get_services
from demo.part import ROOT
from devhost.testing import VirtualHost
from domain.monitors.monitor import MonitorRow
from tests.api import Api
from tests.conftest import Store
from tests.faulty_source import FaultySource, Reply

_SOURCE = """
[sources.{name}]
poll_interval_seconds = 60
[sources.{name}.status]
url = "{url}/jobs/{{job_id}}"
status = "status"
progress = "progress"
[sources.{name}.submit]
url = "{url}/jobs"
job_id = "id"
[sources.{name}.cancel]
url = "{url}/jobs/{{job_id}}/cancel"
[sources.{name}.outcomes]
running = ["queued", "processing"]
succeeded = ["completed"]
failed = ["failed"]
cancelled = ["cancelled"]
[sources.{name}.http]
timeout_seconds = {timeout}
"""


class Lab:
    """The app on its host, and what is around it."""

    def __init__(self, host: VirtualHost, source: FaultySource, table: MonitorTable) -> None:
        self.host, self.source, self.table = host, source, table

    @property
    def api(self) -> Api:
        return Api(self.host.url)

    def row(self, monitor_id: str) -> MonitorRow:
        """The row of a monitor that is there."""
        row = self.table.get(monitor_id)
        assert row is not None
        return row

    def state(self, job_id: str) -> str:
        """The stored state of a monitor of the source `demo`, or "nothing"."""
        row = self.table.get(f"demo.{job_id}")
        return str(row.state) if row else "nothing"

    def ended(self, *job_ids: str) -> Callable[[], bool]:
        """A condition for `run_until`."""
        return lambda: all(self.state(each) not in ("nothing", "Monitoring") for each in job_ids)


@pytest.fixture
def lab(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The watchdog and the cleanup find the monitors of one test only."""

    def sources(url: str) -> str:
        # Most answers come at once, and a busy machine must not turn them into time-outs.
        patient = _SOURCE.format(name="demo", url=url, timeout=60)
        hasty = _SOURCE.format(name="hasty", url=url, timeout=0.5)
        settling = _SOURCE.format(name="settling", url=url, timeout=60)
        settling += "[sources.settling.settle_seconds]\nfailed = 150\n"
        named = _SOURCE.format(name="named", url=url, timeout=60)
        named = named.replace('job_id = "id"', 'job_id = "{job.name}"')
        return 'default = "demo"\n' + patient + hasty + settling + named

    with laboratory(store, tmp_path, monkeypatch, sources) as found:
        yield found


def source(name: str, url: str, *more: str, timeout: float = 60) -> str:
    """A source of the job system, with more lines of its own table."""
    table = f"[sources.{name}]\n"
    text = _SOURCE.format(name=name, url=url, timeout=timeout)
    return text.replace(table, "\n".join([table, *more, ""]), 1)


@contextmanager
def laboratory(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sources: Callable[[str], str],
) -> Iterator[Lab]:
    """The app with the sources that are made for the URL of the job system."""
    connection = store.new_account()
    with FaultySource() as system:
        file = tmp_path / "sources.toml"
        file.write_text(sources(system.url))
        monkeypatch.setenv("JOB_SOURCES_FILE", str(file))
        monkeypatch.setenv("AzureWebJobsStorage", connection)
        host = VirtualHost(ROOT, tmp_path / "hub.db")
        monkeypatch.setattr("adapters.services.utc_now", host.clock.now)
        get_services.cache_clear()
        with host:
            yield Lab(host, system, MonitorTable.connect(connection=connection))
    get_services.cache_clear()


_CHANNELS = """
[channels.ops]
kind = "webhook"
url = "URL/ops"
allow_http = true

[channels.failures]
kind = "webhook"
url = "URL/failures"
allow_http = true
filter = { states = ["Failed"] }

[channels.steps]
kind = "webhook"
url = "URL/steps"
allow_http = true
filter = { events = ["progress"] }
"""


@pytest.fixture
def receiver() -> Iterator[FaultySource]:
    """The receiver of all channels."""
    with FaultySource() as server:
        server.behave("submit", Reply(204))
        yield server


@pytest.fixture
def notices(lab: Lab, receiver: FaultySource) -> Lab:
    """The source `demo` tells all channels, `hasty` none."""
    path = Path(os.environ["JOB_SOURCES_FILE"])
    text = path.read_text(encoding="utf-8")
    text = text.replace(
        "[sources.demo]\n", '[sources.demo]\nnotify = ["ops", "failures", "steps"]\n'
    )
    path.write_text(text + _CHANNELS.replace("URL", receiver.url), encoding="utf-8")
    get_services.cache_clear()
    return lab
