"""The cost of a poll with all its parts: a job system over HTTP, and Table storage."""

import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import requests

from adapters.job_api import JobApi
from adapters.monitor_table import MonitorTable
from adapters.services import get_services
from demo.azurite import Azurite
from demo.part import ROOT
from demo.stack import Stack
from devhost.testing import VirtualHost
from domain.monitors.start import StartRequest
from domain.sources.file import load_sources
from tests.api import Api, eventually, new_job_id
from tests.changes import poll
from tools.bench.figures import Figure, cpu_and_wall, spread
from tools.bench.job_system import JobSystemPart, source
from tools.bench.peers.day import cpu_of_a_poll

_TIMES = 500
_HINTS = 60
_MONITORS = 20
_ALONE = f'sweep = "off"\nmax_concurrent_polls = {_MONITORS}\n'


def _one_poll(stack: Stack, job_id: str) -> list[Figure]:
    """A poll and its heartbeat beside the floor: the same request, bare."""
    jobs = JobApi()
    table = MonitorTable.connect(connection=stack.azurite.connection_string)
    text = (ROOT / "job_sources.toml").read_text()
    source = load_sources(text, stack.environment()).get("demo")
    row = StartRequest(job_id=job_id).new_row(source, new_job_id(), datetime.now(UTC))
    table.claim(row)
    url = f"{stack.jobs.url}/jobs/{job_id}"

    def heartbeat(number: int) -> None:
        poll(table, row, "processing", number)

    figures: list[Figure] = []
    floor = None
    for name, call in (
        ("requests.get of a job's status: the floor", lambda _: requests.get(url, timeout=5)),
        ("GetJobStatus: the poll", lambda _: jobs.poll(source, job_id, row.started_at)),
        ("GetJobStatus: the heartbeat", heartbeat),
    ):
        with cpu_and_wall() as spent:
            for number in range(_TIMES):
                call(number)
        floor = floor or spent.cpu
        figures += [
            Figure(name, spent.wall / _TIMES * 1e3, "ms"),
            Figure("  CPU", spent.cpu / _TIMES * 1e3, "ms"),
            Figure("  CPU, times the floor", spent.cpu / floor, "x"),
        ]
    return figures


def _virtual(folder: Path) -> list[Figure]:
    """Polls of jobs that run, on the virtual clock, beside those of a plain orchestrator.

    In a store of their own: this hub would also watch what the other's monitors left.
    """
    own = Azurite(folder / "own", folder / "own.log")
    with JobSystemPart(folder / "system.log") as jobs, own as azurite:
        jobs.plan("j", _MONITORS)
        sources = folder / "sources.toml"
        sources.write_text(source(jobs.url, _ALONE))
        settings = {"AzureWebJobsStorage": azurite.connection_string}
        os.environ.update({**settings, "JOB_SOURCES_FILE": str(sources)})
        start = datetime.now(UTC)
        with (
            VirtualHost(ROOT, folder / "day.db", start=start) as host,
            mock.patch("adapters.services.utc_now", host.clock.now),
        ):
            get_services.cache_clear()
            api = Api(host.url)
            api.start(source="load", jobId="j-0", pollIntervalSeconds=60)
            day, polls, wall = _polls(host, jobs, hours=24)
            for number in range(1, _MONITORS):
                api.start(source="load", jobId=f"j-{number}", pollIntervalSeconds=60)
            many, _, _ = _polls(host, jobs, hours=1)
            get_services.cache_clear()
        clean = ProcessPoolExecutor(1, mp_context=get_context("spawn"))  # it loads another app
        with clean as pool:
            plain = pool.submit(cpu_of_a_poll, jobs.url, "j-0", folder).result()
    return [
        Figure(f"a day of {polls:,} one-minute polls on the virtual clock, all parts", wall, "s"),
        Figure("  CPU per poll, host and app; much of it is the watchdog's", day * 1e3, "ms"),
        Figure(f"  CPU per poll of {_MONITORS} monitors", many * 1e3, "ms"),
        Figure("  CPU per poll of a plain orchestrator", plain * 1e3, "ms"),
        Figure(f"  {_MONITORS} monitors, times the plain orchestrator", many / plain, "x"),
    ]


def _polls(host: VirtualHost, jobs: JobSystemPart, hours: int) -> tuple[float, int, float]:
    """The CPU of a poll, the number of polls, and the seconds by the clock on the wall."""
    asked = jobs.asked()["job"]
    with cpu_and_wall() as spent:
        for _ in range(hours):  # at once would be too long for a busy machine
            host.advance(hours=1)
    polls = jobs.asked()["job"] - asked
    return spent.cpu / polls, polls, spent.wall


def _event_to_row(stack: Stack) -> list[Figure]:
    """From a hint, sent when the job has ended, to the final row in Table storage."""
    api = Api(stack.host.url)
    table = MonitorTable.connect(connection=stack.azurite.connection_string)
    table.ping()
    started = [
        api.start(job={"workload": "checksum", "seconds": 0.1}, pollIntervalSeconds=3600)
        for _ in range(_HINTS)
    ]
    for each in started:
        _completed(f"{stack.jobs.url}/jobs/{each['monitor']['jobId']}")
    time.sleep(1.5)  # hints closer than a second to the last poll are held back on purpose
    seconds = []
    for each in started:
        shown = api.get(each["id"])
        if shown["monitor"]["state"] != "Monitoring":
            continue  # its first poll saw the end already
        hint = each["sendEventPostUri"].replace("{eventName}", "Hint")
        begin = time.perf_counter()
        api.call("POST", hint, json={})
        while (row := table.get(each["id"])) and not row.state.final:
            pass
        seconds.append(time.perf_counter() - begin)
    return spread(f"hint to stored final row, {len(seconds)} times", seconds)


def _completed(url: str) -> None:
    eventually(lambda: requests.get(url, timeout=5).json()["status"], "completed".__eq__)


def run() -> list[Figure]:
    """Take the figures; about a minute."""
    with tempfile.TemporaryDirectory() as name, Stack(Path(name)) as stack:
        stack.host.stop()
        begin = time.perf_counter()
        stack.host.start()
        seconds = time.perf_counter() - begin
        job = {"workload": "checksum", "seconds": 600}
        job_id = requests.post(f"{stack.jobs.url}/jobs", json=job, timeout=5).json()["id"]
        return [
            Figure("host start to first answered request", seconds, "s"),
            *_event_to_row(stack),
            *_one_poll(stack, job_id),
            *_virtual(Path(name)),
        ]
