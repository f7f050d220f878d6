"""The watchdog on the virtual clock: whatever dies, every accepted start comes to its end."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import pytest
import requests

from adapters import hub
from adapters.monitor_entities import live_entity
from adapters.services import get_services
from domain import names
from domain.monitors.decide import TIMER_EARLY
from domain.monitors.instance import Instance
from domain.monitors.monitor import MonitorRow, State, Verdict
from domain.monitors.recovery import REMOVED, Recovery
from tests.api import new_job_id
from tests.changes import terminate
from tests.virtual.conftest import Lab
from tests.virtual.test_time import DONE, RUNNING
from triggers.watchdog import watch_over, watch_over_all

pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")


def claim(lab: Lab, job_id: str) -> MonitorRow:
    """A monitor whose caller died before the orchestrator was started."""
    row = MonitorRow(
        id=f"demo.{job_id}",
        source="demo",
        job_id=job_id,
        run=1,
        state=State.MONITORING,
        started_at=lab.host.now,
        expire_time=lab.host.now.replace(year=lab.host.now.year + 1),
        poll_interval_seconds=60,
    )
    assert lab.table.claim(row)
    return row


def events(lab: Lab, monitor_id: str) -> list[str]:
    stored = lab.table.read(monitor_id)
    assert stored is not None
    return [line.event for line in stored.log]


def live(lab: Lab) -> set[str]:
    return {monitor_id for monitor_id, _ in lab.table.live()}


def test_a_claim_that_was_never_started_is_started(lab: Lab) -> None:
    """I2."""
    job_id = new_job_id()
    lab.source.behave(job_id, DONE)
    row = claim(lab, job_id)
    lab.host.run_until(lab.ended(job_id), minutes=11)
    assert lab.state(job_id) == "Succeeded"
    assert events(lab, row.id) == ["started", "resumed", "status", "ended"]
    assert row.id not in live(lab)


def test_a_task_hub_that_is_lost_loses_no_monitor(lab: Lab) -> None:
    """I2: not one that polls, and not one whose end is not stored yet."""
    jobs = [new_job_id() for _ in range(8)]
    for job_id in jobs:
        lab.source.behave(job_id, RUNNING)
        lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(minutes=3)
    lab.host.restart(lose_state=True)
    with pytest.raises(KeyError):
        lab.host.status(f"demo.{jobs[0]}")
    lab.host.advance(minutes=6)
    for job_id in jobs:
        assert lab.host.status(f"demo.{job_id}")["runtimeStatus"] == "Running"
        lab.source.behave(job_id, DONE)
    lab.host.run_until(lab.ended(*jobs))
    assert {lab.state(job_id) for job_id in jobs} == {"Succeeded"}


def test_the_expiry_outlives_the_task_hub(lab: Lab) -> None:
    """I2: a watch that is resumed ends when the first one would have."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    started = lab.api.start(jobId=job_id, timeoutSeconds=3_600, pollIntervalSeconds=60)
    lab.host.advance(minutes=30)
    lab.host.restart(lose_state=True)
    lab.host.advance(minutes=31)
    row = lab.table.get(started["id"])
    assert row is not None
    assert row.state is State.EXPIRED
    expire_time = datetime.fromisoformat(started["monitor"]["expireTime"])
    assert row.ended_at is not None
    assert timedelta(0) <= row.ended_at - expire_time <= TIMER_EARLY


