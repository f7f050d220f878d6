"""A small run with all that the big one has: kills of the host, restarts of Azurite, meddlers."""

from pathlib import Path

from tests.chaos.breaker import Pace
from tests.chaos.plan import make_plan
from tests.chaos.run import run

_PACE = Pace(host=(1, 3), azurite=(4, 6))


async def test_nothing_is_lost_doubled_or_wrong(tmp_path: Path) -> None:
    """I1, I2, I3: each accepted start has one end, the right one, whatever died meanwhile."""
    plan = make_plan(seed=8, monitors=60, seconds=9)
    result = await run(plan, tmp_path, _PACE, patience=60)
    assert not result.verdict.faults
    assert result.accepted == result.starts >= 60
    assert result.kills >= 3
    assert result.restarts >= 1
