"""How long the API takes before a store whose every call takes two seconds, and how many calls."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from demo.azurite import Azurite
from demo.stack import Host
from tests.api import Api, eventually, new_job_id
from tests.faulty_source import FaultySource
from tests.slow_store import SlowStore
from tools.bench.figures import Figure

_SECONDS = 2.0
_ROWS, _BATCH = 50, 16
_SOURCE = """
[sources.demo]
[sources.demo.status]
url = "{url}/jobs/{{job_id}}"
status = "status"
[sources.demo.submit]
url = "{url}/jobs"
job_id = "id"
[sources.demo.outcomes]
running = ["queued", "processing"]
succeeded = ["completed"]
"""


@contextmanager
def _served(folder: Path, source: FaultySource) -> Iterator[tuple[Api, SlowStore]]:
    """The app behind a store that is quick as yet."""
    sources = folder / "sources.toml"
    sources.write_text(_SOURCE.format(url=source.url))
    azurite = Azurite(folder / "azurite", folder / "azurite.log")
    with azurite, SlowStore(azurite.connection_string) as store:
        host = Host(folder / "hub.db", folder / "host.log")
        host.environment = {
            "AzureWebJobsStorage": store.connection,
            "JOB_SOURCES_FILE": str(sources),
        }
        with host:
            yield Api(host.url), store


def run() -> list[Figure]:
    """Take the figures; about two minutes."""
    with (
        TemporaryDirectory() as name,
        FaultySource() as source,
        _served(Path(name), source) as (api, store),
    ):
        jobs = [new_job_id() for _ in range(_ROWS)]
        for job_id in jobs:
            source.jobs[job_id] = {"status": "processing"}
            started = api.start(jobId=job_id, pollIntervalSeconds=3600)
        eventually(lambda: len(source.requests), lambda count: count >= _ROWS)
        time.sleep(_SECONDS)  # their polls are written
        store.seconds = _SECONDS
        url = f"{api.base_url}/api/monitors"
        monitor = f"{url}/{started['id']}"
        key = {"Idempotency-Key": "one"}
        new = {"jobId": new_job_id(), "pollIntervalSeconds": 3600}
        many = {"starts": [{"jobId": new_job_id()} for _ in range(_BATCH)]}
        asked = {
            "start": _ask("POST", url, json=new),
            "start of a watched job": _ask("POST", url, json={"jobId": jobs[0]}),
            "start with a job and a key": _ask("POST", url, json={"job": {}}, headers=key),
            f"batch of {_BATCH} starts": _ask("POST", f"{url}:batch", json=many),
            "monitor": _ask("GET", monitor),
            f"list of {_ROWS}": _ask("GET", url),
            "list of a job": _ask("GET", url, params={"jobId": jobs[1]}),
            "hint": _ask("POST", f"{monitor}/notify"),
            "change": _ask("PATCH", monitor, json={"labels": {"a": "b"}}),
            "stop": _ask("POST", f"{monitor}/stop"),
            "sources": _ask("GET", f"{api.base_url}/api/sources"),
            "health": _ask("GET", f"{api.base_url}/api/health"),
        }
        return [figure for name, ask in asked.items() for figure in _asked(name, ask, store)]


def _ask(method: str, url: str, **options: Any) -> Callable[[], requests.Response]:
    return partial(requests.request, method, url, timeout=300, **options)


def _asked(name: str, ask: Callable[[], requests.Response], store: SlowStore) -> list[Figure]:
    """The seconds of an answer, and the calls meanwhile. Polls make some of them."""
    calls, begin = store.calls, time.perf_counter()
    answer = ask()
    took = time.perf_counter() - begin
    if not answer.ok:
        raise AssertionError(f"{name}: {answer.status_code} {answer.text}")
    return [
        Figure(f"{name}, before a store that takes {_SECONDS:g} s a call", took, "s"),
        Figure("  calls meanwhile", store.calls - calls, ""),
    ]
