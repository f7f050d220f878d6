"""The cleanup on real parts, with its clock set forward."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.do_cleanup import clean
from adapters import hub
from adapters.services import Services
from domain.errors import StoreUnavailable
from domain.monitors.cleanup import CleanupProgress
from tests.api import eventually, new_job_id
from tests.faults.conftest import DONE, RUNNING, Rig
from tests.own_client import HUB, make_services, with_client
from tests.slow_store import SlowStore


def run(
    rig: Rig, services: Services, budget: timedelta, progress: CleanupProgress | None = None
) -> CleanupProgress:
    deadline = services.now() + budget
    return with_client(
        rig.host.url,
        lambda client: clean(progress or CleanupProgress(), client, services, deadline),
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


def test_a_run_out_of_time_goes_on_where_it_stopped(rig: Rig) -> None:
    """Nothing is left over, and nothing is looked at again before the end of the list."""
    jobs = [new_job_id() for _ in range(5)]
    for job_id in jobs:
        rig.source.behave(job_id, DONE)
        rig.api.ended(rig.api.start(jobId=job_id)["id"])
    future = datetime.now(UTC) + timedelta(days=31)
    ticking = iter(range(1_000))
    services = make_services(rig.connection, lambda: future + timedelta(minutes=next(ticking)))
    progress, runs = CleanupProgress(more=True), 0
    while progress.more:
        before = progress
        progress = run(rig, services, timedelta(minutes=4), before)
        assert progress.monitors or not progress.more
        assert progress.purged_through is None or not progress.more
        runs += 1
    assert runs > 2
    for job_id in jobs:
        assert rig.api.call("GET", f"/api/monitors/demo.{job_id}").status_code == 404
        assert rig.api.call("GET", f"{HUB}demo.{job_id}").status_code == 404
    assert progress.after is None


def test_other_instances_of_the_hub_go_too(rig: Rig) -> None:
    """Such as somebody with the key of the hub may start, and such as a restart makes."""
    instance = f"stray-{new_job_id()}"
    start = f"{HUB.replace('instances', 'orchestrators')}JobMonitoring/{instance}"
    job_id = new_job_id()
    rig.source.behave(job_id, RUNNING)
    watch = rig.api.start(jobId=job_id)["monitor"]
    crafted = {**watch, "monitorId": "demo.of-nobody", "nextPollAt": watch["startedAt"]}
    assert rig.api.call("POST", start, json=crafted).status_code == 202
    eventually(
        lambda: rig.api.call("GET", HUB + instance).json().get("runtimeStatus"), "Completed".__eq__
    )
    services = make_services(rig.connection, lambda: datetime.now(UTC) + timedelta(days=31))
    done = run(rig, services, timedelta(minutes=1))
    assert rig.api.call("GET", HUB + instance).status_code == 404
    assert done.strays_at
    assert rig.api.get(f"demo.{job_id}")["runtimeStatus"] == "Running"


def test_one_monitor_that_can_not_be_removed_keeps_no_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [new_job_id() for _ in range(3)]
    for job_id in jobs:
        rig.source.behave(job_id, DONE)
        rig.api.ended(rig.api.start(jobId=job_id)["id"])
    stuck, purge = f"demo.{jobs[1]}", hub.purge

    async def refuse_one(client: Any, instance_id: str) -> int:
        if instance_id == stuck:
            raise StoreUnavailable("the task hub did not answer: Exception")
        return await purge(client, instance_id)

    monkeypatch.setattr(hub, "purge", refuse_one)
    services = make_services(rig.connection, lambda: datetime.now(UTC) + timedelta(days=31))
    done = run(rig, services, timedelta(minutes=1))
    assert (done.failed, done.more) == (1, False)
    assert done.last_error == f"{stuck}: the task hub did not answer: Exception"
    assert rig.api.get(stuck)["monitor"]["state"] == "Succeeded"
    assert rig.api.call("GET", f"/api/monitors/demo.{jobs[2]}").status_code == 404
    monkeypatch.undo()
    done = run(rig, services, timedelta(minutes=1))
    assert (done.failed, done.monitors, done.last_error) == (0, 1, None)


def test_a_hub_that_takes_long_to_purge_the_rest_is_asked_again_tomorrow(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, ended_and_live: tuple[str, str]
) -> None:
    """Its storage has no index by time, so that a scan may take longer than a run."""

    async def hang(*_: object) -> int:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(hub, "purge_ended", hang)
    later = timedelta(days=31)
    services = make_services(rig.connection, lambda: datetime.now(UTC) + later)
    done = run(rig, services, timedelta(seconds=3))
    assert (done.monitors >= 1, done.more, done.purged_through) == (True, False, None)
    monkeypatch.setattr(hub, "purge_ended", None)  # to ask would raise
    done = run(rig, services, timedelta(minutes=1), done)
    assert done.purged_through is None
    monkeypatch.undo()
    later = timedelta(days=32)
    assert run(rig, services, timedelta(minutes=1), done).purged_through


@pytest.mark.long
def test_a_slow_store_is_asked_for_many_at_once_and_a_run_ends_in_time(rig: Rig) -> None:
    jobs = [new_job_id() for _ in range(40)]
    for job_id in jobs:
        rig.source.behave(job_id, DONE)
    for each in [rig.api.start(jobId=job_id) for job_id in jobs]:
        rig.api.ended(each["id"])
    with SlowStore(rig.connection, seconds=0.5) as slow:
        later = timedelta(days=31)
        services = make_services(slow.connection, lambda: datetime.now(UTC) + later)
        progress = run(rig, services, timedelta(seconds=1))
        assert progress.more  # it had time for the list, and for few of the monitors
        counted = [(progress.monitors, progress.instances)]
        while progress.more:
            progress = run(rig, services, timedelta(seconds=1), progress)
            counted.append((progress.monitors, progress.instances))
        assert sum(monitors for monitors, _ in counted) >= len(jobs)
        assert sum(instances for _, instances in counted) >= len(jobs)
        assert 8 <= slow.most_at_once <= 16
    for job_id in jobs:
        assert rig.api.call("GET", f"/api/monitors/demo.{job_id}").status_code == 404
