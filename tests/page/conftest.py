"""The app that the page shows, and a browser.

The app has the demo's source; one whose jobs a test moves; a channel that delivers, and one whose
receiver fails.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from demo.part import ROOT
from demo.stack import Host, JobService
from tests.api import Api
from tests.conftest import Store
from tests.faulty_source import FaultySource

SOURCES = """
[sources.lab]
description = "A laboratory"
[sources.lab.status]
url = "{lab}/jobs/{{job_id}}"
status = "status"
result = "result"
[sources.lab.cancel]
url = "{lab}/jobs/{{job_id}}/cancel"
[sources.lab.outcomes]
running = ["queued", "mixing", "heating"]
succeeded = ["completed"]
failed = ["failed"]
cancelled = ["cancelled"]

[channels.ops]
kind = "webhook"
description = "The team on call"
url = "{receiver}/jobs"

[channels.broken]
kind = "webhook"
url = "{receiver}/jobs/500/cancel"
"""


@pytest.fixture(scope="session")
def lab() -> Iterator[FaultySource]:
    """The job system behind the source `lab`."""
    with FaultySource() as lab:
        yield lab


@contextmanager
def app(folder: Path, store: Store, lab: FaultySource, **settings: str) -> Iterator[str]:
    """The URL of the app with these settings."""
    with JobService(folder / "jobs.log") as jobs, FaultySource() as receiver:
        receiver.behave("cancel", "500")
        sources = folder / "sources.toml"
        ours = (ROOT / "job_sources.toml").read_text(encoding="utf-8")
        more = SOURCES.format(lab=lab.url, receiver=receiver.url)
        sources.write_text(ours + more, encoding="utf-8")
        host = Host(folder / "hub.db", folder / "host.log")
        host.environment = {
            "AzureWebJobsStorage": store.new_account(),
            "DEMO_JOB_SERVICE_URL": jobs.url,
            "JOB_SOURCES_FILE": str(sources),
            **settings,
        }
        with host:
            yield host.url


@pytest.fixture(scope="session")
def base_url(
    request: pytest.FixtureRequest,
    store: Store,
    lab: FaultySource,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Where the app serves: the host under `--base-url`, else one started here."""
    if given := request.config.getoption("--base-url"):
        yield given.rstrip("/")
        return
    with app(tmp_path_factory.mktemp("page"), store, lab) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, base_url: str) -> Iterator[Page]:
    """A tab; what its console complains of fails the test."""
    context = browser.new_context(base_url=base_url)
    page = context.new_page()
    page.set_default_timeout(15_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.extend([line.text] if line.type == "error" else []))
    yield page
    context.close()
    assert [each for each in faults if "status of 4" not in each] == []


@pytest.fixture(scope="module")
def api(base_url: str) -> Api:
    return Api(base_url)
