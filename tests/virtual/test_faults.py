"""The app cut off at each operation of each of its functions, and brought out of its time.

Every test asks the same afterwards, of what a caller was promised and of what a caller tries
again: one final row with the right state (I2), one `ended` line for each run that ended (I3), one
right entry in the list, none among the live ones, the instance ended (I1), the job left alone (I5).
"""

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from devhost.engine import Point
from domain.monitors.monitor import MonitorRow, State
from tests.api import Body, new_job_id
from tests.changes import restart
from tests.virtual.conftest import Lab
from tests.virtual.cuts import CLIENT, HUB, How, asked, cuts

# The SDK warns of every event that comes while nothing awaits it, as hints may.
pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")

RUNNING: Body = {"status": "processing"}
DONE: Body = {"status": "completed"}
HOUR = 3_600


@pytest.fixture(autouse=True)
def own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without the monitors of other tests, which the watchdog would look after as well."""
    monkeypatch.setattr("adapters.monitor_table.TABLE", f"Monitors{uuid.uuid4().hex}")


def entries(lab: Lab, partition: str, monitor_id: str) -> list[str]:
    """Keys of what helps to find a monitor."""
    found = lab.table._table.query("PartitionKey eq @p", {"p": partition})
    return [e["RowKey"] for e in found if e.get("monitorId", e["RowKey"]) == monitor_id]


def listed(lab: Lab, job_id: str) -> list[MonitorRow]:
    return lab.table.page(10, jobId=job_id)[0]


def is_watched(lab: Lab, job_id: str) -> None:
    """A live monitor is where it should be."""
    lab.host.advance(seconds=1)  # a poll that is under way comes to its end
    row = lab.table.get(f"demo.{job_id}")
    assert row is not None
    assert lab.host.status(row.id)["runtimeStatus"] == "Running"
    assert listed(lab, job_id) == [row]
    assert len(entries(lab, "~live", row.id)) == 1


def ended_well(lab: Lab, job_id: str, state: str = "Succeeded", run: int = 1) -> None:
    """I1, I2, I3, I5: a monitor that ended is as if nothing had happened."""
    monitor_id = f"demo.{job_id}"
    instance = lab.host.wait_for(monitor_id, minutes=1)
    assert instance["runtimeStatus"] == ("Terminated" if state == "Terminated" else "Completed")
    stored = lab.table.read(monitor_id)
    assert stored is not None
    assert (stored.row.state, stored.row.run) == (state, run)
    ends = Counter(line.run for line in stored.log if line.event == "ended")
    assert ends[run] == 1
    assert set(ends.values()) == {1}
    assert listed(lab, job_id) == [stored.row]
    counts = {p: len(entries(lab, p, monitor_id)) for p in ("~live", "~list")}
    assert counts == {"~live": 0, "~list": 1}
    assert not [r for r in lab.source.requests if r.method != "GET" and job_id in r.target]


def watched(lab: Lab, job_id: str, **settings: Any) -> str:
    """Begin to watch a job that runs; the monitor's id."""
    lab.source.behave(job_id, RUNNING)
    started = lab.api.start(jobId=job_id, **({"pollIntervalSeconds": HOUR} | settings))
    lab.host.advance(seconds=10)
    return str(started["id"])


def finish(lab: Lab, job_id: str) -> None:
    """Let the job end, and have it looked at."""
    lab.source.behave(job_id, DONE)
    assert lab.api.call("POST", f"/api/monitors/demo.{job_id}/notify").status_code == 202
    lab.host.run_until(lab.ended(job_id), minutes=1)


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("again", [True, False], ids=["asked again", "left alone"])
def test_a_start_that_is_cut_off_anywhere(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How, again: bool
) -> None:
    """I1, I2: asking again is all it takes; what was claimed is watched even without."""
    for cut in cuts(lab, monkeypatch, how, 6):
        job_id = new_job_id()
        lab.source.behave(job_id, RUNNING)
        start = {"jobId": job_id, "pollIntervalSeconds": HOUR}
        with cut:
            answer = asked(lab.api.post, start)
        promised = answer is not None and answer.status_code == 202
        assert promised or cut.reached
        if again:
            assert lab.api.post(start).status_code in (200, 202), cut
        lab.host.advance(minutes=11)
        if again or promised or lab.table.get(f"demo.{job_id}"):
            is_watched(lab, job_id)
            finish(lab, job_id)
            ended_well(lab, job_id)
        else:
            assert not entries(lab, "~live", f"demo.{job_id}"), cut