def test_a_terminate_becomes_the_end_of_the_watch(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(seconds=10)
    lab.host.terminate(started["id"], "no longer needed")
    lab.host.run_until(lab.ended(job_id), minutes=6)
    row = lab.table.get(started["id"])
    assert row is not None
    assert (row.state, row.reason) == (State.TERMINATED, "no longer needed")
    lab.host.advance(minutes=10)
    assert lab.state(job_id) == "Terminated"


def test_an_instance_that_failed_is_started_again(lab: Lab) -> None:
    """I2: as after a fault in the orchestrator that an update has mended."""
    job_id = new_job_id()
    lab.source.behave(job_id, DONE)
    row = claim(lab, job_id)
    lab.host.start("JobMonitoring", row.id, {"run": 1, "nonsense": True})
    lab.host.wait_for(row.id, "Failed")
    lab.host.run_until(lab.ended(job_id), minutes=11)
    assert lab.state(job_id) == "Succeeded"


def test_a_silent_watch_is_flagged_and_the_flag_goes_with_the_next_poll(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(seconds=10)

    def stale() -> bool:
        row = lab.table.get(started["id"])
        assert row is not None
        return row.stale

    lab.host.suspend(started["id"])
    lab.host.advance(minutes=4)
    assert not stale()
    lab.host.run_until(stale, minutes=10)
    lab.host.resume(started["id"])
    lab.host.advance(minutes=2)
    assert not stale()


def test_the_back_off_is_not_taken_for_silence(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, "500")
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=1)
    for _ in range(30):
        lab.host.advance(minutes=5)
        row = lab.table.get(started["id"])
        assert row is not None
        assert row.blind
        assert not row.stale


def test_what_is_left_of_a_start_or_an_end_that_was_cut_off_is_tidied(lab: Lab) -> None:
    job_id, never = new_job_id(), new_job_id()
    lab.source.behave(job_id, DONE)
    started = lab.api.start(jobId=job_id)
    lab.host.run_until(lab.ended(job_id))
    ended = lab.table.get(started["id"])
    assert ended is not None
    as_new = ended.model_copy(update={"ended_at": None, "state": State.MONITORING})
    lab.table.sync_indexes(as_new)  # as if the end had been cut off after the row
    never_claimed = as_new.model_copy(update={"id": f"demo.{never}"})
    lab.table._table.upsert(live_entity(never_claimed))
    assert {ended.id, never_claimed.id} <= live(lab)
    lab.host.advance(minutes=21)
    assert not {ended.id, never_claimed.id} & live(lab)
    assert lab.state(never) == "nothing"


def test_two_watchdogs_at_once_do_no_harm(lab: Lab) -> None:
    """I1, I2: as on two machines, or with a run that takes longer than five minutes."""
    jobs = [new_job_id() for _ in range(12)]
    for job_id in jobs:
        lab.source.behave(job_id, DONE)
        claim(lab, job_id)
    lab.host.advance(minutes=4)

    async def both() -> None:
        binding = lab.host._app.client_binding
        clients = [df.DurableOrchestrationClient(binding) for _ in range(2)]
        await asyncio.gather(*(watch_over_all(client, get_services(), None) for client in clients))

    assert json.loads(lab.host._app.client_binding)
    lab.host._run(both())
    lab.host.run_until(lab.ended(*jobs), minutes=2)
    for job_id in jobs:
        assert events(lab, f"demo.{job_id}").count("ended") == 1
        polls = [r for r in lab.source.requests if r.target == f"/jobs/{job_id}"]
        assert len(polls) == 1


def polls(lab: Lab, job_id: str) -> int:
    return sum(request.target == f"/jobs/{job_id}" for request in lab.source.requests)


def test_a_caller_that_read_the_row_before_the_end_starts_no_second_watch(lab: Lab) -> None:
    """I1: as one of many that start the same job, while that ends."""
    job_id = new_job_id()
    lab.source.behave(job_id, DONE)
    before = claim(lab, job_id)
    client = df.DurableOrchestrationClient(lab.host._app.client_binding)
    assert lab.host._run(hub.ensure_watched(client, before, get_services()))
    lab.host.run_until(lab.ended(job_id))
    lab.host.wait_for(before.id, "Completed")
    assert not lab.host._run(hub.ensure_watched(client, before, get_services()))
    lab.host.advance(minutes=1)
    assert polls(lab, job_id) == 1


def test_a_watch_that_ends_while_the_watchdog_looks_is_not_resumed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I1."""
    row = claim(lab, new_job_id())
    verdict = Verdict(state=State.SUCCEEDED, reason="It ended.", ended_at=lab.host.now)

    async def ends_now(*_: object) -> Instance:
        terminate(lab.table, row.ended(verdict))
        return Instance("Completed", row.run, None)

    monkeypatch.setattr("adapters.hub.find", ends_now)
    services = replace(get_services(), now=lambda: row.started_at + timedelta(hours=1))
    client = df.DurableOrchestrationClient(lab.host._app.client_binding)
    (said_live,) = [each for each in lab.table.live() if each[0] == row.id]
    assert lab.host._run(watch_over(client, services, None, *said_live)) is Recovery.SYNC_INDEXES
    assert events(lab, row.id) == ["started", "ended"]


def test_a_task_hub_that_comes_back_does_not_touch_what_has_ended(lab: Lab) -> None:
    """I5, I3: its instance learns from the store that the run is over, and leaves."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    started = lab.api.start(
        jobId=job_id, pollIntervalSeconds=60, timeoutSeconds=3_600, onExpiry="cancel"
    )
    lab.host.advance(seconds=10)
    row = lab.table.get(started["id"])
    assert row is not None
    verdict = Verdict(state=State.TERMINATED, reason="elsewhere", ended_at=lab.host.now)
    terminate(lab.table, row.ended(verdict))
    lab.host.wait_for(started["id"], "Completed", minutes=2)
    lab.host.advance(hours=2)
    assert lab.state(job_id) == "Terminated"
    assert not [r for r in lab.source.requests if r.method == "POST"]


