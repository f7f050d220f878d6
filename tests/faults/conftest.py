"""A host for tests that break parts, with a job system that misbehaves on order."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.stack import Host
from tests.api import Api
from tests.conftest import Store
from tests.faulty_source import FaultySource

RUNNING = {"status": "processing", "progress": 10}
DONE = {"status": "completed", "progress": 100}
SECRET = "planted-secret-7f3a9c"  # noqa: S105 - it is planted to be searched for
_SOURCE = """
[sources.demo.status]
url = "{url}/jobs/{{job_id}}"
status = "status"
progress = "progress"
message = "message"
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
[sources.demo.auth]
kind = "bearer"
token = "${{FAULTY_TOKEN}}"
[sources.demo.http]
timeout_seconds = 20 # a busy machine must not turn answers into time-outs
"""


class Rig:
    """The host, its storage, the misbehaving job system, and the API."""

    def __init__(self, host: Host, connection: str, source: FaultySource) -> None:
        self.host, self.connection, self.source = host, connection, source

    @property
    def api(self) -> Api:
        return Api(self.host.url)


@contextmanager
def working(folder: Path, connection: str, channels: str = "") -> Iterator[Rig]:
    """A rig that is started, with its files in the folder, on that storage."""
    with FaultySource() as source:
        sources = folder / "sources.toml"
        sources.write_text(_SOURCE.format(url=source.url) + channels)
        host = Host(folder / "hub.db", folder / "host.log")
        host.environment = {
            "AzureWebJobsStorage": connection,
            "JOB_SOURCES_FILE": str(sources),
            "FAULTY_TOKEN": SECRET,
        }
        with host:
            yield Rig(host, connection, source)


@pytest.fixture(scope="session")
def rig(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One rig for all tests here; each leaves it with a host that runs."""
    with working(tmp_path_factory.mktemp("rig"), store.new_account()) as rig:
        yield rig