@pytest.mark.parametrize("how", How)
def test_a_start_that_has_the_job_started_and_is_cut_off_anywhere(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I1, I2: an answer after the job was started holds its id; what was claimed is watched."""
    for cut in cuts(lab, monkeypatch, how, 7):
        job_id = new_job_id()
        lab.source.behave(job_id, RUNNING)
        lab.source.behave("submit", {"id": job_id})
        before = len(lab.source.requests)
        with cut:
            start = {"job": {"a": 1}, "pollIntervalSeconds": HOUR}
            answer = asked(lab.api.post, start)
        submitted = len(lab.source.requests) > before
        assert submitted is (cut.made != ["table: ping"])
        if answer is not None and submitted:
            body = answer.json()
            assert answer.status_code in (202, 503)
            assert job_id in (body.get("jobId"), body.get("monitor", {}).get("jobId"))
        lab.host.advance(minutes=11)
        claimed = lab.table.get(f"demo.{job_id}") is not None
        assert claimed or cut.reached
        if submitted and not claimed:  # nobody was promised a watch; by its id it can be had
            assert lab.api.post({"jobId": job_id}).status_code == 202
        if submitted:
            is_watched(lab, job_id)
            finish(lab, job_id)
            ended_well(lab, job_id)


def test_whatever_fails_after_the_job_was_started_the_answer_holds_its_id(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I2: also if it is a fault of the app's own; and the watchdog picks the job up."""

    async def broken(*_: object) -> bool:
        raise RuntimeError("a fault")

    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    lab.source.behave("submit", {"id": job_id})
    with monkeypatch.context() as during:
        during.setattr("adapters.hub.ensure_watched", broken)
        answer = lab.api.post({"job": {"a": 1}})
    assert (answer.status_code, answer.json()["jobId"]) == (503, job_id)
    lab.host.advance(minutes=6)
    is_watched(lab, job_id)


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("again", [True, False], ids=["asked again", "left alone"])
def test_a_next_run_that_is_cut_off_anywhere(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How, again: bool
) -> None:
    """I2, I3: the earlier outcome stays in the log, and the earlier run leaves nothing else."""
    for cut in cuts(lab, monkeypatch, how, 8):
        job_id = new_job_id()
        watched(lab, job_id, timeoutSeconds=60)
        lab.host.run_until(lab.ended(job_id), minutes=2)
        ended_well(lab, job_id, "Expired")
        lab.host.advance(seconds=1)
        start = {"jobId": job_id, "pollIntervalSeconds": HOUR}
        with cut:
            asked(lab.api.post, start)
        if again:
            assert lab.api.post(start).status_code in (200, 202)
        lab.host.advance(minutes=11)
        row = lab.table.get(f"demo.{job_id}")
        assert row is not None
        if again or row.run == 2:
            is_watched(lab, job_id)
            finish(lab, job_id)
            ended_well(lab, job_id, run=2)
        else:
            ended_well(lab, job_id, "Expired")
        stored = lab.table.read(row.id)
        assert stored is not None
        first = [line for line in stored.log if line.run == 1]
        assert [line.event for line in first] == ["started", "status", "ended"]


@pytest.mark.parametrize("how", How)
def test_a_poll_and_an_end_that_are_cut_off_anywhere(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I2, I3: the activities run again, and what they did before counts once."""
    for cut in cuts(lab, monkeypatch, how, 10, activities=True):
        job_id = new_job_id()
        lab.source.behave(job_id, RUNNING, {"status": "queued"}, DONE)
        with cut:
            lab.api.start(jobId=job_id, pollIntervalSeconds=60)
            lab.host.advance(minutes=3)
        lab.host.run_until(lab.ended(job_id), minutes=30)
        ended_well(lab, job_id)
        stored = lab.table.read(f"demo.{job_id}")
        assert stored is not None
        assert stored.row.polls in (2, 3)  # the job moves on when a poll is made twice
        changes = [line.to for line in stored.log if line.event == "status"]
        assert changes[-1] == "completed"
        assert len(set(changes)) == len(changes)


def _nothing(_lab: Lab, _job_id: str) -> None:
    """The watch runs as it should."""


def _terminated(lab: Lab, job_id: str) -> None:
    lab.host.terminate(f"demo.{job_id}", "no longer needed")


def _never_started(lab: Lab, job_id: str) -> None:
    lab.host.terminate(f"demo.{job_id}")
    lab.host.wait_for(f"demo.{job_id}", "Terminated", minutes=1)
    url = f"/runtime/webhooks/durabletask/instances/demo.{job_id}"
    assert lab.api.call("DELETE", url).status_code == 200


def _stuck_after_a_restart(lab: Lab, job_id: str) -> None:
    """Whoever restarted it died after the first step."""
    lab.host.suspend(f"demo.{job_id}")
    lab.host.wait_for(f"demo.{job_id}", "Suspended", minutes=1)
    row = lab.table.get(f"demo.{job_id}")
    assert row is not None
    assert restart(lab.table, row, lab.host.now)


def _half_ended(lab: Lab, job_id: str) -> None:
    finish(lab, job_id)
    lab.host.wait_for(f"demo.{job_id}", minutes=1)
    row = lab.table.get(f"demo.{job_id}")
    assert row is not None
    lab.table.sync_indexes(row.model_copy(update={"ended_at": None, "state": State.MONITORING}))


TROUBLE: dict[Callable[[Lab, str], None], tuple[str, int]] = {
    _nothing: ("Succeeded", 1),
    _terminated: ("Terminated", 1),
    _never_started: ("Succeeded", 1),
    _stuck_after_a_restart: ("Succeeded", 2),
    _half_ended: ("Succeeded", 1),
}
"""What the watchdog finds, with the state and the run in which the monitor ends."""


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_watchdog_that_is_cut_off_anywhere(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How, trouble: Callable[[Lab, str], None]
) -> None:
    """I1, I2, I3: its next run completes what this one began."""
    for cut in cuts(lab, monkeypatch, how, 4):
        job_id = new_job_id()
        watched(lab, job_id)
        lab.host.advance(minutes=1)
        trouble(lab, job_id)
        with cut:
            lab.host.advance(minutes=5)
        lab.host.advance(minutes=11)
        row = lab.table.get(f"demo.{job_id}")
        assert row is not None
        if not row.state.final:
            is_watched(lab, job_id)
            finish(lab, job_id)
        ended_well(lab, job_id, *TROUBLE[trouble])


@pytest.mark.parametrize("how", How)
def test_a_restart_that_is_cut_off_anywhere(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I1, I2: the watchdog frees the stuck monitor, if the row went on as the next run."""
    for cut in cuts(lab, monkeypatch, how, 11):
        job_id = new_job_id()
        monitor_id = watched(lab, job_id)
        lab.host.advance(minutes=2)
        lab.host.suspend(monitor_id)
        lab.host.wait_for(monitor_id, "Suspended", minutes=1)
        with cut:
            asked(lab.api.call, "POST", f"/api/monitors/{monitor_id}/restart")
        lab.host.advance(minutes=11)
        row = lab.table.get(monitor_id)
        assert row is not None
        if row.run == 1:
            assert cut.reached
            lab.host.resume(monitor_id)
            lab.host.wait_for(monitor_id, "Running", minutes=1)
        is_watched(lab, job_id)
        finish(lab, job_id)
        ended_well(lab, job_id, run=row.run)


@pytest.fixture
def a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short retention; of a long one, many days are purged one by one."""
    monkeypatch.setenv("RETENTION_DAYS", "1")


@pytest.mark.parametrize("how", How)
def test_a_cleanup_that_is_cut_off_anywhere(
    a_day: None, lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I8: what lives stays; what is past its retention is gone with all that led to it."""
    living = new_job_id()
    watched(lab, living, timeoutSeconds=366 * 86_400, pollIntervalSeconds=86_400)
    for cut in cuts(lab, monkeypatch, how, 6):
        job_id = new_job_id()
        lab.source.behave(job_id, DONE)
        lab.api.start(jobId=job_id)
        lab.host.run_until(lab.ended(job_id), minutes=1)
        ended_well(lab, job_id)
        lab.host.suspend("periodic-cleanup")
        lab.host.wait_for("periodic-cleanup", "Suspended", minutes=1)
        lab.host.set_clock(hours=25)
        lab.host.advance(minutes=1)  # the watchdog, which is late as well, does its work
        with cut:
            lab.host.resume("periodic-cleanup")
            lab.host.advance(seconds=1)
        lab.host.advance(minutes=130)
        is_watched(lab, living)
        monitor_id = f"demo.{job_id}"
        assert not list(lab.table._table.query("PartitionKey eq @id", {"id": monitor_id}))
        assert not [p for p in ("~live", "~list") if entries(lab, p, monitor_id)]
        with pytest.raises(KeyError):
            lab.host.status(monitor_id)


def test_activities_that_all_run_twice(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """I2, I3, I8: as a host does that lost the first result."""
    activities: Any = lab.host._app.activities
    for name, run in list(activities.items()):
        monkeypatch.setitem(activities, name, lambda text, run=run: [run(text), run(text)][1])
    job_id, expiring = new_job_id(), new_job_id()
    lab.source.behave("cancel", {"status": "cancelled"})
    monitor_id = watched(lab, job_id, pollIntervalSeconds=60)
    watched(lab, expiring, timeoutSeconds=90, onExpiry="cancel")
    lab.host.advance(hours=2)
    is_watched(lab, job_id)
    finish(lab, job_id)
    ended_well(lab, job_id)
    stored = lab.table.read(monitor_id)
    assert stored is not None
    assert [line.event for line in stored.log] == ["started", "status", "status", "ended"]
    row = lab.table.get(f"demo.{expiring}")
    assert row is not None
    assert (row.state, row.cancel_result) == (State.EXPIRED, "accepted")


@pytest.mark.parametrize("ended", [True, False])
def test_activities_of_an_earlier_run_that_come_late_change_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    """I3: neither while the next run is live, nor when it ended."""
    activities: Any = lab.host._app.activities
    calls: list[tuple[Callable[[str], str], str]] = []

    def recorded(run: Callable[[str], str]) -> Callable[[str], str]:
        def record(text: str) -> str:
            calls.append((run, text))
            return run(text)

        return record

    for name in ("getjobstatus", "recordfinalstatus"):
        monkeypatch.setitem(activities, name, recorded(activities[name]))
    job_id = new_job_id()
    monitor_id = watched(lab, job_id, timeoutSeconds=90, pollIntervalSeconds=60)
    lab.host.run_until(lab.ended(job_id), minutes=2)
    earlier = list(calls)
    assert len(earlier) == 4
    lab.host.advance(seconds=1)
    watched(lab, job_id)
    if ended:
        finish(lab, job_id)
        ended_well(lab, job_id, run=2)
    before = lab.table.read(monitor_id)
    for run, text in earlier:
        run(text)
    assert lab.table.read(monitor_id) == before
    if ended:
        ended_well(lab, job_id, run=2)
    else:
        is_watched(lab, job_id)


def test_the_clock_set_back_an_hour(lab: Lab) -> None:
    """I2, I6: what was planned comes up to an hour late, and nothing ends for it."""
    job_id, begun_after, expiring = new_job_id(), new_job_id(), new_job_id()
    watched(lab, job_id, pollIntervalSeconds=60)
    watched(lab, expiring, pollIntervalSeconds=60, timeoutSeconds=600)
    lab.host.advance(minutes=5)
    lab.host.set_clock(hours=-1)
    watched(lab, begun_after, pollIntervalSeconds=60)
    lab.host.advance(minutes=5)
    for each in (job_id, begun_after, expiring):
        is_watched(lab, each)
        lab.source.behave(each, DONE if each != expiring else RUNNING)
    lab.host.run_until(lab.ended(begun_after), minutes=2)
    lab.host.run_until(lab.ended(job_id), minutes=57)
    lab.host.run_until(lab.ended(expiring), minutes=7)
    for each in (job_id, begun_after):
        ended_well(lab, each)
    ended_well(lab, expiring, "Expired")
    row = lab.table.get(f"demo.{expiring}")
    assert row is not None
    assert row.ended_at == row.expire_time


def test_a_hint_after_the_clock_was_set_back_is_not_lost(lab: Lab) -> None:
    """I7: the poll comes when the clock has caught up, at the latest."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id, pollIntervalSeconds=86_400)
    lab.host.set_clock(hours=-1)
    lab.source.behave(job_id, DONE)
    lab.host.raise_event(monitor_id, "Hint")
    lab.host.run_until(lab.ended(job_id), hours=1, seconds=2)
    ended_well(lab, job_id)


@pytest.mark.parametrize(("seen", "state"), [(DONE, "Succeeded"), (RUNNING, "Expired")])
def test_timers_that_come_hours_late(lab: Lab, seen: Body, state: str) -> None:
    """I2: an end seen after the deadline beats the expiry; nobody is called silent for long."""
    job_id, lasting = new_job_id(), new_job_id()
    watched(lab, job_id, pollIntervalSeconds=60, timeoutSeconds=600)
    watched(lab, lasting, pollIntervalSeconds=60)
    lab.source.behave(job_id, seen)
    lab.host.set_clock(hours=5)
    lab.host.run_until(lab.ended(job_id), seconds=1)
    ended_well(lab, job_id, state)
    lab.host.advance(minutes=2)
    row = lab.table.get(f"demo.{lasting}")
    assert row is not None
    assert not row.stale
    is_watched(lab, lasting)


def test_an_end_put_right_late_takes_no_other_run_out_of_sight(lab: Lab) -> None:
    """I2: whoever stores the end of a run may be overtaken by the start of the next."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id, timeoutSeconds=60)
    lab.host.run_until(lab.ended(job_id), minutes=2)
    first = lab.table.get(monitor_id)
    assert first is not None
    lab.host.advance(seconds=1)
    watched(lab, job_id)
    lab.table.sync_indexes(first)
    is_watched(lab, job_id)
    finish(lab, job_id)
    stored = lab.table.get(monitor_id)
    assert stored is not None
    # It leads to the run before until the cleanup comes by.
    found = lab.table.ended_before(lab.host.now + timedelta(hours=1))
    late = [each for each in found if each.monitor_id == monitor_id]
    assert [each.run for each in late] == [2, 1]
    assert lab.table.delete(late[1]) is False
    lab.table.unlist(late[1:])
    ended_well(lab, job_id, run=2)


def test_a_monitor_that_can_not_be_read_keeps_the_watchdog_from_no_other(lab: Lab) -> None:
    """I2: a row as a later release may write it."""
    unreadable, *others = sorted(new_job_id() for _ in range(3))
    for job_id in (unreadable, *others):
        watched(lab, job_id)
    entity = dict(lab.table._table.find(f"demo.{unreadable}", "monitor") or {})
    lab.table._table.upsert(entity | {"state": "Paused"})
    lab.host.restart(lose_state=True)
    lab.host.advance(minutes=6)
    for job_id in others:
        is_watched(lab, job_id)
    lab.table._table.upsert(entity)
    lab.host.advance(minutes=6)
    is_watched(lab, unreadable)


def test_a_task_hub_that_does_not_answer_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """I2: the watch that was claimed meanwhile is begun when the hub is back."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)

    async def away(*_: object, **__: object) -> None:
        raise aiohttp.ClientConnectionError

    with monkeypatch.context() as during:
        for name in HUB:
            during.setattr(CLIENT, name, away)
        answer = lab.api.post({"jobId": job_id, "pollIntervalSeconds": HOUR})
        assert answer.status_code == 503
        assert "task hub" in answer.json()["detail"]
        for path in ("", "/notify", "/stop", "/restart"):
            method = "POST" if path else "GET"
            url = f"/api/monitors/demo.{job_id}{path}"
            assert lab.api.call(method, url).status_code == 503, path
        assert lab.api.call("POST", "/api/cleanup").status_code == 503
    lab.host.advance(minutes=6)
    is_watched(lab, job_id)


@pytest.mark.parametrize("point", Point)
def test_a_host_that_dies_at_any_point_of_the_cleanup_cleans_on(lab: Lab, point: Point) -> None:
    """I8: one loop goes on, an hour from its end."""
    job_id = new_job_id()
    watched(lab, job_id)
    lab.host.crash_at(point, "periodic-cleanup".__eq__)
    lab.host.advance(hours=1)
    assert lab.host.crashed
    lab.host.restart()
    lab.host.advance(hours=2)
    status = lab.host.status("periodic-cleanup")
    assert status["runtimeStatus"] == "Running"
    assert status["customStatus"]["runs"] in (3, 4)
    is_watched(lab, job_id)
