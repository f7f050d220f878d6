"""The same work for all peers: 500 jobs, polled each second until each ends.

1. Begin all watches, wait until each has polled, and let them settle.
2. Measure a window of ten seconds: polls, CPU, memory.
3. Let the jobs end, evenly over twenty seconds. The lag is the time from the job's end to the
   moment at which the end is stored.
4. Begin 100 more, kill -9 the process, start it again, and see which ends are stored.

The CPU is that of the peer's own processes: Azurite's does not count, as that of a database server
would not. SQLite works within DBOS.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.bench.figures import Figure, percentile
from tools.bench.job_system import JobSystemPart
from tools.bench.peers.peer import (
    BareLoop,
    Dbos,
    JobMonitor,
    Peer,
    Plain,
    SweptByList,
    SweptJobByJob,
)

_JOBS, _KILLED = 500, 100
_SETTLE, _WINDOW, _ENDING = 10, 10, 20  # seconds
_PATIENCE = 90  # seconds for the last ends
_PEERS: tuple[Callable[[Path, str], Peer], ...] = (
    BareLoop,
    Dbos,
    Plain,
    JobMonitor,
    SweptJobByJob,
    SweptByList,
)


def run() -> list[Figure]:
    """Take the figures; about ten minutes."""
    figures: list[Figure] = []
    for kind in _PEERS:
        with TemporaryDirectory() as name, JobSystemPart(Path(name) / "jobs.log") as jobs:
            peer = kind(Path(name) / "peer", jobs.url)
            peer.start()
            try:
                figures.append(Figure(f"{peer.name}: jobs", _JOBS, ""))
                figures += _steady(peer, jobs) + _lags(peer, jobs) + _killed(peer, jobs)
            finally:
                peer.stop()
    return figures


def _steady(peer: Peer, jobs: JobSystemPart) -> list[Figure]:
    time.sleep(2)
    empty = peer.memory()
    jobs.plan("j", _JOBS)
    peer.begin("j", _JOBS)
    deadline = time.monotonic() + _PATIENCE
    while jobs.seen() < _JOBS and time.monotonic() < deadline:
        time.sleep(1)
    time.sleep(_SETTLE)
    cpu, asked, begin = peer.cpu(), jobs.asked(), time.monotonic()
    time.sleep(_WINDOW)
    spent, made, seconds = peer.cpu() - cpu, jobs.asked() - asked, time.monotonic() - begin
    figures = [
        Figure("  share of one core", spent / seconds * 100, "%"),
        Figure("  jobs asked about", made["job"] / seconds, "/s"),
        Figure("  memory per waiting job", (peer.memory() - empty) / _JOBS, "KiB"),
    ]
    if made["list"]:
        figures.append(Figure("  lists asked for", made["list"] / seconds, "/s"))
    if made["job"]:
        figures += [
            Figure("  CPU per poll", spent / made["job"] * 1e3, "ms"),
            Figure("  polls a second that one core can make", made["job"] / spent, "/s"),
        ]
    return figures


def _lags(peer: Peer, jobs: JobSystemPart) -> list[Figure]:
    jobs.plan("j", _JOBS, _ENDING)
    stored = _stored(peer, "j", _JOBS, time.monotonic() + _ENDING + _PATIENCE)
    ended = jobs.ends()
    lags = sorted(max(stored[each][0] - ended[each], 0.0) for each in stored)
    if not lags:
        raise AssertionError(f"{peer.name} stored no end")
    return [
        Figure("  lag of an end, p50", percentile(lags, 50), "s"),
        Figure("  lag of an end, p95", percentile(lags, 95), "s"),
        Figure("  ends that were not stored in time", _JOBS - len(stored), ""),
    ]


def _killed(peer: Peer, jobs: JobSystemPart) -> list[Figure]:
    jobs.plan("k", _KILLED)
    peer.begin("k", _KILLED)
    time.sleep(5)
    peer.kill()
    peer.start()
    jobs.plan("k", _KILLED, 5)
    stored = _stored(peer, "k", _KILLED, time.monotonic() + _PATIENCE)
    return [
        Figure(f"  kill -9 leaves {peer.left_by_a_kill}: ends stored", len(stored), ""),
        Figure("    of them twice", sum(len(each) > 1 for each in stored.values()), ""),
    ]


def _stored(peer: Peer, prefix: str, count: int, deadline: float) -> dict[str, list[float]]:
    """The ends that are stored, once all are, or at the deadline."""
    while True:
        ends = {k: v for k, v in peer.ends().items() if k.startswith(f"{prefix}-")}
        if len(ends) == count or time.monotonic() > deadline:
            return ends
        time.sleep(3)
