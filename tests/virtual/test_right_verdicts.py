"""No wrong, doubled or missing end: whoever asks, in whatever order, with whatever in the input."""

import json
from datetime import timedelta
from typing import Any

import pytest

from adapters.intents import UNDER_WAY
from adapters.monitor_table import MonitorTable
from domain.errors import ConfigurationFault, Fault
from domain.monitors import transitions
from domain.monitors.monitor import State
from domain.outcome import StopRequest
from tests.api import Body, new_job_id
from tests.faulty_source import Reply
from tests.virtual.conftest import Lab
from tests.virtual.cuts import CLIENT

# The SDK warns of every event that comes while nothing awaits it, as hints may.
pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")

RUNNING: Body = {"status": "processing"}
DONE: Body = {"status": "completed"}
FAILED: Body = {"status": "failed"}
HUB = "/runtime/webhooks/durabletask"


def watched(lab: Lab, job_id: str, **settings: Any) -> str:
    """Begin to watch a job that runs; the monitor's id."""
    lab.source.behave(job_id, RUNNING)
    lab.source.behave("cancel", {"status": "cancelled"})
    started = lab.api.start(jobId=job_id, **({"pollIntervalSeconds": 60} | settings))
    lab.host.advance(seconds=10)
    return str(started["id"])


def ended(lab: Lab, job_id: str, answer: Body, **settings: Any) -> str:
    """A watch that ended with its job."""
    monitor_id = watched(lab, job_id, **settings)
    lab.source.behave(job_id, answer)
    lab.host.run_until(lab.ended(job_id), minutes=2)
    lab.host.advance(seconds=2)
    return monitor_id


def looks(lab: Lab, job_id: str) -> int:
    return sum(1 for r in lab.source.requests if r.method == "GET" and job_id in r.target)


def cancels(lab: Lab) -> int:
    return sum(1 for r in lab.source.requests if r.target.endswith("/cancel"))


def submits(lab: Lab) -> int:
    return sum(1 for r in lab.source.requests if r.method == "POST" and r.target == "/jobs")


def log(lab: Lab, monitor_id: str) -> list[tuple[int, str, str | None]]:
    stored = lab.table.read(monitor_id)
    assert stored is not None
    return [(line.run, line.event, line.to) for line in stored.log]


# -- a job id that the source uses again ------------------------------------------------------


def test_a_new_job_with_the_id_of_an_ended_one_gets_a_watch_of_its_own(lab: Lab) -> None:
    """I2: as a system whose database was reset gives it."""
    job_id = new_job_id()
    monitor_id = ended(lab, job_id, FAILED)
    lab.source.behave("submit", {"id": job_id})
    lab.source.behave(job_id, RUNNING, DONE)
    again = lab.api.start(job={"a": 1})
    assert (again["monitor"]["state"], again["monitor"]["run"]) == ("Monitoring", 2)
    lab.host.run_until(lab.ended(job_id), minutes=3)
    assert lab.state(job_id) == "Succeeded"
    assert (1, "ended", "Failed") in log(lab, monitor_id)


def test_a_live_watch_ends_lost_when_its_id_is_used_again(lab: Lab) -> None:
    """I1, I2: one live watch, and an end for each that was promised."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    lab.source.behave("submit", {"id": job_id})
    again = lab.api.start(job={"a": 1})
    assert again["monitor"]["run"] == 2
    lab.host.advance(minutes=1)
    assert lab.host.status(monitor_id)["runtimeStatus"] == "Running"
    assert (1, "ended", "Lost") in log(lab, monitor_id)
    lab.source.behave(job_id, DONE)
    lab.host.run_until(lab.ended(job_id), minutes=2)
    assert lab.row(monitor_id).run == 2


@pytest.mark.parametrize("first", ["heard of it", "repeats the request"])
def test_a_watch_that_began_between_submit_and_claim_is_not_lost(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """I1: a webhook of the source, or a repeated request, is faster than the start itself."""
    job_id = new_job_id()
    lab.source.behave("submit", {"id": job_id})
    lab.source.behave(job_id, RUNNING, DONE)
    of_job = MonitorTable.of_job

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.undo()
        if first == "heard of it":
            assert lab.api.post({"jobId": job_id}).status_code == 202
        else:
            assert post(lab, "key", job={"a": 1}).status_code == 202
        return of_job(*arguments)

    with monkeypatch.context():
        monkeypatch.setattr(MonitorTable, "of_job", overtaken)
        answer = post(lab, "key", job={"a": 1})
    assert (answer.status_code, answer.json()["monitor"]["run"]) == (200, 1)
    lab.host.run_until(lab.ended(job_id), minutes=3)
    assert [line for line in log(lab, f"demo.{job_id}") if line[1] == "ended"] == [
        (1, "ended", "Succeeded")
    ]
    assert submits(lab) == 1


def test_a_key_is_kept_by_a_start_that_submitted_a_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch that overtook it has other settings."""
    job_id = new_job_id()
    lab.source.behave("submit", {"id": job_id})
    lab.source.behave(job_id, RUNNING)
    of_job = MonitorTable.of_job

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.undo()
        assert lab.api.post({"jobId": job_id, "pollIntervalSeconds": 7}).status_code == 202
        return of_job(*arguments)

    with monkeypatch.context():
        monkeypatch.setattr(MonitorTable, "of_job", overtaken)
        answers = [post(lab, "key", job={"a": 1}, pollIntervalSeconds=60) for _ in range(2)]
    assert [each.status_code for each in answers] == [409, 409]
    assert submits(lab) == 1


