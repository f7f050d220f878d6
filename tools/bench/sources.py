"""What a poll costs over HTTPS."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from requests.adapters import DEFAULT_CA_BUNDLE_PATH

from adapters.job_api import JobApi
from domain.sources.file import load_sources
from tests.certificates import self_signed, serving
from tests.faulty_source import FaultySource
from tools.bench.figures import Figure

_TIMES = 200
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


def _cpu(call: Callable[[], object]) -> float:
    """CPU of this thread for a call, in milliseconds; the server has threads of its own."""
    call()
    begin = time.thread_time()
    for _ in range(_TIMES):
        call()
    return (time.thread_time() - begin) / _TIMES * 1e3


def run() -> list[Figure]:
    """Take the figures; a few seconds."""
    with TemporaryDirectory() as name:
        return _https(Path(name))
