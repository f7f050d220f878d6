"""Notices on their way: from each change that makes one to a real receiver, which may be down."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from adapters import hub
from adapters.outbox import Addressed
from adapters.services import Services, get_services
from domain.errors import StoreUnavailable
from domain.names import delivery_instance
from domain.notices.notice import Event, Notice
from tests.api import Body, new_job_id
from tests.faulty_source import FaultySource, Reply
from tests.virtual.conftest import Lab
from tests.virtual.test_who import told

pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")

RUNNING: Body = {"status": "processing"}
DONE: Body = {"status": "completed"}


def arrived(receiver: FaultySource, channel: str = "ops") -> list[tuple[Any, ...]]:
    """The event, run and state of each message that came in, in order; of digests the count."""
    found = []
    for each in receiver.requests:
        if each.target == f"/{channel}":
            data = json.loads(each.body)["data"]
            found.append((data["event"], data.get("run"), data.get("state") or data.get("count")))
    return found


def waiting(lab: Lab, channel: str = "ops") -> int:
    return len(lab.table.outbox.waiting(channel))


def watched(lab: Lab, **settings: Any) -> str:
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    lab.api.start(jobId=job_id, **{"pollIntervalSeconds": 60} | settings)
    lab.host.advance(seconds=5)
    return job_id


def end(lab: Lab, job_id: str) -> None:
    """Have a job end, and its watch with it."""
    lab.source.behave(job_id, DONE)
    lab.host.run_until(lab.ended(job_id), minutes=2)


def silent(lab: Lab) -> list[str]:
    found: list[str] = lab.api.call("GET", "/api/health/details").json()["silentDeliveries"]
    return found


def file_silence(lab: Lab, count: int, channel: str = "ops") -> None:
    """Write the notices of so many watches that are silent, under ids of 300 signs."""
    now = lab.host.clock.now()
    outbox = lab.table.outbox
    for number in range(count):
        owner = f"demo.{channel}-{'job-' * 73}{number:03}"
        facts: Body = {"monitorId": owner, "run": 1, "source": "demo"}
        notice = Notice(event=Event.STALE, at=now, **facts).numbered(1)
        filed = [Addressed(notice, 1, 1, [channel])]
        outbox.announce(owner, filed)
        assert lab.table._table.commit([*outbox.operations(owner, filed)])


def test_an_end_is_told_within_seconds_and_noted(notices: Lab, receiver: FaultySource) -> None:
    job_id = watched(notices)
    end(notices, job_id)
    notices.host.advance(seconds=3)
    assert arrived(receiver) == [("ended", 1, "Succeeded")]
    assert arrived(receiver, "failures") == []
    event = json.loads(receiver.requests[0].body)
    assert event["id"] == f"demo.{job_id}/1/1/20300101T000000Z"
    stored = notices.table.read(f"demo.{job_id}")
    assert stored is not None
    line = stored.log[-1]
    assert (line.event, line.from_, line.to, line.reason) == (
        "delivered",
        "ended",
        "ops",
        "HTTP 204",
    )
    assert waiting(notices) == 0
    notices.host.advance(hours=3)
    assert len(receiver.requests) == 1


def _stopped(lab: Lab, job_id: str) -> None:
    assert lab.api.call("POST", f"/api/monitors/demo.{job_id}/stop").ok


def _terminated(lab: Lab, job_id: str) -> None:
    lab.host.terminate(f"demo.{job_id}", "enough")


def _terminated_and_seen(lab: Lab, job_id: str) -> None:
    lab.host.terminate(f"demo.{job_id}", "enough")
    lab.host.wait_for(f"demo.{job_id}", "Terminated", minutes=1)
    assert lab.api.get(f"demo.{job_id}")["monitor"]["state"] == "Terminated"


def _terminated_and_started_over(lab: Lab, job_id: str) -> None:
    lab.host.terminate(f"demo.{job_id}", "enough")
    lab.host.wait_for(f"demo.{job_id}", "Terminated", minutes=1)
    lab.host.advance(seconds=1)
    assert lab.api.start(jobId=job_id)


@pytest.mark.parametrize(
    ("act", "state"),
    [
        (_stopped, "Stopped"),
        (_terminated, "Terminated"),
        (_terminated_and_seen, "Terminated"),
        (_terminated_and_started_over, "Terminated"),
    ],
)
def test_each_way_to_an_end_is_told(
    notices: Lab, receiver: FaultySource, act: Callable[[Lab, str], None], state: str
) -> None:
    job_id = watched(notices)
    act(notices, job_id)
    notices.host.run_until(lambda: bool(arrived(receiver)), minutes=12)
    assert arrived(receiver) == [("ended", 1, state)]


def test_a_job_that_can_not_be_seen_is_told_and_that_it_is_seen_again(
    notices: Lab, receiver: FaultySource
) -> None:
    job_id = watched(notices)
    notices.source.behave(job_id, "401")
    notices.host.advance(minutes=30)
    notices.source.behave(job_id, RUNNING)
    notices.host.advance(minutes=30)
    assert arrived(receiver) == [("blind", 1, "Monitoring"), ("seen", 1, "Monitoring")]


def test_a_slow_job_is_told(notices: Lab, receiver: FaultySource) -> None:
    watched(notices, warnAfterSeconds=300, stallAfterSeconds=900)
    notices.host.advance(minutes=40)
    assert [event for event, *_ in arrived(receiver)] == ["overdue", "stalled"]


def test_what_a_poll_finds_is_told_within_seconds(notices: Lab, receiver: FaultySource) -> None:
    job_id = watched(notices, warnAfterSeconds=60)
    notices.host.run_until(lambda: notices.row(f"demo.{job_id}").overdue, minutes=3)
    notices.host.advance(seconds=3)
    assert arrived(receiver) == [("overdue", 1, "Monitoring")]
    notices.source.behave(job_id, {"status": "processing", "progress": 60})
    notices.host.run_until(lambda: notices.row(f"demo.{job_id}").milestone > 0, minutes=3)
    notices.host.advance(seconds=3)
    assert [event for event, *_ in arrived(receiver)] == ["overdue"]
    assert arrived(receiver, "steps") == [("progress", 1, "Monitoring")]


def test_milestones_are_told_once_each_to_those_who_asked_for_them(
    notices: Lab, receiver: FaultySource
) -> None:
    job_id = watched(notices)
    told = []
    for progress in (24, 25, 49, 30, 80, 80, 74, 100):
        notices.source.behave(job_id, {"status": "processing", "progress": progress})
        notices.host.advance(minutes=2)
        told.append(len(arrived(receiver, "steps")))
    assert told == [0, 1, 1, 1, 2, 2, 2, 2]
    data = [json.loads(each.body)["data"] for each in receiver.requests]
    assert [(each["event"], each["progress"]) for each in data] == [
        ("progress", 25),
        ("progress", 80),
    ]
    assert data[0]["title"] == f"demo: {job_id} is at 25 %"
    end(notices, job_id)
    notices.source.behave(job_id, {"status": "processing", "progress": 50})
    again = notices.api.start(jobId=job_id, fresh=True, pollIntervalSeconds=60)
    assert again["monitor"]["run"] == 2
    notices.host.advance(minutes=2)
    assert arrived(receiver, "steps")[2:] == [("progress", 2, "Monitoring")]


def test_of_milestones_that_could_not_be_told_the_last_is(
    notices: Lab, receiver: FaultySource
) -> None:
    receiver.behave("submit", Reply(503))
    job_id = watched(notices)
    for progress in (30, 60, 90):
        notices.source.behave(job_id, {"status": "processing", "progress": progress})
        notices.host.advance(minutes=2)
    receiver.behave("submit", Reply(204))
    receiver.requests.clear()
    notices.host.advance(minutes=20)
    [message] = receiver.requests
    assert json.loads(message.body)["data"]["progress"] == 90
    states = [
        each["channels"]["steps"]["state"] for each in notices.api.get(f"demo.{job_id}")["notices"]
    ]
    assert sorted(states) == ["delivered", "replaced", "replaced"]


def test_a_silent_watch_is_told(notices: Lab, receiver: FaultySource) -> None:
    job_id = watched(notices)
    notices.host.suspend(f"demo.{job_id}")
    notices.host.advance(minutes=30)
    assert [event for event, *_ in arrived(receiver)] == ["stale"]


def test_many_jobs_that_can_not_be_seen_are_one_message(
    notices: Lab, receiver: FaultySource
) -> None:
    jobs = [watched(notices) for _ in range(8)]
    for job_id in jobs:
        notices.source.behave(job_id, "401")
    notices.host.advance(minutes=30)
    assert arrived(receiver) == [("blind", None, 8)]
    assert waiting(notices) == 0


def test_a_digest_that_the_store_does_not_note_is_sent_once(
    notices: Lab, receiver: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> bool:
        raise StoreUnavailable("away")

    file_silence(notices, 40)  # whose ids are longer than a custom status may be
    with monkeypatch.context() as during:
        during.setattr("adapters.monitor_table.MonitorTable.note", away)
        notices.host.advance(minutes=8)
    assert arrived(receiver) == [("stale", None, 40)]
    notices.host.advance(minutes=8)
    assert waiting(notices) == 0
    assert arrived(receiver) == [("stale", None, 40)]


def test_a_receiver_that_was_down_for_hours_gets_all_once_in_order(
    notices: Lab, receiver: FaultySource
) -> None:
    receiver.behave("submit", Reply(503))
    jobs = [watched(notices) for _ in range(3)]
    for job_id in jobs:
        notices.source.behave(job_id, DONE)
    notices.host.run_until(notices.ended(*jobs), minutes=2)
    notices.host.advance(seconds=10)
    again = notices.api.start(jobId=jobs[0], fresh=True, pollIntervalSeconds=60)
    assert again["id"] == f"demo.{jobs[0]}"
    notices.host.advance(hours=1)
    assert waiting(notices) == 4
    tried = len(receiver.requests)
    assert tried < 40  # an attempt each quarter of an hour
    receiver.behave("submit", Reply(204))
    notices.host.advance(minutes=20)
    assert waiting(notices) == 0
    ids = [json.loads(each.body)["id"] for each in receiver.requests[tried:]]
    assert sorted(ids) == sorted(set(ids))
    assert len(ids) == 4
    of_two_runs = [each for each in ids if each.startswith(f"demo.{jobs[0]}/")]
    assert [each.rpartition("/")[0] for each in of_two_runs] == [
        f"demo.{jobs[0]}/1/1",
        f"demo.{jobs[0]}/2/2",
    ]


def test_a_receiver_that_is_gone_for_a_day_is_given_up(
    notices: Lab, receiver: FaultySource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receiver.behave("submit", Reply(500))
    job_id = watched(notices)
    end(notices, job_id)
    notices.host.set_clock(hours=22)
    notices.host.advance(hours=1)
    assert waiting(notices) == 1
    notices.host.advance(hours=2)
    assert waiting(notices) == 0
    [event] = told(caplog, "noticeGivenUp")
    assert (event["channel"], event["monitor"]) == ("ops", f"demo.{job_id}")
    shown = notices.api.call("GET", "/api/channels").json()["channels"][0]["delivery"]
    assert (shown["waiting"], shown["givenUp"], shown["lastError"]) == (0, 1, "HTTP 500")
    receiver.behave("submit", Reply(204))
    receiver.requests.clear()
    again = notices.api.call("POST", "/api/channels/ops/resend")
    assert again.json() == {"resent": 1, "left": 0}
    notices.host.advance(seconds=3)
    [sent] = receiver.requests
    assert json.loads(sent.body)["id"].startswith(f"demo.{job_id}/1/1/")
    [notice] = notices.api.get(f"demo.{job_id}")["notices"]
    assert (notice["event"], notice["channels"]["ops"]["state"]) == ("ended", "delivered")
    assert notices.table.outbox.given_up("ops") == []


@pytest.mark.parametrize("how", ["ended", "silent"])
def test_a_delivery_that_stops_is_noticed_and_started_again(
    notices: Lab, receiver: FaultySource, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """Every promise of delivery hangs on it, and the hub shows a silent one as if it ran."""
    caplog.set_level(logging.INFO)
    first = watched(notices)
    notices.source.behave(first, DONE)
    notices.host.run_until(lambda: len(arrived(receiver)) == 1, minutes=2)
    notices.host.advance(hours=3)  # nothing waits, so no look is missed
    second = watched(notices)
    instance = delivery_instance("ops")
    if how == "ended":
        notices.host.terminate(instance, "by mistake")
    else:
        notices.host.suspend(instance)
    end(notices, second)
    if how == "silent":
        minutes = 0
        while silent(notices) != ["ops"]:
            notices.host.advance(minutes=1)
            minutes += 1
            assert minutes < 20
    notices.host.run_until(lambda: len(arrived(receiver)) == 2, minutes=6)
    assert notices.host.status(instance)["runtimeStatus"] == "Running"
    assert silent(notices) == []
    found = [each["found"] for each in told(caplog, "deliveryStarted")]
    assert found == (["silent"] if how == "silent" else [])  # the end itself wakes who has ended
    shown = notices.api.call("GET", "/api/channels").json()["channels"][0]["delivery"]
    assert shown["lastLookAt"] >= shown["lastDeliveredAt"][:16]
    notices.host.advance(hours=2)
    assert len(told(caplog, "deliveryStarted")) == len(found)


def test_a_delivery_whose_receiver_is_down_is_not_taken_for_silent(
    notices: Lab, receiver: FaultySource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receiver.behave("submit", Reply(503))
    job_id = watched(notices)
    end(notices, job_id)
    notices.host.advance(hours=3)
    assert waiting(notices) == 1
    assert told(caplog, "deliveryStarted") == []


def test_trouble_with_one_delivery_keeps_no_other_from_its_wake(
    notices: Lab, receiver: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_silence(notices, 1, "failures")
    file_silence(notices, 1)
    woken: list[str] = []

    async def may_fail(_client: object, _services: Services, channel: str, *_: object) -> None:
        woken.append(channel)
        if channel == "failures":
            raise StoreUnavailable("away")

    monkeypatch.setattr(hub, "ensure_delivery", may_fail)
    notices.host.advance(minutes=6)
    assert {*woken} == {"failures", "ops"}
    assert notices.api.call("GET", "/api/housekeeping").json()["watchdog"]["failedAt"] is None


def test_the_cleanup_removes_a_monitor_only_when_its_notices_are_out(
    notices: Lab, receiver: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETENTION_DAYS", "1")
    get_services.cache_clear()
    monkeypatch.setattr("domain.notices.outbox.GIVEN_UP_AFTER", timedelta(days=10))
    receiver.behave("submit", Reply(500))
    job_id = watched(notices)
    end(notices, job_id)
    notices.host.set_clock(hours=30)
    notices.host.advance(hours=1)
    assert notices.state(job_id) == "Succeeded"
    receiver.behave("submit", Reply(204))
    notices.host.advance(hours=2)
    assert notices.state(job_id) == "nothing"
    found = notices.table._table.query("PartitionKey eq @id", {"id": f"demo.{job_id}"})
    assert not list(found)
    notices.api.start(jobId=job_id)
    notices.host.run_until(notices.ended(job_id), minutes=2)
    notices.host.advance(seconds=3)
    ids = {json.loads(each.body)["id"] for each in receiver.requests}
    assert len(ids) == 2  # or a receiver that keeps ids would take the later end for the earlier


@pytest.mark.parametrize(
    "trouble",
    [
        ("triggers.watchdog.watch_over_all", "The watchdog fails: away", 1),
        ("activities.do_cleanup.clean", "The cleanup fails: ", 4),  # long enough to be silent, too
    ],
)
def test_trouble_of_the_app_itself_is_told_once_and_when_it_is_over(
    notices: Lab,
    receiver: FaultySource,
    monkeypatch: pytest.MonkeyPatch,
    trouble: tuple[str, str, float],
) -> None:
    function, what, hours = trouble

    async def fails(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as during:
        during.setattr(function, fails)
        notices.host.advance(hours=hours)
    assert arrived(receiver) == [("trouble", None, "failing")]
    notices.host.advance(hours=2)
    first, second = [
        json.loads(each.body)["data"] for each in receiver.requests if each.target == "/ops"
    ]
    assert first["title"].startswith(f"Job Monitor: {what}")
    assert "Traceback" not in str(first)
    assert (second["event"], second["state"]) == ("trouble", "over")
    assert arrived(receiver, "steps") == []  # its filter names other events
    assert waiting(notices) == 0


def test_a_start_names_its_own_channels_or_nobody(notices: Lab, receiver: FaultySource) -> None:
    quiet, loud = watched(notices, notify=[]), watched(notices, notify=["ops"])
    for job_id in (quiet, loud):
        notices.source.behave(job_id, {"status": "failed"})
    notices.host.run_until(notices.ended(quiet, loud), minutes=2)
    notices.host.advance(minutes=6)
    assert len(receiver.requests) == 1
    assert arrived(receiver) == [("ended", 1, "Failed")]
    answer = notices.api.post({"jobId": "x", "notify": ["ops", "nobody"]})
    assert answer.status_code == 400
    [fault] = answer.json()["errors"]
    assert fault["field"] == "notify"
    assert "nobody" in fault["message"]
    assert "there are: ops, failures, steps" in fault["message"]