def test_a_fresh_watch_is_to_be_had_over_a_job_that_ended(lab: Lab) -> None:
    job_id = new_job_id()
    ended(lab, job_id, DONE)
    assert lab.api.post({"jobId": job_id}).status_code == 200
    answer = lab.api.post({"jobId": job_id, "fresh": True})
    assert (answer.status_code, answer.json()["monitor"]["run"]) == (202, 2)


@pytest.mark.parametrize(("known", "run"), [(True, 1), (False, 2)])
def test_a_job_that_its_caller_names_is_new_unless_the_source_knew_it(
    lab: Lab, known: bool, run: int
) -> None:
    """A system that takes a name twice starts one job; a name that is gone may be used again."""
    job_id = new_job_id()
    lab.source.behave(job_id, DONE)
    lab.source.behave("submit", {"status": "accepted"})
    first = lab.api.start(source="named", job={"name": job_id})
    lab.host.run_until(lambda: lab.row(first["id"]).state.final, minutes=2)
    lab.host.advance(seconds=2)
    lab.source.behave(job_id, DONE if known else "404")
    again = lab.api.post({"source": "named", "job": {"name": job_id}})
    assert again.json()["monitor"]["run"] == run


@pytest.mark.parametrize(
    ("now", "status"),
    [(RUNNING, 202), (DONE, 200), (FAILED, 200), ("404", 200), ("500", 200), ("empty", 200)],
)
def test_a_start_over_an_ended_job_looks_once(lab: Lab, now: Any, status: int) -> None:
    """Only a job that runs again is watched again."""
    job_id = new_job_id()
    ended(lab, job_id, FAILED)
    lab.source.behave(job_id, now)
    answer = lab.api.post({"jobId": job_id})
    assert answer.status_code == status
    assert answer.json()["monitor"]["state"] == ("Monitoring" if status == 202 else "Failed")


# -- starts that are repeated ------------------------------------------------------------------


def post(lab: Lab, key: str, **body: Any) -> Any:
    return lab.api.call("POST", "/api/monitors", json=body, headers={"Idempotency-Key": key})


