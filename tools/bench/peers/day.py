"""A day of one-minute polls of the plain orchestrator, on the virtual clock."""

import os
from pathlib import Path

from devhost.testing import VirtualHost
from tools.bench.figures import cpu_and_wall

_APP = Path(__file__).parent / "plain"
_POLLS = 24 * 60


def cpu_of_a_poll(url: str, job_id: str, folder: Path) -> float:
    """Seconds of CPU, host and app; for a process of its own, which loads one app only."""
    os.environ.update({"JOBS_URL": url, "ENDS": str(folder / "ends.txt")})
    with VirtualHost(_APP, folder / "plain.db") as host:
        host.start("watch", "one", {"id": job_id, "interval": 60})
        with cpu_and_wall() as spent:
            for _ in range(24):
                host.advance(hours=1)
        if host.status("one")["runtimeStatus"] != "Running":
            raise AssertionError("the watch ended")
    return spent.cpu / _POLLS
