"""The cleanup on real parts, with its clock set forward."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from activities.do_cleanup import clean
from adapters.services import Services
from domain.monitors.cleanup import CleanupProgress
from tests.api import new_job_id
from tests.faults.conftest import DONE, RUNNING, Rig
from tests.own_client import HUB, make_services, with_client


def run(rig: Rig, services: Services, budget: timedelta) -> CleanupProgress:
    deadline = services.now() + budget
    return with_client(
        rig.host.url, lambda client: clean(CleanupProgress(), client, services, deadline)
    )


@pytest.fixture
def ended_and_live(rig: Rig) -> tuple[str, str]:
    """Ids of a monitor that ended and of one that is live."""
    ended, live = new_job_id(), new_job_id()
    rig.source.behave(ended, DONE)
    rig.source.behave(live, RUNNING)
    for job_id in (ended, live):
        rig.api.start(jobId=job_id, pollIntervalSeconds=60)
    rig.api.ended(f"demo.{ended}")
    rig.api.wait(f"demo.{live}", lambda shown: shown["monitor"]["polls"] >= 1)
    return f"demo.{ended}", f"demo.{live}"


def test_what_is_past_its_retention_goes_and_what_lives_stays(
    rig: Rig, ended_and_live: tuple[str, str]
) -> None:
    """I8: a live instance or row is never removed, however old."""
    ended, live = ended_and_live
    future = datetime.now(UTC) + timedelta(days=31)
    done = run(rig, make_services(rig.connection, lambda: future), timedelta(minutes=1))
    assert done.instances >= 1
    assert done.monitors >= 1
    assert not done.more
    assert done.purged_through == future - timedelta(days=30)
    assert rig.api.call("GET", f"/api/monitors/{ended}").status_code == 404
    assert rig.api.call("GET", HUB + ended).status_code == 404
    shown = rig.api.get(live)
    assert (shown["monitor"]["state"], shown["runtimeStatus"]) == ("Monitoring", "Running")


def test_what_is_within_its_retention_stays(rig: Rig, ended_and_live: tuple[str, str]) -> None:
    future = datetime.now(UTC) + timedelta(days=29)
    done = run(rig, make_services(rig.connection, lambda: future), timedelta(minutes=1))
    assert (done.instances, done.monitors) == (0, 0)
    assert rig.api.get(ended_and_live[0])["runtimeStatus"] == "Completed"


def test_a_run_out_of_time_says_so_and_keeps_its_progress(
    rig: Rig, ended_and_live: tuple[str, str]
) -> None:
    future = datetime.now(UTC) + timedelta(days=31)
    services = make_services(rig.connection, lambda: future)
    done = run(rig, services, timedelta(0))
    assert done.more
    assert (done.instances, done.monitors, done.purged_through) == (0, 0, None)
    ticking = iter(range(100))
    slow = replace(services, now=lambda: future + timedelta(minutes=next(ticking)))
    done = run(rig, slow, timedelta(minutes=3))
    assert done.more
    assert done.purged_through is not None
    assert done.purged_through < future - timedelta(days=30)
