"""The app cut off at each operation of each of its functions, and brought out of its time.

The tests ask two things afterwards. `is_watched`: a live monitor is where it should be.
`ended_well`: one final row with the right state (I2), one `ended` line for each run that ended
(I3), one right entry in the list, none among the live ones, the instance ended (I1), the job left
alone (I5).
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import requests

from devhost.engine import Point
from domain.monitors.decide import TIMER_EARLY
from domain.monitors.monitor import MonitorRow, State
from tests.api import Body, new_job_id
from tests.changes import restart
from tests.virtual.conftest import Lab
from tests.virtual.cuts import CLIENT, HUB, Act, Cut, How, claimed, cuts, unclaimed

# The SDK warns of every event that comes while nothing awaits it, as hints may.
pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")

RUNNING: Body = {"status": "processing"}
DONE: Body = {"status": "completed"}
HOUR = 3_600


@pytest.fixture(autouse=True)
def short_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog holds the list against the rows; each row would be a round of its own."""
    monkeypatch.setattr("triggers.watchdog._LIST_SLICE", 1)


cut_in_any_way = pytest.mark.parametrize(
    "how",
    [
        How.KILLED,
        pytest.param(How.REFUSED, marks=pytest.mark.long),
        pytest.param(How.UNANSWERED, marks=pytest.mark.long),
    ],
)


def entries(lab: Lab, partition: str, monitor_id: str) -> list[str]:
    """Keys of what helps to find a monitor."""
    found = lab.table._table.query("PartitionKey eq @p", {"p": partition})
    return [e["RowKey"] for e in found if e.get("monitorId", e["RowKey"]) == monitor_id]


def listed(lab: Lab, job_id: str) -> list[MonitorRow]:
    return lab.table.list.page(10, jobId=job_id)[0]


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


def start(lab: Lab, job_id: str) -> requests.Response:
    """Ask for a watch over a job that runs, whatever comes of it."""
    return lab.api.post({"jobId": job_id, "pollIntervalSeconds": HOUR})


def told(cut: Cut) -> int | None:
    """The status of the answer; None if the host died before it."""
    return cut.answer.status_code if cut.answer is not None else None


def finish(lab: Lab, job_id: str) -> None:
    """Let the job end, and have it looked at."""
    lab.source.behave(job_id, DONE)
    assert lab.api.call("POST", f"/api/monitors/demo.{job_id}/notify").status_code == 202
    lab.host.run_until(lab.ended(job_id), minutes=1)


def a_start(lab: Lab) -> Act:
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    return Act(job_id, lambda: start(lab, job_id))


def past_the_grace(lab: Lab) -> None:
    """Go on to a run of the watchdog that takes an unfinished claim for one that was given up."""
    lab.host.set_clock(minutes=15)
    lab.host.advance(minutes=6)


