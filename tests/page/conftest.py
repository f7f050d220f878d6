"""The app that the page shows: with a channel that delivers, and one whose receiver fails."""

from collections.abc import Iterator

import pytest

from demo.part import ROOT
from demo.stack import Host, JobService
from tests.conftest import Store
from tests.faulty_source import FaultySource

CHANNELS = """
[channels.ops]
kind = "webhook"
description = "The team on call"
url = "{url}/jobs"

[channels.broken]
kind = "webhook"
url = "{url}/jobs/500/cancel"
"""


@pytest.fixture(scope="session")
def base_url(
    request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the app serves: the host under `--base-url`, else one started here."""
    if given := request.config.getoption("--base-url"):
        yield given.rstrip("/")
        return
    folder = tmp_path_factory.mktemp("page")
    with JobService(folder / "jobs.log") as jobs, FaultySource() as receiver:
        receiver.behave("cancel", "500")
        sources = folder / "sources.toml"
        ours = (ROOT / "job_sources.toml").read_text(encoding="utf-8")
        sources.write_text(ours + CHANNELS.format(url=receiver.url), encoding="utf-8")
        host = Host(folder / "hub.db", folder / "host.log")
        host.environment = {
            "AzureWebJobsStorage": store.new_account(),
            "DEMO_JOB_SERVICE_URL": jobs.url,
            "JOB_SOURCES_FILE": str(sources),
        }
        with host:
            yield host.url