def test_a_repeated_start_starts_no_second_job(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave("submit", {"id": job_id})
    lab.source.behave(job_id, RUNNING)
    first = post(lab, "one", job={"a": 1}, pollIntervalSeconds=86_400)
    second = post(lab, '"one"', job={"a": 1}, pollIntervalSeconds=86_400)
    assert first.status_code == second.status_code == 202
    assert first.json()["id"] == second.json()["id"]
    assert submits(lab) == 1
    lab.host.set_clock(hours=25)
    post(lab, "one", job={"a": 1}, pollIntervalSeconds=86_400)
    assert submits(lab) == 2


def test_a_key_belongs_to_one_request(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave("submit", {"id": job_id})
    assert post(lab, "two", job={"a": 1}).status_code == 202
    assert post(lab, "two", job={"a": 2}).status_code == 422
    assert post(lab, "a b", job={"a": 2}).status_code == 400
    assert submits(lab) == 1


@pytest.mark.parametrize("answer", ["drop", Reply(201, b"{}")])
def test_a_submit_whose_outcome_is_not_known_is_not_repeated(lab: Lab, answer: Any) -> None:
    lab.source.behave("submit", answer)
    assert post(lab, "three", job={"a": 1}).status_code == 502
    lab.source.behave("submit", {"id": new_job_id()})
    again = post(lab, "three", job={"a": 1})
    assert again.status_code == 502  # the same answer for the same key
    assert submits(lab) == 1


def test_a_start_that_was_cut_off_in_its_submit_is_not_repeated(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("cut off")

    with monkeypatch.context() as during:
        during.setattr("adapters.job_api.JobApi.submit", broken)
        assert post(lab, "three", job={"a": 1}).status_code == 500
    assert post(lab, "three", job={"a": 1}).status_code == 409
    lab.host.advance(seconds=UNDER_WAY.total_seconds())
    again = post(lab, "three", job={"a": 1})
    assert again.status_code == 409
    assert "Nobody knows" in again.json()["detail"]
    assert submits(lab) == 0


@pytest.mark.parametrize("refusal", ["500", Reply(400, b"no such queue")])
def test_a_start_that_changed_nothing_may_be_repeated(lab: Lab, refusal: Any) -> None:
    lab.source.behave("submit", refusal)
    assert post(lab, "four", job={"a": 1}).status_code == 502
    lab.source.behave("submit", {"id": new_job_id()})
    assert post(lab, "four", job={"a": 1}).status_code == 202


@pytest.mark.parametrize("reused", [False, True])
def test_a_start_that_was_cut_off_after_the_submit_is_completed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, reused: bool
) -> None:
    """I2: the key knows the job."""
    job_id = new_job_id()
    if reused:
        ended(lab, job_id, FAILED)
    lab.source.behave("submit", {"id": job_id})
    lab.source.behave(job_id, RUNNING)

    def broken(*_: object) -> None:
        raise RuntimeError("cut off")

    with monkeypatch.context() as during:
        during.setattr("triggers.start_monitor._claim", broken)
        assert post(lab, "five", job={"a": 1}).status_code == 503
    assert lab.state(job_id) == ("Failed" if reused else "nothing")
    assert post(lab, "five", job={"a": 1}).status_code == 202
    assert submits(lab) == 1
    assert lab.state(job_id) == "Monitoring"


# -- whoever holds the key of the task hub -----------------------------------------------------


def test_a_copy_of_a_watch_does_nothing(lab: Lab) -> None:
    """I1: `restartPostUri` starts the same input under another id."""
    job_id = new_job_id()
    monitor_id = ended(lab, job_id, DONE)
    before = looks(lab, job_id)
    restarted = lab.api.call("POST", f"{HUB}/instances/{monitor_id}/restart")
    assert restarted.status_code == 202
    lab.host.wait_for(restarted.json()["id"], "Completed", minutes=2)
    assert looks(lab, job_id) == before


def crafted(lab: Lab, monitor_id: str, **given: Any) -> None:
    """Start the orchestrator with an input of one's own."""
    row = lab.row(monitor_id)
    watch = row.first_watch().to_wire() | given
    answer = lab.api.call("POST", f"{HUB}/orchestrators/JobMonitoring/{monitor_id}", json=watch)
    assert answer.status_code == 202, answer.text


VERDICTS = [
    {"state": state, "reason": "forged", "endedAt": "2030-01-01T00:00:00Z"}
    for state in ("Succeeded", "Failed", "Lost", "Stopped", "Expired", "Terminated")
]


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: str(verdict["state"]))
def test_a_verdict_in_an_input_is_a_claim(lab: Lab, verdict: Body) -> None:
    """I3, I5: the row bears it out, or the watch goes on; the job is not touched."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    before = looks(lab, job_id)
    lab.host.terminate(monitor_id)
    lab.host.wait_for(monitor_id, "Terminated", minutes=1)
    crafted(lab, monitor_id, verdict=verdict, cancelJob=True)
    lab.host.advance(minutes=2)
    now = lab.row(monitor_id)
    assert (now.state, now.reason) == (State.MONITORING, None)
    assert cancels(lab) == 0
    assert looks(lab, job_id) > before
    lab.source.behave(job_id, DONE)
    lab.host.run_until(lab.ended(job_id), minutes=2)
    assert lab.state(job_id) == "Succeeded"


@pytest.mark.parametrize(
    "given",
    [
        {"run": 7},
        {"jobId": "another", "source": "hasty"},
        {"notFound": 99, "expireTime": "2029-12-31T00:00:00Z", "onExpiry": "cancel"},
    ],
)
def test_a_crafted_input_rules_nothing(lab: Lab, given: Body) -> None:
    """I5, I6: source, job, run, expiry are those of the row."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    lab.host.terminate(monitor_id)
    lab.host.wait_for(monitor_id, "Terminated", minutes=1)
    crafted(lab, monitor_id, **given)
    lab.host.advance(minutes=12)
    assert cancels(lab) == 0
    assert not [r for r in lab.source.requests if "another" in r.target]
    lab.source.behave(job_id, DONE)
    lab.host.run_until(lab.ended(job_id), minutes=20)
    assert lab.state(job_id) == "Succeeded"


@pytest.mark.parametrize("last", [None, "2099-01-01T00:00:00Z"])
def test_a_crafted_input_silences_no_watch(lab: Lab, last: str | None) -> None:
    """I2: the time of the next poll is a claim, too."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id, timeoutSeconds=1_200)
    lab.host.terminate(monitor_id)
    lab.host.wait_for(monitor_id, "Terminated", minutes=1)
    crafted(lab, monitor_id, nextPollAt="2099-01-01T00:00:00Z", lastPollAt=last)
    before = lab.row(monitor_id).polls
    lab.host.advance(minutes=15)
    assert lab.row(monitor_id).polls >= before + 3
    lab.host.run_until(lab.ended(job_id), minutes=10)
    assert lab.state(job_id) == "Expired"


def test_without_a_row_nothing_is_written_and_nothing_cancelled(lab: Lab) -> None:
    job_id = new_job_id()
    monitor_id = watched(lab, job_id, onExpiry="cancel", timeoutSeconds=3_600)
    for entity in list(lab.table._table.query("PartitionKey eq @id", {"id": monitor_id})):
        lab.table._table.delete(monitor_id, entity["RowKey"])
    lab.host.wait_for(monitor_id, "Completed", minutes=70)
    assert lab.table.get(monitor_id) is None
    assert cancels(lab) == 0


# -- terminate, purge, suspend -----------------------------------------------------------------


def purge(lab: Lab, monitor_id: str) -> None:
    lab.host.terminate(monitor_id, "over")
    lab.host.wait_for(monitor_id, "Terminated", minutes=1)
    assert lab.api.call("DELETE", f"{HUB}/instances/{monitor_id}").status_code == 200


@pytest.mark.parametrize("seen", [True, False], ids=["looked at", "not looked at"])
def test_a_watch_that_was_terminated_and_purged_stays_ended(lab: Lab, seen: bool) -> None:
    """I2: whoever first sees the end stores it; it does not move."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    lab.host.advance(minutes=3)
    polls = looks(lab, job_id)
    lab.host.terminate(monitor_id, "over")
    lab.host.wait_for(monitor_id, "Terminated", minutes=1)
    at = lab.host.now
    lab.host.advance(seconds=20)
    shown = [lab.api.get(monitor_id)["monitor"] for _ in range(2)] if seen else []
    assert lab.api.call("DELETE", f"{HUB}/instances/{monitor_id}").status_code == 200
    lab.host.advance(minutes=12)
    row = lab.row(monitor_id)
    assert row.state is State.TERMINATED
    assert looks(lab, job_id) == polls
    if seen:
        assert shown == [row.to_wire()] * 2
        assert row.reason == "over"
        assert row.ended_at is not None
        assert abs(row.ended_at - at) < timedelta(seconds=2)
    assert [each.id for each in lab.table.list.page(9, state="Terminated")[0]] == [monitor_id]


def test_a_purge_is_told_from_a_lost_hub(lab: Lab) -> None:
    """I2."""
    purged, lost = new_job_id(), new_job_id()
    for job_id in (purged, lost):
        watched(lab, job_id)
    lab.host.advance(minutes=3)
    purge(lab, f"demo.{purged}")
    assert lab.api.get(f"demo.{purged}")["monitor"]["state"] == "Terminated"
    lab.host.restart(lose_state=True)
    lab.host.advance(minutes=6)
    assert lab.state(lost) == "Monitoring"
    assert lab.host.status(f"demo.{lost}")["runtimeStatus"] == "Running"


def test_a_stop_wakes_a_suspended_watch(lab: Lab) -> None:
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    lab.host.suspend(monitor_id)
    lab.host.wait_for(monitor_id, "Suspended", minutes=1)
    stopped = lab.api.call("POST", f"/api/monitors/{monitor_id}/stop?cancelJob=true")
    assert stopped.status_code == 202
    lab.host.run_until(lab.ended(job_id), minutes=1)
    row = lab.row(monitor_id)
    assert (row.state, row.cancel_result) == (State.STOPPED, "accepted")


def test_a_suspended_watch_expires(lab: Lab) -> None:
    job_id = new_job_id()
    monitor_id = watched(lab, job_id, timeoutSeconds=300, onExpiry="cancel")
    lab.host.suspend(monitor_id)
    lab.host.run_until(lab.ended(job_id), minutes=12)
    row = lab.row(monitor_id)
    assert (row.state, row.cancel_result) == (State.EXPIRED, "accepted")


def test_a_start_that_was_slow_is_watched(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """I2: the watchdog came by between the entry among the live ones and the claim."""
    job_id = new_job_id()
    claim = lab.table._table.commit.__func__  # type: ignore[attr-defined]

    def slow(table: Any, operations: Any) -> Any:
        if operations[0][1]["PartitionKey"] == f"demo.{job_id}":
            table.delete("~live", f"demo.{job_id} 000001")
            monkeypatch.undo()
        return claim(table, operations)

    monkeypatch.setattr("adapters.table.Table.commit", slow)
    lab.source.behave(job_id, RUNNING)
    lab.api.start(jobId=job_id)
    assert f"demo.{job_id}" in {monitor_id for monitor_id, _ in lab.table.live()}


def test_a_hub_that_does_not_answer_is_not_taken_for_a_missing_instance(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client answers alike for both."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)

    async def trouble(*_: object) -> list[Any]:
        return [500, {"Message": "the store of the hub is away"}]

    with monkeypatch.context() as during:
        during.setattr(CLIENT, "get_async_request", trouble)
        assert lab.api.call("GET", f"/api/monitors/{monitor_id}").status_code == 503
        lab.host.advance(minutes=6)
    assert (1, "resumed", "Monitoring") not in log(lab, monitor_id)
    assert lab.row(monitor_id).state is State.MONITORING


@pytest.mark.parametrize(("times", "status"), [(1, 200), (3, 503)])
def test_bad_answers_of_the_hub_end_no_watch(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, times: int, status: int
) -> None:
    """I2, I6: the client answers as for an unknown instance; the next question shows it."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    lab.host.advance(minutes=5)
    get = CLIENT.get_async_request
    bad = [500] * times

    async def trouble(*given: Any) -> Any:
        if bad and f"instances/{monitor_id}" in given[0]:
            return [bad.pop(), {"Message": "the store of the hub is away"}]
        return await get(*given)

    with monkeypatch.context() as during:
        during.setattr(CLIENT, "get_async_request", trouble)
        assert lab.api.call("GET", f"/api/monitors/{monitor_id}").status_code == status
    assert not bad
    assert lab.api.get(monitor_id)["monitor"]["state"] == "Monitoring"


def test_a_copy_of_the_cleanup_does_nothing(lab: Lab) -> None:
    lab.host.advance(minutes=1)
    for path in ("instances/periodic-cleanup/restart", "orchestrators/PeriodicCleanup/copy"):
        started = lab.api.call("POST", f"{HUB}/{path}")
        assert started.status_code == 202
        lab.host.wait_for(started.json()["id"], "Completed", minutes=1)
    assert lab.host.status("periodic-cleanup")["runtimeStatus"] == "Running"


def test_a_terminate_takes_no_cancel_back(lab: Lab) -> None:
    """202 promised that the job is cancelled."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    asked_to_cancel(lab, monitor_id)
    lab.host.terminate(monitor_id, "over")
    lab.host.wait_for(monitor_id, "Terminated", minutes=1)
    shown = lab.api.get(monitor_id)["monitor"]
    assert (shown["state"], shown["cancelResult"]) == ("Terminated", "accepted")
    assert cancels(lab) == 1


def test_a_watch_ends_though_its_source_is_configured_no_more(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I2: a stop and an expiry are stored."""
    stopped, expiring = new_job_id(), new_job_id()
    monitor_id = watched(lab, stopped)
    watched(lab, expiring, timeoutSeconds=600)
    faulty = ConfigurationFault([Fault("sources.toml [sources.demo]", "is faulty")])

    def broken(*_: object) -> None:
        raise faulty

    monkeypatch.setattr("domain.sources.file.Sources.of_watch", broken)
    assert lab.api.call("POST", f"/api/monitors/{monitor_id}/stop").status_code == 202
    lab.host.run_until(lab.ended(stopped, expiring), minutes=20)
    assert (lab.state(stopped), lab.state(expiring)) == ("Stopped", "Unreachable")


# -- stop and restart --------------------------------------------------------------------------


def asked_to_cancel(lab: Lab, monitor_id: str) -> None:
    """A stop with a cancel, which no poll has read yet."""
    lab.host.suspend(monitor_id)
    lab.host.wait_for(monitor_id, "Suspended", minutes=1)
    stop = StopRequest(reason="enough", cancel_job=True)
    assert lab.table.change(monitor_id, lambda now: transitions.stop_asked(now, stop))


def test_a_second_stop_takes_no_cancel_back(lab: Lab) -> None:
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    asked_to_cancel(lab, monitor_id)
    assert lab.api.call("POST", f"/api/monitors/{monitor_id}/stop").status_code in (200, 202)
    lab.host.run_until(lab.ended(job_id), minutes=1)
    assert lab.row(monitor_id).cancel_result == "accepted"


def test_the_job_of_a_watch_that_ended_can_be_cancelled(lab: Lab) -> None:
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    lab.api.call("POST", f"/api/monitors/{monitor_id}/stop")
    lab.host.run_until(lab.ended(job_id), minutes=1)
    assert cancels(lab) == 0
    late = lab.api.call("POST", f"/api/monitors/{monitor_id}/stop?cancelJob=true")
    assert (late.status_code, late.json()["monitor"]["cancelResult"]) == (200, "accepted")
    assert lab.row(monitor_id).state is State.STOPPED
    again = lab.api.call("POST", f"/api/monitors/{monitor_id}/stop?cancelJob=true")
    assert again.json()["monitor"]["cancelResult"] == "accepted"
    assert cancels(lab) == 1


def test_a_job_that_ended_is_not_cancelled(lab: Lab) -> None:
    """I5."""
    job_id = new_job_id()
    monitor_id = ended(lab, job_id, DONE)
    late = lab.api.call("POST", f"/api/monitors/{monitor_id}/stop?cancelJob=true")
    assert (late.status_code, late.json()["monitor"]["cancelResult"]) == (200, None)
    assert cancels(lab) == 0


def test_a_stop_beside_a_restart_is_not_lost(lab: Lab) -> None:
    """202 means that the wish is in the row of the live run."""
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    assert lab.api.call("POST", f"/api/monitors/{monitor_id}/stop").status_code == 202
    lab.api.call("POST", f"/api/monitors/{monitor_id}/restart")
    lab.host.run_until(lab.ended(job_id), minutes=2)
    assert lab.state(job_id) == "Stopped"


@pytest.mark.parametrize(
    "answers",
    [(Reply(400, b"already completed with status 'Succeeded'"),), ("500",)],
    ids=["refused", "in trouble"],
)
@pytest.mark.parametrize("end", ["stop", "expiry"])
def test_a_refused_cancel_is_followed_by_a_look(lab: Lab, answers: Any, end: str) -> None:
    """The job's own end is the verdict."""
    job_id = new_job_id()
    seconds = 300 if end == "expiry" else 86_400
    monitor_id = watched(lab, job_id, timeoutSeconds=seconds, onExpiry="cancel")
    lab.source.behave("cancel", *answers)
    lab.source.behave(job_id, lambda: DONE if cancels(lab) else RUNNING)
    if end == "stop":
        lab.api.call("POST", f"/api/monitors/{monitor_id}/stop?cancelJob=true")
    lab.host.run_until(lab.ended(job_id), minutes=8)
    row = lab.row(monitor_id)
    assert (row.state, row.raw_status) == (State.SUCCEEDED, "completed")
    assert cancels(lab) == 1


# -- requests that are not understood ----------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", "/stop", {"json": {"cancelJob": True}}),
        ("POST", "/stop?canceljob=true", {}),
        ("POST", "/restart?force=true", {}),
        ("POST", "/restart", {"data": "x"}),
        ("POST", "/notify?now=1", {}),
        ("GET", "?verbose=1", {}),
        ("PATCH", "?x=1", {"json": {"paused": True}}),
        ("PATCH", "", {"json": {}}),
        ("PATCH", "", {"json": {"state": "Succeeded"}}),
        ("PATCH", "", {"json": {"pollIntervalSeconds": 0, "onExpiry": "never"}}),
    ],
)
def test_what_is_not_known_is_refused_and_changes_nothing(
    lab: Lab, method: str, path: str, options: Body
) -> None:
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    before = lab.row(monitor_id)
    answer = lab.api.call(method, f"/api/monitors/{monitor_id}{path}", **options)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"]
    assert lab.row(monitor_id) == before


@pytest.mark.parametrize("path", ["/api/health", "/api/sources", "/api/monitors"])
def test_the_other_routes_know_their_parameters_too(lab: Lab, path: str) -> None:
    assert lab.api.call("GET", f"{path}?bogus=1").status_code == 400
    assert lab.api.call("GET", f"{path}?code=key&clientId=me").status_code == 200


@pytest.mark.parametrize("odd", ["%09", "%20", "a%00b", "no-dot", "%EF%BF%BF", "A.b"])
def test_an_id_that_no_monitor_can_have_is_not_found(lab: Lab, odd: str) -> None:
    assert lab.api.call("GET", f"/api/monitors/{odd}").status_code == 404
    assert lab.api.call("POST", f"/api/monitors/{odd}/notify").status_code == 404


def test_the_body_of_a_hint_is_its_senders_own(lab: Lab) -> None:
    monitor_id = watched(lab, new_job_id())
    path = f"/api/monitors/{monitor_id}/notify"
    for body in (b"\xff\xfe", b"<xml/>", b"x" * 65_536):
        assert lab.api.call("POST", path, data=body).status_code == 202
    assert lab.api.call("POST", path, data=b"x" * 65_537).status_code == 413


# -- what a poll concludes ---------------------------------------------------------------------


def test_an_end_that_is_taken_back_is_no_end(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING, FAILED, RUNNING, DONE)
    monitor_id = lab.api.start(source="settling", jobId=job_id, pollIntervalSeconds=60)["id"]
    lab.host.run_until(lambda: lab.row(monitor_id).state.final, minutes=9)
    assert lab.row(monitor_id).state is State.SUCCEEDED


def test_an_end_that_lasts_is_the_end(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, FAILED)
    begin = lab.host.now
    monitor_id = lab.api.start(source="settling", jobId=job_id, pollIntervalSeconds=60)["id"]
    lab.host.run_until(lambda: lab.row(monitor_id).state.final, minutes=9)
    row = lab.row(monitor_id)
    assert row.state is State.FAILED
    assert row.ended_at is not None
    assert row.ended_at - begin >= timedelta(seconds=150)


def test_a_distant_retry_after_does_not_silence_a_watch(lab: Lab) -> None:
    job_id = new_job_id()
    never = Reply(429, headers=(("Retry-After", "Fri, 31 Dec 2099 23:59:59 GMT"),))
    lab.source.behave(job_id, never, DONE)
    monitor_id = lab.api.start(jobId=job_id, pollIntervalSeconds=60)["id"]
    lab.host.advance(seconds=10)
    row = lab.row(monitor_id)
    assert row.detail is not None
    assert "asks for a wait of" in row.detail
    lab.host.run_until(lab.ended(job_id), minutes=16)


# -- settings of a live watch ------------------------------------------------------------------


def patch(lab: Lab, monitor_id: str, **settings: Any) -> Body:
    answer = lab.api.call("PATCH", f"/api/monitors/{monitor_id}", json=settings)
    assert answer.status_code == 200, answer.text
    row: Body = answer.json()["monitor"]
    return row


def test_settings_change_at_once(lab: Lab) -> None:
    job_id = new_job_id()
    monitor_id = watched(lab, job_id, pollIntervalSeconds=3_600)
    row = patch(lab, monitor_id, pollIntervalSeconds=30, labels={"team": "sales"})
    assert (row["pollIntervalSeconds"], row["labels"]) == (30, {"team": "sales"})
    before = looks(lab, job_id)
    lab.host.advance(minutes=2)
    assert looks(lab, job_id) >= before + 3
    # The change takes effect by a hint.
    assert [event for _, event, _ in log(lab, monitor_id)][-2:] == ["changed", "hinted"]
    assert lab.api.call("GET", "/api/monitors?label=team:sales").json()["monitors"]
    lab.source.behave("cancel", {"status": "cancelled"})
    patch(lab, monitor_id, timeoutSeconds=120, onExpiry="cancel")
    lab.host.run_until(lab.ended(job_id), minutes=3)
    ended_row = lab.row(monitor_id)
    assert (ended_row.state, ended_row.cancel_result) == (State.EXPIRED, "accepted")


def test_a_watch_that_ended_takes_no_settings(lab: Lab) -> None:
    monitor_id = ended(lab, new_job_id(), DONE)
    answer = lab.api.call("PATCH", f"/api/monitors/{monitor_id}", json={"paused": True})
    assert answer.status_code == 409


def test_a_paused_watch_asks_nothing_and_still_expires(lab: Lab) -> None:
    job_id = new_job_id()
    monitor_id = watched(lab, job_id, timeoutSeconds=3_600)
    patch(lab, monitor_id, paused=True)
    lab.host.advance(minutes=5)
    before = looks(lab, job_id)
    lab.host.advance(minutes=30)
    assert looks(lab, job_id) == before
    assert not lab.row(monitor_id).stale
    patch(lab, monitor_id, paused=False)
    lab.host.advance(minutes=2)
    assert looks(lab, job_id) > before
    patch(lab, monitor_id, paused=True)
    lab.host.run_until(lab.ended(job_id), minutes=30)
    assert lab.state(job_id) == "Expired"


def test_a_paused_watch_can_be_stopped(lab: Lab) -> None:
    job_id = new_job_id()
    monitor_id = watched(lab, job_id)
    patch(lab, monitor_id, paused=True)
    lab.api.call("POST", f"/api/monitors/{monitor_id}/stop?cancelJob=true")
    lab.host.run_until(lab.ended(job_id), minutes=1)
    assert (lab.state(job_id), cancels(lab)) == ("Stopped", 1)


def test_a_source_can_be_paused(lab: Lab) -> None:
    job_id, other = new_job_id(), new_job_id()
    watched(lab, job_id)
    lab.source.behave(other, RUNNING)
    lab.api.start(source="hasty", jobId=other, pollIntervalSeconds=60)
    paused = lab.api.call("POST", "/api/sources/demo/pause").json()
    assert paused["pausedSince"]
    assert lab.api.call("GET", "/api/health/details").json()["pausedSources"] == ["demo"]
    lab.host.advance(minutes=1)
    before, others = looks(lab, job_id), looks(lab, other)
    lab.host.advance(minutes=10)
    assert looks(lab, job_id) == before
    assert looks(lab, other) >= others + 9
    assert lab.api.call("POST", "/api/sources/demo/resume").json()["pausedSince"] is None
    lab.host.advance(minutes=2)
    assert looks(lab, job_id) > before
    assert lab.api.call("POST", "/api/sources/none/pause").status_code == 404


# -- texts that the hub can't carry ------------------------------------------------------------

ODD = "a\uffffb\ufffec\x00d\x1be\ud800f"


def test_no_text_that_xml_can_not_carry_reaches_the_hub(lab: Lab) -> None:
    """One such text would stall all monitors of a hub on Azure Storage."""
    job_id = new_job_id()
    said = json.dumps({"status": ODD, "message": ODD, "progress": ODD}).encode()
    lab.source.behave(job_id, Reply(200, said))
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(minutes=1)
    text = json.dumps(lab.host.status(started["id"]), ensure_ascii=False)
    assert not [each for each in "\uffff\ufffe\x00\x1b\ud800" if each in text]
    for reason in ("%EF%BF%BF", "%00", "%1B"):
        path = f"/api/monitors/{started['id']}/stop?reason=a{reason}"
        assert lab.api.call("POST", path).status_code == 400
    for job in (ODD, "\uffff", "\x00"):
        body = json.dumps({"jobId": job})
        assert lab.api.call("POST", "/api/monitors", data=body).status_code == 400


def healthy(lab: Lab) -> list[str]:
    """Four watches with nothing wrong."""
    jobs = [new_job_id() for _ in range(4)]
    for job_id in jobs:
        lab.source.behave(job_id, RUNNING)
        lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    return jobs


def keep_pace(lab: Lab, jobs: list[str]) -> None:
    """Five minutes, in which each job is looked at each minute."""
    lab.host.advance(seconds=10)  # the first polls
    before = {job_id: looks(lab, job_id) for job_id in jobs}
    lab.host.advance(minutes=5)
    # A timer may fire a second early, and so a poll fall to either side of the border.
    assert {looks(lab, job_id) - before[job_id] for job_id in jobs} <= {4, 5, 6}


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, json.dumps({"status": "processing", "message": "x" * 1_000_000}).encode()),
        Reply(200, json.dumps({"status": "x" * 1_000_000}).encode()),
        Reply(200, b"[" * 100_000),
        Reply(200, json.dumps({"status": ODD, "message": ODD * 1_000}).encode()),
        "huge",
        "html",
    ],
    ids=["long message", "long status", "deep", "no XML", "huge", "html"],
)
def test_the_answers_of_one_job_slow_no_other(lab: Lab, answer: Any) -> None:
    jobs, odd = healthy(lab), new_job_id()
    lab.source.behave(odd, answer)
    lab.api.start(jobId=odd, pollIntervalSeconds=60)
    keep_pace(lab, jobs)
    assert lab.state(odd) == "Monitoring"


@pytest.mark.parametrize("odd", [" ", "\u00a0", "a/b?c#d", "%2e%2e", "\u202e"])
def test_the_id_of_one_job_slows_no_other(lab: Lab, odd: str) -> None:
    jobs = healthy(lab)
    lab.source.behave(odd, RUNNING)
    started = lab.api.post({"jobId": odd, "pollIntervalSeconds": 60})
    assert started.status_code == 202
    keep_pace(lab, jobs)
    assert lab.host.status(started.json()["id"])["customStatus"]["polls"] >= 5


def test_a_flood_of_hints_slows_no_other(lab: Lab) -> None:
    """I7: nor is it a flood of polls."""
    jobs, flooded = healthy(lab), new_job_id()
    monitor_id = watched(lab, flooded)
    for _ in range(1_000):
        lab.host.raise_event(monitor_id, "Hint", {})
    before = looks(lab, flooded)
    keep_pace(lab, jobs)
    assert looks(lab, flooded) <= before + 5 * 60