@cut_in_any_way
def test_a_start_that_is_cut_off_anywhere_is_made_good_by_another(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I1, I2."""
    for cut in cuts(lab, monkeypatch, how, a_start, least=6):
        assert start(lab, cut.job_id).status_code in (200, 202), cut
        lab.host.advance(minutes=6)
        is_watched(lab, cut.job_id)
        finish(lab, cut.job_id)
        ended_well(lab, cut.job_id)


@pytest.mark.long
@cut_in_any_way
def test_a_start_that_is_cut_off_after_its_claim_is_watched(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I1, I2: the watchdog completes the start, though nobody asks again."""
    for cut in cuts(lab, monkeypatch, how, a_start, least=6, only=claimed):
        lab.host.advance(minutes=6)
        is_watched(lab, cut.job_id)
        finish(lab, cut.job_id)
        ended_well(lab, cut.job_id)


@cut_in_any_way
def test_a_start_that_is_cut_off_before_its_claim_promises_and_leaves_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I2."""
    for cut in cuts(lab, monkeypatch, how, a_start, least=6, only=unclaimed):
        assert told(cut) in (None, 503)
        past_the_grace(lab)
        assert lab.table.get(f"demo.{cut.job_id}") is None
        assert not entries(lab, "~live", f"demo.{cut.job_id}"), cut


def a_batch(lab: Lab) -> Act:
    """A start of a batch, whose repeats bring its key."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    lab.source.behave("submit", {"id": job_id})
    lab.source.requests.clear()
    body = {"starts": [{"job": {}, "pollIntervalSeconds": HOUR, "idempotencyKey": job_id}]}
    return Act(job_id, lambda: lab.api.call("POST", "/api/monitors:batch", json=body))


@pytest.mark.long
@cut_in_any_way
def test_a_batch_that_is_cut_off_anywhere_starts_no_second_job_when_it_is_repeated(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I2, I5: its repeat gets the watch, or hears that nobody knows."""
    for cut in cuts(lab, monkeypatch, how, a_batch, least=9):
        body = {"job": {}, "pollIntervalSeconds": HOUR, "idempotencyKey": cut.job_id}
        again = lab.api.call("POST", "/api/monitors:batch", json={"starts": [body]})
        [answer] = again.json()["answers"]
        assert answer["status"] in (200, 202, 409), cut
        assert [each.method for each in lab.source.requests].count("POST") <= 1
        if answer["status"] != 409:
            lab.host.advance(minutes=6)
            is_watched(lab, cut.job_id)


def a_start_with_a_job(lab: Lab) -> Act:
    """A start that has the source start the job."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    lab.source.behave("submit", {"id": job_id})
    lab.source.requests.clear()
    body = {"job": {"a": 1}, "pollIntervalSeconds": HOUR}
    return Act(job_id, lambda: lab.api.post(body))


def submitted(cut: Cut) -> bool:
    """The rounds in which the job was started, after the store had answered."""
    return cut.made != ["table: ping"]


@cut_in_any_way
def test_without_an_answer_of_the_store_no_job_is_started(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I5."""
    rounds = cuts(
        lab, monkeypatch, how, a_start_with_a_job, least=7, only=lambda cut: not submitted(cut)
    )
    for cut in rounds:
        assert told(cut) in (None, 503)
        assert lab.source.requests == []


@pytest.mark.parametrize("how", [How.REFUSED, How.UNANSWERED])
def test_the_answer_to_a_start_that_started_a_job_holds_its_id(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I2: whatever fails afterwards."""
    for cut in cuts(lab, monkeypatch, how, a_start_with_a_job, least=7, only=submitted):
        assert told(cut) in (202, 503)
        assert cut.answer is not None
        assert cut.job_id in cut.answer.text


@cut_in_any_way
def test_a_job_that_was_started_and_claimed_is_watched(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I1, I2."""
    for cut in cuts(lab, monkeypatch, how, a_start_with_a_job, least=7, only=claimed):
        lab.host.advance(minutes=6)
        is_watched(lab, cut.job_id)
        finish(lab, cut.job_id)
        ended_well(lab, cut.job_id)


@cut_in_any_way
def test_a_job_that_was_started_but_not_claimed_can_be_watched_by_its_id(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I1, I2: nobody was promised a watch."""
    rounds = cuts(
        lab,
        monkeypatch,
        how,
        a_start_with_a_job,
        least=7,
        only=lambda cut: submitted(cut) and unclaimed(cut),
    )
    for cut in rounds:
        assert told(cut) in (None, 503)
        lab.host.advance(minutes=6)
        assert start(lab, cut.job_id).status_code == 202
        is_watched(lab, cut.job_id)
        finish(lab, cut.job_id)
        ended_well(lab, cut.job_id)


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


def a_next_run(lab: Lab) -> Act:
    """A start after a watch that expired."""
    job_id = new_job_id()
    watched(lab, job_id, timeoutSeconds=60)
    lab.host.run_until(lab.ended(job_id), minutes=2)
    lab.host.advance(seconds=1)
    return Act(job_id, lambda: start(lab, job_id))


def first_run_is_in_the_log(lab: Lab, job_id: str) -> None:
    """I3: the earlier outcome stays, and the earlier run leaves nothing else."""
    stored = lab.table.read(f"demo.{job_id}")
    assert stored is not None
    first = [line for line in stored.log if line.run == 1]
    assert [line.event for line in first] == ["started", "status", "ended"]


@pytest.mark.long
@cut_in_any_way
def test_a_next_run_that_is_cut_off_anywhere_is_made_good_by_another_start(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I2, I3."""
    for cut in cuts(lab, monkeypatch, how, a_next_run, least=8):
        assert start(lab, cut.job_id).status_code in (200, 202)
        lab.host.advance(minutes=6)
        is_watched(lab, cut.job_id)
        finish(lab, cut.job_id)
        ended_well(lab, cut.job_id, run=2)
        first_run_is_in_the_log(lab, cut.job_id)


@cut_in_any_way
def test_a_next_run_that_is_cut_off_after_its_claim_is_watched(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I2, I3."""
    for cut in cuts(lab, monkeypatch, how, a_next_run, least=8, only=claimed):
        lab.host.advance(minutes=6)
        is_watched(lab, cut.job_id)
        finish(lab, cut.job_id)
        ended_well(lab, cut.job_id, run=2)
        first_run_is_in_the_log(lab, cut.job_id)


@cut_in_any_way
def test_a_next_run_that_is_cut_off_before_its_claim_leaves_the_first_as_it_ended(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I2, I3."""
    for cut in cuts(lab, monkeypatch, how, a_next_run, least=8, only=unclaimed):
        past_the_grace(lab)
        ended_well(lab, cut.job_id, "Expired")
        first_run_is_in_the_log(lab, cut.job_id)


def polls_and_an_end(lab: Lab) -> Act:
    """A whole watch, of two or three polls."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING, {"status": "queued"}, DONE)

    def watch() -> None:
        lab.api.start(jobId=job_id, pollIntervalSeconds=60)
        lab.host.advance(minutes=3)

    return Act(job_id, watch)


@cut_in_any_way
def test_a_poll_and_an_end_that_are_cut_off_anywhere(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I2, I3: the activities run again, and what they did before counts once."""
    for cut in cuts(lab, monkeypatch, how, polls_and_an_end, least=10, activities=True):
        lab.host.run_until(lab.ended(cut.job_id), minutes=30)
        ended_well(lab, cut.job_id)
        stored = lab.table.read(f"demo.{cut.job_id}")
        assert stored is not None
        asked = sum(cut.job_id in each.target for each in lab.source.requests)
        assert 2 <= stored.row.polls <= asked  # the job moves on when a poll is made twice
        changes = [line.to for line in stored.log if line.event == "status"]
        assert changes[-1] == "completed"
        assert len(set(changes)) == len(changes)


def _nothing(_lab: Lab, _job_id: str) -> None:
    """The watch runs as it should."""


def _terminated(lab: Lab, job_id: str) -> None:
    lab.host.terminate(f"demo.{job_id}", "no longer needed")


def _never_started(lab: Lab, job_id: str) -> None:
    """Whoever restarted it died before the last step."""
    row = lab.table.get(f"demo.{job_id}")
    assert row is not None
    assert restart(lab.table, row, lab.host.now)
    lab.host.terminate(f"demo.{job_id}")
    lab.host.wait_for(f"demo.{job_id}", "Terminated", minutes=1)
    url = f"/runtime/webhooks/durabletask/instances/demo.{job_id}"
    assert lab.api.call("DELETE", url).status_code == 200


def _stuck_after_a_restart(lab: Lab, job_id: str) -> None:
    """The host died after the first step of a restart."""
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


def a_watchdog_after(trouble: Callable[[Lab, str], None]) -> Callable[[Lab], Act]:
    """The watchdog's next run, which finds a monitor in this trouble."""

    def prepare(lab: Lab) -> Act:
        job_id = new_job_id()
        watched(lab, job_id)
        lab.host.advance(minutes=1)
        trouble(lab, job_id)
        return Act(job_id, lambda: lab.host.advance(minutes=5))

    return prepare


@cut_in_any_way
@pytest.mark.parametrize(
    ("trouble", "run"),
    [
        (_nothing, 1),
        pytest.param(_never_started, 2, marks=pytest.mark.long),
        pytest.param(_stuck_after_a_restart, 2, marks=pytest.mark.long),
    ],
)
def test_a_watchdog_that_is_cut_off_anywhere_keeps_a_watch_going(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    how: How,
    trouble: Callable[[Lab, str], None],
    run: int,
) -> None:
    """I1, I2, I3: its next run completes what this one began."""
    for cut in cuts(lab, monkeypatch, how, a_watchdog_after(trouble), least=4):
        lab.host.advance(minutes=6)
        is_watched(lab, cut.job_id)
        finish(lab, cut.job_id)
        ended_well(lab, cut.job_id, run=run)


@cut_in_any_way
@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (_terminated, "Terminated"),
        pytest.param(_half_ended, "Succeeded", marks=pytest.mark.long),
    ],
)
def test_a_watchdog_that_is_cut_off_anywhere_completes_an_end(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    how: How,
    trouble: Callable[[Lab, str], None],
    state: str,
) -> None:
    """I2, I3."""
    for cut in cuts(lab, monkeypatch, how, a_watchdog_after(trouble), least=4):
        lab.host.advance(minutes=6)
        ended_well(lab, cut.job_id, state)


def a_restart(lab: Lab) -> Act:
    """A restart of a monitor that is stuck."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    lab.host.advance(minutes=2)
    lab.host.suspend(monitor_id)
    lab.host.wait_for(monitor_id, "Suspended", minutes=1)
    return Act(job_id, lambda: lab.api.call("POST", f"/api/monitors/{monitor_id}/restart"))


@pytest.mark.long
@cut_in_any_way
def test_a_restart_that_is_cut_off_after_its_claim_is_completed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I1, I2: the watchdog frees the stuck monitor."""
    for cut in cuts(lab, monkeypatch, how, a_restart, least=11, only=claimed):
        lab.host.advance(minutes=6)
        is_watched(lab, cut.job_id)
        finish(lab, cut.job_id)
        ended_well(lab, cut.job_id, run=2)


@cut_in_any_way
def test_a_restart_that_is_cut_off_before_its_claim_changes_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I1, I2: the monitor is as stuck as before, until it is freed."""
    for cut in cuts(lab, monkeypatch, how, a_restart, least=11, only=unclaimed):
        past_the_grace(lab)
        lab.host.resume(f"demo.{cut.job_id}")
        lab.host.wait_for(f"demo.{cut.job_id}", "Running", minutes=1)
        is_watched(lab, cut.job_id)
        finish(lab, cut.job_id)
        ended_well(lab, cut.job_id, run=1)


@pytest.fixture
def a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short retention; of a long one, many days are purged one by one."""
    monkeypatch.setenv("RETENTION_DAYS", "1")


def a_cleanup(lab: Lab) -> Act:
    """A cleanup that finds a monitor past its retention."""
    job_id = new_job_id()
    lab.source.behave(job_id, DONE)
    lab.api.start(jobId=job_id)
    lab.host.run_until(lab.ended(job_id), minutes=1)
    ended_well(lab, job_id)
    lab.host.suspend("periodic-cleanup")
    lab.host.wait_for("periodic-cleanup", "Suspended", minutes=1)
    lab.host.set_clock(hours=25)
    lab.host.advance(minutes=1)  # the watchdog, which is late as well, does its work

    def clean() -> None:
        lab.host.resume("periodic-cleanup")
        lab.host.advance(seconds=1)

    return Act(job_id, clean)


@cut_in_any_way
def test_a_cleanup_that_is_cut_off_anywhere(
    a_day: None, lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """I8: what lives stays; what is past its retention is gone with all that led to it."""
    living = new_job_id()
    watched(lab, living, timeoutSeconds=366 * 86_400, pollIntervalSeconds=86_400)
    for cut in cuts(lab, monkeypatch, how, a_cleanup, least=6):
        # The next runs, of which nobody needs the polls and looks that come between.
        for _ in range(2):
            lab.host.set_clock(hours=1)
            lab.host.advance(minutes=5)
        is_watched(lab, living)
        monitor_id = f"demo.{cut.job_id}"
        assert not list(lab.table._table.query("PartitionKey eq @id", {"id": monitor_id}))
        assert not [p for p in ("~live", "~list") if entries(lab, p, monitor_id)]
        with pytest.raises(KeyError):
            lab.host.status(monitor_id)


def test_activities_that_all_run_twice(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """I2, I3, I8: as a host does that lost the first result."""
    activities: Any = lab.host._app.activities
    for name in list(activities):
        run = performed(lab, name)
        monkeypatch.setitem(activities, name, lambda text, run=run: [run(text), run(text)][1])
    job_id, expiring = new_job_id(), new_job_id()
    lab.source.behave("cancel", {"status": "cancelled"})
    monitor_id = watched(lab, job_id, pollIntervalSeconds=60)
    watched(lab, expiring, timeoutSeconds=90, onExpiry="cancel")
    lab.host.advance(minutes=10)
    lab.host.set_clock(hours=1)
    lab.host.advance(minutes=5)
    is_watched(lab, job_id)
    finish(lab, job_id)
    ended_well(lab, job_id)
    stored = lab.table.read(monitor_id)
    assert stored is not None
    assert [line.event for line in stored.log] == ["started", "status", "hinted", "status", "ended"]
    row = lab.table.get(f"demo.{expiring}")
    assert row is not None
    assert (row.state, row.cancel_result) == (State.EXPIRED, "accepted")


Call = Callable[[], str]


def performed(lab: Lab, name: str) -> Callable[[str], str]:
    """An activity, async or not, as a function that returns its result."""
    app = lab.host._app
    code = app.activities[name]
    return lambda text: app.call(name, code, text).result()


def a_later_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[Call]]:
    """A job whose second run is live, and the calls of activities that its first run made."""
    activities: Any = lab.host._app.activities
    calls: list[Call] = []

    def recorded(run: Callable[[str], str]) -> Callable[[str], str]:
        def record(text: str) -> str:
            calls.append(lambda: run(text))
            return run(text)

        return record

    for name in ("getjobstatus", "recordfinalstatus"):
        monkeypatch.setitem(activities, name, recorded(performed(lab, name)))
    job_id = new_job_id()
    watched(lab, job_id, timeoutSeconds=90, pollIntervalSeconds=60)
    lab.host.run_until(lab.ended(job_id), minutes=2)
    earlier = list(calls)
    assert len(earlier) == 4
    lab.host.advance(seconds=1)
    watched(lab, job_id)
    return job_id, earlier


def changes_nothing(lab: Lab, job_id: str, calls: list[Call]) -> None:
    before = lab.table.read(f"demo.{job_id}")
    for call in calls:
        call()
    assert lab.table.read(f"demo.{job_id}") == before


def test_late_activities_of_an_earlier_run_do_not_touch_a_live_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I3."""
    job_id, earlier = a_later_run(lab, monkeypatch)
    changes_nothing(lab, job_id, earlier)
    is_watched(lab, job_id)


def test_late_activities_of_an_earlier_run_do_not_touch_the_end_of_the_next(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I3."""
    job_id, earlier = a_later_run(lab, monkeypatch)
    finish(lab, job_id)
    ended_well(lab, job_id, run=2)
    changes_nothing(lab, job_id, earlier)
    ended_well(lab, job_id, run=2)


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
    assert row.ended_at is not None
    assert timedelta(0) <= row.ended_at - row.expire_time <= TIMER_EARLY


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
    found = lab.table.list.ended_before(lab.host.now + timedelta(hours=1))
    late = [each for each in found if each.monitor_id == monitor_id]
    assert [each.run for each in late] == [2, 1]
    assert lab.table.ended(late[1]) is None
    lab.table.list.remove(late[1:])
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


@pytest.mark.parametrize(
    "point",
    [
        Point.AFTER_ACTIVITY,
        pytest.param(Point.BEFORE_COMMIT, marks=pytest.mark.long),
        pytest.param(Point.AFTER_COMMIT, marks=pytest.mark.long),
        pytest.param(Point.BETWEEN_GENERATIONS, marks=pytest.mark.long),
    ],
)
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
