"""A small run with all that the big one has: kills of the host, restarts of Azurite, meddlers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.monitors.log import LogLine
from domain.monitors.monitor import MonitorRow, State
from tools.chaos.breaker import Pace
from tools.chaos.job_system import Asked
from tools.chaos.judge import expiry, too_close
from tools.chaos.plan import Job, make_plan
from tools.chaos.run import run

_PACE = Pace(host=(1, 3), azurite=(4, 6))


@pytest.mark.long
async def test_nothing_is_lost_doubled_or_wrong(tmp_path: Path) -> None:
    """I1, I2, I3: each accepted start has one end, the right one, whatever died meanwhile."""
    plan = make_plan(seed=8, monitors=60, seconds=9)
    result = await run(plan, tmp_path, _PACE, patience=60)
    assert not result.verdict.faults
    assert result.accepted == result.starts >= 60
    assert result.kills >= 3
    assert result.restarts >= 1


def test_a_run_is_judged_by_its_own_expiry() -> None:
    """A watch that begins again has a later one; one that is resumed keeps its own."""
    job = Job("a", State.SUCCEEDED, starts=(0,), interval=1, timeout=10, ends_at=50)
    begin = datetime(2030, 1, 1, tzinfo=UTC)
    log = [
        LogLine(at=begin + timedelta(seconds=second), run=run, poll=0, event=event)
        for second, run, event in [
            (0, 1, "started"),
            (10, 1, "ended"),
            (40, 2, "started"),
            (45, 3, "resumed"),
        ]
    ]
    assert [expiry(job, run, log) - begin.timestamp() for run in (1, 2, 3)] == [10, 50, 50]


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([0, 2, 4, 6], 0),
        ([0.7, 2, 4.5, 6], 0),  # two polls came in late
        ([0, 0.9, 2, 2.9, 4], 2),  # a second watch
        ([0, 2, 4, 4.1], 0),  # the last look, at the expiry
    ],
)
def test_a_second_watch_is_told_from_a_busy_machine(times: list[float], found: int) -> None:
    """I1."""
    begin = datetime(2030, 1, 1, tzinfo=UTC)
    row = MonitorRow(
        id="chaos.a",
        source="chaos",
        job_id="a",
        run=1,
        state=State.MONITORING,
        started_at=begin,
        expire_time=begin + timedelta(seconds=4.1),
        poll_interval_seconds=2,
    )
    polls = [Asked(begin.timestamp() + time, "processing") for time in times]
    assert len(list(too_close(row, polls))) == found
