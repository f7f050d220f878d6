"""What the app tells of its own work, and of the day behind it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from adapters import hub
from adapters.monitor_list import MonitorList, Tallies
from domain.errors import StoreUnavailable
from tests.api import Body, new_job_id
from tests.virtual.conftest import Lab
from tests.virtual.test_time import DONE, RUNNING

pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")


def shown(lab: Lab) -> dict[str, Any]:
    answer = lab.api.call("GET", "/api/housekeeping")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def counts(lab: Lab) -> Body:
    answer = lab.api.call("GET", "/api/counts")
    assert answer.status_code == 200
    found: Body = answer.json()
    return found


def test_housekeeping_tells_of_the_cleanup_and_of_the_watchdog(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, "401")
    lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(minutes=11)
    cleanup, watchdog = shown(lab)["cleanup"], shown(lab)["watchdog"]
    assert (cleanup["runtimeStatus"], cleanup["runs"], cleanup["more"]) == ("Running", 1, False)
    assert cleanup["lastRunAt"] < lab.host.now.isoformat() < cleanup["nextRunAt"]
    assert cleanup["lastError"] is None
    names = ("complete", "live", "blind", "stale", "unchecked", "failedAt", "detail")
    assert [watchdog[name] for name in names] == [True, 1, 1, 0, 0, None, None]

    async def fail(*_: object) -> None:
        raise StoreUnavailable("the hub is away")

    with monkeypatch.context() as broken:
        broken.setattr(hub, "ensure_cleanup", fail)
        lab.host.advance(minutes=6)
    after = shown(lab)["watchdog"]
    assert after["endedAt"] == watchdog["endedAt"] < after["failedAt"]
    assert (after["detail"], after["live"]) == ("the hub is away", 1)
    lab.host.advance(minutes=6)
    again = shown(lab)["watchdog"]
    assert again["failedAt"] == after["failedAt"] < again["endedAt"]


def test_the_counts_tell_of_the_live_ones_and_of_the_ends_of_a_day(lab: Lab) -> None:
    jobs = {name: new_job_id() for name in ("flaky", "failed", "live", "stopped")}
    lab.source.behave(jobs["flaky"], RUNNING, "503", "503", RUNNING, DONE)
    lab.source.behave(jobs["failed"], {"status": "failed"})
    lab.source.behave(jobs["live"], RUNNING)
    lab.source.behave(jobs["stopped"], RUNNING)
    for job_id in jobs.values():
        lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.run_until(lab.ended(jobs["flaky"], jobs["failed"]))
    lab.api.call("POST", f"/api/monitors/demo.{jobs['stopped']}/stop")
    lab.host.run_until(lab.ended(jobs["stopped"]))
    found = counts(lab)
    assert (found["allLive"], found["allEnds"]) == (True, True)
    assert [each["name"] for each in found["sources"]] == ["demo", "hasty", "named", "settling"]
    demo = found["sources"][0]
    assert demo["live"] == 1
    assert demo["ends"] == {"Succeeded": 1, "Failed": 1, "Stopped": 1}
    ended = [lab.row(f"demo.{jobs[name]}") for name in ("flaky", "failed", "stopped")]
    assert demo["polls"] == sum(row.polls for row in ended)
    assert demo["failedPolls"] == ended[0].failed_polls == 2
    lasted = sorted(
        (row.ended_at - row.started_at).total_seconds() for row in ended[:2] if row.ended_at
    )
    assert [demo["secondsP50"], demo["secondsP95"]] == pytest.approx(lasted, abs=0.001)
    # The log of the flaky one says where its polls failed, for the time line.
    stored = lab.table.read(ended[0].id)
    assert stored is not None
    told = [(line.event, line.to) for line in stored.log]
    assert told == [
        ("started", "Monitoring"),
        ("status", "processing"),
        ("unseen", "unreachable"),
        ("seen", "running"),
        ("status", "completed"),
        ("ended", "Succeeded"),
    ]
    lab.host.set_clock(hours=25)
    lab.host.run_until(lab.ended(jobs["live"]), minutes=10)
    assert counts(lab)["sources"][0]["ends"] == {"Expired": 1}


def test_the_counts_tell_what_the_watchdog_saw_of_the_live_ones(lab: Lab) -> None:
    jobs = {name: new_job_id() for name in ("well", "refused", "other")}
    lab.source.behave(jobs["refused"], "401")
    for name in ("well", "other"):
        lab.source.behave(jobs[name], RUNNING)
    for name, job_id in jobs.items():
        source = "settling" if name == "other" else "demo"
        lab.api.start(source=source, jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(minutes=11)
    demo, hasty, _, settling = counts(lab)["sources"]
    rows = [lab.row(f"demo.{jobs[name]}") for name in ("well", "refused")]
    seen = demo["watched"]
    assert seen["at"] == shown(lab)["watchdog"]["endedAt"]
    assert (seen["complete"], seen["live"], seen["blind"]) == (True, 2, 1)
    assert 0 < seen["failedPolls"] <= rows[1].failed_polls
    assert seen["failedPolls"] < seen["polls"] <= sum(row.polls for row in rows)
    assert hasty["watched"] is None
    assert settling["watched"]["failedPolls"] == 0 < settling["watched"]["polls"]
    lab.api.call("POST", f"/api/monitors/settling.{jobs['other']}/stop")
    lab.host.advance(minutes=6)  # and the next run sees nothing of the source
    assert [each["watched"] is None for each in counts(lab)["sources"]] == [False, True, True, True]


def test_pages_that_are_open_at_once_cost_one_count(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans: list[datetime] = []
    tallies = MonitorList.tallies

    def counted(self: MonitorList, since: datetime) -> Tallies:
        scans.append(since)
        return tallies(self, since)

    monkeypatch.setattr(MonitorList, "tallies", counted)
    shown(lab)  # the first request of a process makes the services
    with ThreadPoolExecutor(8) as pages:
        answers = [*pages.map(lambda _: counts(lab), range(8))]
    assert len(scans) == 1
    assert answers == [answers[0]] * 8
    lab.api.start(jobId=new_job_id(), pollIntervalSeconds=60)
    lab.host.advance(seconds=9)
    assert counts(lab) == answers[0]
    lab.host.advance(seconds=1)
    assert counts(lab)["sources"][0]["live"] == 1
    assert len(scans) == 2


def test_counts_that_leave_some_out_say_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in (RUNNING, RUNNING, RUNNING, DONE, DONE):
        job_id = new_job_id()
        lab.source.behave(job_id, body)
        lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(minutes=2)
    for bound, live, ends in ((4, 3, 2), (3, 3, 2), (2, 2, 2)):
        monkeypatch.setattr("adapters.monitor_list._ENTRIES_READ", bound)
        lab.host.advance(seconds=10)
        found = counts(lab)
        demo = found["sources"][0]
        assert (demo["live"], demo["ends"]["Succeeded"]) == (live, ends)
        assert (found["allLive"], found["allEnds"]) == (live < bound, ends < bound)
