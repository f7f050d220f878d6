"""A small run with all that the big one has: kills of the host, restarts of Azurite, meddlers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.monitors.log import LogLine
from domain.monitors.monitor import State
from tools.chaos.breaker import Pace
from tools.chaos.judge import expiry
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