def test_a_watch_that_a_late_caller_removed_for_a_new_run_goes_on(lab: Lab) -> None:
    """I2: of two callers that free a monitor at once, one may hit the instance of the new run."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(minutes=2)
    lab.host.terminate(f"demo.{job_id}", REMOVED)
    lab.host.wait_for(f"demo.{job_id}", "Terminated", minutes=1)
    assert lab.api.get(f"demo.{job_id}")["monitor"]["state"] == "Monitoring"
    lab.host.advance(minutes=6)
    assert lab.host.status(f"demo.{job_id}")["runtimeStatus"] == "Running"
    lab.source.behave(job_id, DONE)
    lab.host.run_until(lab.ended(job_id), minutes=2)
    assert lab.state(job_id) == "Succeeded"


def test_a_stuck_monitor_is_freed_by_a_restart(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(seconds=10)
    lab.host.suspend(started["id"])
    lab.host.advance(minutes=20)
    lab.source.behave(job_id, DONE)
    url = f"{lab.host.url}/api/monitors/{started['id']}/restart"
    answer = requests.post(url, timeout=30)
    assert answer.status_code == 202, answer.text
    monitor = answer.json()["monitor"]
    assert monitor["run"] == 2
    assert monitor["expireTime"] == started["monitor"]["expireTime"]
    lab.host.run_until(lab.ended(job_id), seconds=5)
    assert lab.state(job_id) == "Succeeded"
    assert requests.post(url, timeout=30).status_code == 409


def test_a_start_that_lost_the_race_to_an_earlier_run_tries_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I2: an answer of success without an instance was left to the watchdog."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(seconds=1)
    row = lab.row(started["id"])
    expired = row.ended(Verdict(state=State.EXPIRED, reason="x", ended_at=lab.host.now))
    terminate(lab.table, expired)  # its instance goes on for a while
    find, looks = hub.find, []

    async def late(client: Any, instance_id: str) -> Instance | None:
        looks.append(instance_id)
        if len(looks) == 1:
            return None  # as if it were gone, so that the start is refused
        if len(looks) == 5:
            lab.host.terminate(instance_id)
        return await find(client, instance_id)

    monkeypatch.setattr(hub, "find", late)
    answer = lab.api.post({"jobId": job_id, "pollIntervalSeconds": 60})
    assert answer.status_code == 202
    assert len(looks) >= 5
    instance = lab.host._run(
        find(df.DurableOrchestrationClient(lab.host._app.client_binding), row.id)
    )
    assert (instance.run, instance.ended) == (2, False)


def test_a_start_that_waits_in_vain_for_an_earlier_run_says_so(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is claimed all the same, and the watchdog frees it."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(seconds=1)
    row = lab.row(started["id"])
    expired = row.ended(Verdict(state=State.EXPIRED, reason="x", ended_at=lab.host.now))
    terminate(lab.table, expired)
    hasty = replace(get_services().settings, hub_patience=timedelta(0))
    services = replace(get_services(), settings=hasty)
    monkeypatch.setattr("triggers.start_monitor.get_services", lambda: services)
    answer = lab.api.post({"jobId": job_id, "pollIntervalSeconds": 60})
    assert answer.status_code == 503
    assert "has not ended the earlier run" in answer.json()["detail"]
    assert (lab.row(row.id).run, lab.row(row.id).state) == (2, "Monitoring")
    lab.host.advance(minutes=11)
    assert lab.row(row.id).polls
    assert json.loads(lab.host.status(row.id)["input"])["run"] == 2


def test_a_look_that_another_one_overtakes_takes_no_hub_for_another(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I2: or a watch that somebody purged would go on, and a sweep begin anew."""
    services = get_services()
    looks = iter([1, 2, 3, 3])
    since: list[datetime | None] = []

    async def status(client: Any, _: str) -> Any:
        runs = next(looks)
        found = SimpleNamespace(name=names.PERIODIC_CLEANUP, input_={"hub": "a", "runs": runs})
        if runs == 2:  # while this caller waits for its answer, others look, and are done
            since.append(await hub.hub_since(client, services))
            lab.host.set_clock(minutes=1)
        return found

    monkeypatch.setattr("adapters.hub._status", status)
    nobody: Any = None
    since += [asyncio.run(hub.hub_since(nobody, services)) for _ in range(3)]
    assert len(since) == 4
    assert set(since) == {lab.host.now - timedelta(minutes=1)}


@pytest.mark.parametrize(
    "input_",
    [{"runs": "many"}, {"purgedThrough": "x"}, {"runs": 2**70}, {"after": "x" * 99}, ["x"], "x", 7],
)
def test_a_cleanup_that_somebody_crafted_breaks_nothing(lab: Lab, input_: object) -> None:
    """It fails, and the watchdog starts another; no request is the worse for it."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    started = lab.api.start(jobId=job_id)
    lab.host.advance(seconds=1)
    lab.host.terminate(names.CLEANUP_INSTANCE)
    lab.host.wait_for(names.CLEANUP_INSTANCE, "Terminated")
    lab.host.start(names.PERIODIC_CLEANUP, names.CLEANUP_INSTANCE, input_)
    lab.host.wait_for(names.CLEANUP_INSTANCE, "Failed")
    lab.host.terminate(started["id"])
    assert lab.api.get(started["id"])["monitor"]["state"] == "Terminated"
    lab.host.advance(minutes=6)
    assert lab.host.status(names.CLEANUP_INSTANCE)["runtimeStatus"] == "Running"
