"""Thousands of live watches on two cores: polled, swept job by job, and swept by a list.

In each interval of a minute a hundredth of the jobs changes its progress, and some end: enough of
them for a percentile. Of what is due, the looks that were made are counted where the job system
sees them, and the requests to storage where Azurite does. The watches are seeded (`seeding`), as if
the app had swept before; then the host starts.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.app_state import AppState
from adapters.monitor_table import TABLE, MonitorTable
from adapters.table import Table
from demo.stack import Host
from domain.monitors.monitor_id import monitor_id
from domain.monitors.sweep import Sweep
from tests.api import Api, eventually
from tests.own_client import make_services, with_client
from tools.bench.azurite import CountedAzurite
from tools.bench.ends import stored_ends
from tools.bench.figures import Figure, percentile
from tools.bench.job_system import JobSystemPart, source
from tools.bench.processes import cpu_of, memory_of
from tools.bench.seeding import copies, write_instances, write_rows
from triggers.watchdog import watch_over_all

_INTERVAL, _ROUNDS = 60, 3
_CHANGE = 0.01  # of the jobs in an interval
_PATIENCE = 120  # seconds for the last ends
_SOURCE = "load"


@dataclass(frozen=True)
class Size:
    """So many watches, the lines of their source, the time between two polls, the share of ends."""

    name: str
    count: int
    options: str
    wait: timedelta
    end: float


_MINUTE = timedelta(seconds=_INTERVAL)
_QUARTER = timedelta(minutes=15)
_HOURS = timedelta(hours=6)
_OFF = 'sweep = "off"\n'
_EACH = 'sweep = "each"\nmax_concurrent_polls = 16\n'
_LIST = 'sweep = "list"\nsafety_seconds = 21600\n'
SIZES = (
    Size("polled", 1_000, _OFF, _MINUTE, 0.02),
    Size("swept job by job", 10_000, _EACH, _QUARTER, 0.005),
    # Not 100,000: the entries of all share two partitions, see `tools.bench.partition`.
    Size("swept by a list", 20_000, _LIST, _HOURS, 0.005),
)


def run() -> list[Figure]:
    """Take the figures; about half an hour."""
    return [figure for size in SIZES for figure in take(size)]


def take(size: Size) -> list[Figure]:
    """The figures of one size."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        jobs = JobSystemPart(folder / "jobs.log")
        azurite = CountedAzurite(folder / "azurite.log")
        host = Host(folder / "hub.db", folder / "host.log")
        with jobs, azurite:
            sources = folder / "sources.toml"
            sources.write_text(source(jobs.url, size.options))
            host.environment = {
                "JOB_SOURCES_FILE": str(sources),
                "AzureWebJobsStorage": azurite.connection_string,
                "PYTHON_THREADPOOL_THREAD_COUNT": "40",
            }
            begin = time.monotonic()
            ids = _seed(size, jobs, azurite, host)
            seeded = time.monotonic() - begin
            host.start(deadline=120)
            try:
                return [
                    Figure(f"{size.count:,} watches {size.name}", size.count, ""),
                    Figure("  seeded in", seeded, "s"),
                    *_rounds(size, ids, jobs, azurite, host),
                    *_reads(azurite, host),
                ]
            finally:
                host.stop()


def _seed(size: Size, jobs: JobSystemPart, azurite: CountedAzurite, host: Host) -> dict[str, str]:
    """Watches that wait, and a sweep that has seen all. Returns the jobs by their monitors."""
    jobs.plan("model", 1)
    host.start(deadline=60)
    api = Api(host.url)
    model = api.start(source=_SOURCE, jobId="model-0", pollIntervalSeconds=_INTERVAL)["id"]
    eventually(lambda: api.get(model)["monitor"]["polls"], bool)
    host.stop()
    table = Table.connect(TABLE, connection=azurite.connection_string)
    row = MonitorTable(table).get(model)
    assert row
    names = [f"j-{number}" for number in range(size.count)]
    jobs.plan("j", size.count)
    rows = copies(row, names, size.wait)
    write_rows(azurite.connection_string, azurite.endpoint, rows)
    write_instances(host.state, model, rows)
    now = datetime.now(UTC)
    AppState(table).save_sweep(_SOURCE, Sweep(looked_at=now, cursor=now, covers_until=now), now)
    return {monitor_id(_SOURCE, name): name for name in names}


def _rounds(
    size: Size, ids: dict[str, str], jobs: JobSystemPart, azurite: CountedAzurite, host: Host
) -> list[Figure]:
    """After a round for warming up; the first polls come a minute after the watches are seeded."""
    time.sleep(2 * _INTERVAL)
    jobs.churn(_INTERVAL, _CHANGE, size.end)
    asked, cpu, begin = jobs.asked(), cpu_of(host.pid), time.monotonic()
    store, memory = cpu_of(azurite.pid), 0.0
    with azurite.counting() as calls:
        while time.monotonic() - begin < _INTERVAL * _ROUNDS:
            time.sleep(5)
            memory = max(memory, memory_of(host.pid))
        seconds = time.monotonic() - begin
        looks = jobs.asked() - asked
        spent, stored = cpu_of(host.pid) - cpu, cpu_of(azurite.pid) - store
    ended = {job: at for job, at in jobs.ends().items() if job.startswith("j-")}
    jobs.churn(_INTERVAL, 0, 0)
    minutes = seconds / 60
    if size.options == _LIST:
        made, due = looks["sweep"], minutes
    else:
        made, due = looks["job"], minutes * (size.count - len(ended) / 2)
    return [
        Figure("  looks made of those due", made / due * 100, "%"),
        *_lags(ended, ids, azurite),
        Figure("  requests to the job system", looks["job"] / minutes, "/min"),
        Figure("    pages of lists", looks["list"] / minutes, "/min"),
        Figure("  requests to storage", calls.total() / minutes, "/min"),
        *(Figure(f"    {verb}", count / minutes, "/min") for verb, count in calls.most_common(4)),
        Figure("  the host's share of a core", spent / seconds * 100, "%"),
        Figure("  Azurite's share of a core", stored / seconds * 100, "%"),
        Figure("  memory of the host, per watch", memory / size.count, "KiB"),
    ]


def _lags(ended: dict[str, float], ids: dict[str, str], azurite: CountedAzurite) -> list[Figure]:
    """From a job's end to its stored row."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        stored = {ids.get(id_): at[0] for id_, at in stored_ends(azurite).items()}
        missing = ended.keys() - stored.keys()
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(5)
    lags = sorted(stored[job] - at for job, at in ended.items() if job in stored)
    return [
        Figure(f"  lag of {len(lags)} ends, p50", percentile(lags, 50), "s"),
        Figure("    p95", percentile(lags, 95), "s"),
        Figure("    max", lags[-1], "s"),
        Figure(f"    not stored {_PATIENCE} s later", len(missing), ""),
    ]


def _reads(azurite: CountedAzurite, host: Host) -> list[Figure]:
    """Of all live watches."""
    services = make_services(azurite.connection_string)
    begin = time.monotonic()
    count = sum(1 for _ in services.monitors.live_of(_SOURCE))
    read = time.monotonic() - begin
    services.app_state.remember_place(services.app_state.place()._replace(live=""))
    begin = time.monotonic()
    with_client(host.url, lambda client: watch_over_all(client, services, None))
    took = time.monotonic() - begin
    rest = services.app_state.place().live
    left = sum(1 for _ in services.monitors.live(rest)) if rest else 0
    return [
        Figure(f"  reading {count:,} entries of ~live", read, "s"),
        Figure(f"  a pass of the watchdog over {count - left:,}", took, "s"),
    ]
