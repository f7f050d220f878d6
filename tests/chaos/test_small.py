"""A small run with all that the big one has: kills of the host, restarts of Azurite, meddlers."""

from pathlib import Path

import pytest

from tools.chaos.breaker import Pace
from tools.chaos.kinds import make_plan
from tools.chaos.plan import Do
from tools.chaos.run import run

_PACE = Pace(host=(1, 3), azurite=(4, 6))


@pytest.mark.long
async def test_nothing_is_lost_doubled_or_wrong(tmp_path: Path) -> None:
    """I1, I2, I3, I5: each accepted start has one end, the right one, whatever died meanwhile."""
    plan = make_plan(seed=8, monitors=60, seconds=9)
    result = await run(plan, tmp_path, _PACE, patience=180)
    assert not result.verdict.faults
    assert result.accepted == result.starts >= 60
    assert result.kills >= 3
    assert result.restarts >= 1


def test_a_plan_has_all_operations() -> None:
    plan = make_plan(seed=8, monitors=60, seconds=9)
    missing = {each for each in Do if not any(job.has(each) for job in plan.jobs)}
    assert missing == {Do.PURGE_UNSEEN}  # the watchdog tells that from a lost hub after a minute
    assert any(job.keyed for job in plan.jobs)
    assert any(job.submitted and len(job.starts) > 1 for job in plan.jobs)
    big = make_plan(seed=8, monitors=1_000, seconds=240)
    assert all(any(job.has(each) for job in big.jobs) for each in Do)
