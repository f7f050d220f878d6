"""What a poll costs over HTTPS, and how long it waits beside a source that is slow."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from requests.adapters import DEFAULT_CA_BUNDLE_PATH

from adapters.job_api import JobApi
from demo.stack import Stack
from domain.sources.file import load_sources
from tests.api import Api, eventually, new_job_id
from tests.certificates import self_signed, serving
from tests.faulty_source import FaultySource
from tools.bench.figures import Figure, spread

_TIMES = 200
_SLOW, _QUICK = 48, 15
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_SOURCE = """
[sources.demo.status]
url = "{url}/jobs/{{job_id}}"
status = "status"
[sources.demo.outcomes]
running = ["processing"]
succeeded = ["completed"]
"""


def _https(folder: Path) -> list[Figure]:
    """A poll beside the floor: the same request, bare, on a session that is kept."""
    pem = self_signed(folder / "server.pem")
    # As most sources have it, with the usual certificates: some 140 of them, besides the server's.
    bundle = folder / "bundle.pem"
    bundle.write_bytes(Path(DEFAULT_CA_BUNDLE_PATH).read_bytes() + pem.read_bytes())
    with FaultySource(tls=serving(pem), keep_alive=True) as server:
        url = f"{server.url}/jobs/ok"
        text = _SOURCE.format(url=server.url) + f'[sources.demo.http]\nca_file = "{bundle}"'
        source, jobs = load_sources(text, {}).get("demo"), JobApi()
        with requests.Session() as session:
            floor = _cpu(lambda: session.get(url, timeout=5, verify=str(bundle)).content)
        poll = _cpu(lambda: jobs.poll(source, "ok", _NOW))
        return [
            Figure("requests.Session.get over HTTPS, kept: the floor, CPU", floor, "ms"),
            Figure("GetJobStatus over HTTPS: the poll, CPU", poll, "ms"),
            Figure("  times the floor", poll / floor, "x"),
            Figure(f"  connections for {_TIMES} polls", server.connections - 1, ""),
        ]


def _beside_a_slow_one(folder: Path, limit: int) -> list[Figure]:
    """From the start of a watch to its first poll, while 48 watches of another source hang."""
    with FaultySource() as server:
        sources = folder / "sources.toml"
        slow = f"[sources.slow]\nmax_concurrent_polls = {limit}\n"
        quick = _SOURCE.format(url=server.url)
        sources.write_text(slow + quick.replace("demo", "slow") + quick.replace("demo", "quick"))
        stack = Stack(folder)
        stack.host.environment = {"JOB_SOURCES_FILE": str(sources)}
        with stack:
            api = Api(stack.host.url)
            for number in range(_SLOW):
                api.start(source="slow", jobId=f"slow-headers-{number}", pollIntervalSeconds=5)
            seconds = [_first_poll(api, server) for _ in range(_QUICK)]
        server.closing.set()
    return spread(f"first poll beside a slow source, at most {limit} polls of that", seconds)


def _first_poll(api: Api, server: FaultySource) -> float:
    job_id = new_job_id()
    server.jobs[job_id] = {"status": "processing"}
    begin = time.perf_counter()
    api.start(source="quick", jobId=job_id, pollIntervalSeconds=3600)
    eventually(lambda: any(job_id in each.target for each in server.requests), bool, deadline=120)
    return time.perf_counter() - begin


def _cpu(call: Callable[[], object]) -> float:
    """CPU of this thread for a call, in milliseconds; the server has threads of its own."""
    call()
    begin = time.thread_time()
    for _ in range(_TIMES):
        call()
    return (time.thread_time() - begin) / _TIMES * 1e3


def run() -> list[Figure]:
    """Take the figures; about two minutes."""
    figures: list[Figure] = []
    for limit in (100, 8):  # as if there were none, and the default
        with TemporaryDirectory() as name:
            figures += _beside_a_slow_one(Path(name), limit)
    with TemporaryDirectory() as name:
        return [*_https(Path(name)), *figures]
