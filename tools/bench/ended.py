"""The cost of many ended monitors: the list, the watchdog, and the cleanup that removes them."""

import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import azure.durable_functions as df

from activities.do_cleanup import clean
from adapters.services import Services
from demo.stack import Stack
from domain.monitors.cleanup import TIME_BUDGET, CleanupProgress
from domain.monitors.monitor import MonitorRow, State
from tests.api import Api, eventually, new_job_id
from tests.faulty_source import FaultySource
from tests.own_client import make_services, with_client
from tools.bench.azurite import CountedAzurite
from tools.bench.figures import Figure
from tools.bench.processes import memory_of
from tools.bench.stored import LIFE, copy_instance, ended_row, write_ended
from triggers.watchdog import watch_over_all

_LIVE = 1_000
_RARE = 1_000  # every so many ended with a state of its own
_PAGE = 100
_SOURCE = """
[sources.demo.status]
url = "{url}/jobs/{{job_id}}"
status = "status"
[sources.demo.outcomes]
running = ["processing"]
succeeded = ["completed"]
"""

T = TypeVar("T")


@dataclass(frozen=True)
class Size:
    """So many ended monitors, and the runs of the cleanup at the most."""

    ended: int
    runs: int


def run() -> list[Figure]:
    """Take the figures; ten minutes, half of them to write the monitors."""
    return take(Size(20_000, runs=30))


def take(size: Size) -> list[Figure]:
    """The figures of one size."""
    with TemporaryDirectory() as name, FaultySource() as source:
        folder = Path(name)
        (folder / "sources.toml").write_text(_SOURCE.format(url=source.url))
        stack = Stack(folder)
        stack.azurite = CountedAzurite(folder / "azurite.log")
        stack.host.environment = {"JOB_SOURCES_FILE": str(folder / "sources.toml")}
        with stack:
            rows = _prepare(stack, source, size.ended)
            figures = [
                Figure(f"{size.ended:,} ended monitors: rows in the table", rows, ""),
                *_watchdog(stack),  # by its end, that of the host's start is over too
                *_list(Api(stack.host.url), size.ended),
                *_cleanup(stack, size),
            ]
            return [*figures, Figure("memory of Azurite", memory_of(stack.azurite.pid), "KiB")]


def _prepare(stack: Stack, source: FaultySource, count: int) -> int:
    """Live monitors through the API; ended ones, with their instances, straight into the stores.

    Returns:
        The number of rows of the ended ones.
    """
    api = Api(stack.host.url)
    model = new_job_id()
    source.behave(model, {"status": "completed"})
    started = api.start(jobId=model)
    api.ended(started["id"])
    live = [new_job_id() for _ in range(_LIVE)]
    for job_id in live:
        source.jobs[job_id] = {"status": "processing"}
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda id_: Api(api.base_url).start(jobId=id_, pollIntervalSeconds=3600), live)
        )
    eventually(lambda: len(source.requests), lambda count: count > _LIVE, deadline=120)
    stack.host.stop()
    # Over the last four weeks; the retention of 30 days is not over for any of them.
    newest, step = datetime.now(UTC) - LIFE - timedelta(hours=1), timedelta(weeks=4) / count

    def rows() -> Iterator[MonitorRow]:
        for n in range(count):
            state = State.SUCCEEDED if n % _RARE else State.UNREACHABLE
            yield ended_row(n, state, newest - n * step)

    written = write_ended(stack.azurite.connection_string, rows())
    copy_instance(stack.host.state, started["id"], rows())
    stack.host.start(deadline=60)
    return written


def _list(api: Api, ended: int) -> list[Figure]:
    """Wall time of pages of 50."""
    _timed(lambda: _page(api))  # the first request also opens the connections
    first, took = _timed(lambda: _page(api))
    figures = [Figure("the first page of the list", took * 1e3, "ms")]
    token = first[1]
    for _ in range(_PAGE - 2):
        token = _page(api, token=token)[1]
    _, took = _timed(lambda: _page(api, token=token))
    figures.append(Figure(f"  page {_PAGE}", took * 1e3, "ms"))
    (found, pages), took = _timed(lambda: _all(api, state="Unreachable"))
    if found != ended // _RARE:
        raise AssertionError(f"{found} monitors of {ended // _RARE}")
    name = f"  the {found} of a rare state, {pages} pages"
    return [*figures, Figure(name, took * 1e3, "ms")]


def _page(api: Api, **query: str) -> tuple[int, str]:
    page = api.call("GET", "/api/monitors", params=query).json()
    return len(page["monitors"]), page["next"]


def _all(api: Api, **query: str) -> tuple[int, int]:
    """The monitors that are found, and the pages that it took."""
    found, token = _page(api, **query)
    pages = 1
    while token:
        more, token = _page(api, **query, token=token)
        found, pages = found + more, pages + 1
    return found, pages


def _watchdog(stack: Stack) -> list[Figure]:
    services = make_services(stack.azurite.connection_string)
    origin = stack.host.url
    _, took = _timed(
        lambda: with_client(origin, lambda client: watch_over_all(client, services, None))
    )
    return [Figure(f"the watchdog's pass, {_LIVE:,} live", took, "s")]


def _cleanup(stack: Stack, size: Size) -> list[Figure]:
    """Remove what has ended, in runs of the usual length. The clock is 30 days ahead."""
    services = make_services(
        stack.azurite.connection_string, lambda: datetime.now(UTC) + timedelta(days=30)
    )
    progress, took, instances, monitors = CleanupProgress(more=True), 0.0, 0, 0
    while progress.more and progress.runs < size.runs:
        use = partial(_clean, progress, services)
        progress, seconds = _timed(partial(with_client, stack.host.url, use))
        took, instances = took + seconds, instances + progress.instances
        monitors += progress.monitors
    live = sum(1 for _ in services.monitors.live())
    if live != _LIVE or (min(instances, monitors) < size.ended and not progress.more):
        raise AssertionError(f"{instances} and {monitors} were removed, {live} are live")
    return [
        Figure(f"{instances:,} instances and {monitors:,} monitors cleaned up", took, "s"),
        Figure("  runs of DoCleanup", progress.runs, ""),
    ]


def _clean(
    progress: CleanupProgress, services: Services, client: df.DurableOrchestrationClient
) -> Coroutine[None, None, CleanupProgress]:
    return clean(progress, client, services, services.now() + TIME_BUDGET)


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    return call(), time.perf_counter() - begin
