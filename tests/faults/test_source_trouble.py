"""The job system in trouble: every kind is an outcome, and the monitor lives on."""

import pytest

from domain.monitors.monitor_id import monitor_id
from tests.api import new_job_id
from tests.faults.conftest import SECRET, Rig
from tests.faulty_source import Reply

RUNNING = {"status": "processing", "progress": 10}
DONE = {"status": "completed", "progress": 100}

TROUBLE = {
    "500": "unreachable",
    "429-seconds": "throttled",
    "429-date": "throttled",
    "401": "unauthorized",
    "403": "unauthorized",
    "404": "notFound",
    "html": "unreachable",
    "half-json": "unreachable",
    "huge": "unreachable",
    "gzip-bomb": "unreachable",
    "slow-headers": "unreachable",
    "drip": "unreachable",
    "reset": "unreachable",
    "redirect-other": "unreachable",
}
TOO_SLOW = {"slow-headers", "drip"}


@pytest.mark.parametrize(("trouble", "outcome"), TROUBLE.items())
def test_a_watch_outlives_trouble_and_sees_the_end(rig: Rig, trouble: str, outcome: str) -> None:
    """I6: hints stand in for the hours that the back-off would take."""
    job_id = new_job_id()
    rig.source.behave(job_id, Reply(int(trouble)) if trouble.isdecimal() else trouble)
    source = "hasty" if trouble in TOO_SLOW else "demo"
    started = rig.api.start(source=source, jobId=job_id, pollIntervalSeconds=3600)
    shown = rig.api.wait(started["id"], lambda shown: shown["monitor"]["polls"] == 1)
    assert shown["monitor"]["state"] == "Monitoring"
    assert shown["monitor"]["outcome"] == outcome
    rig.source.behave(job_id, DONE)
    hint = started["sendEventPostUri"].replace("{eventName}", "Hint")
    assert rig.api.call("POST", hint, json={}).status_code == 202
    shown = rig.api.ended(started["id"])
    assert (shown["monitor"]["state"], shown["monitor"]["polls"]) == ("Succeeded", 2)


def test_an_unknown_status_is_flagged_and_watched_on(rig: Rig) -> None:
    job_id = new_job_id()
    rig.source.behave(job_id, {"status": "levitating"}, {"status": "levitating"}, DONE)
    started = rig.api.start(jobId=job_id)
    shown = rig.api.wait(started["id"], lambda shown: shown["monitor"]["polls"] >= 1)
    assert shown["monitor"]["outcome"] == "unrecognised"
    assert shown["monitor"]["rawStatus"] == "levitating"
    assert rig.api.ended(started["id"])["monitor"]["state"] == "Succeeded"


def test_a_watch_that_stays_blind_is_unreachable_at_its_expiry(rig: Rig) -> None:
    job_id = new_job_id()
    rig.source.behave(job_id, RUNNING, "500")
    started = rig.api.start(jobId=job_id, timeoutSeconds=3)
    row = rig.api.ended(started["id"])["monitor"]
    assert row["state"] == "Unreachable"
    assert row["rawStatus"] == "processing"
    assert "500" in row["reason"]


def test_an_end_seen_at_the_deadline_beats_the_expiry(rig: Rig) -> None:
    """The last poll is made at the expire time, though the next one was due an hour later."""
    job_id = new_job_id()
    rig.source.behave(job_id, RUNNING, DONE)
    started = rig.api.start(jobId=job_id, timeoutSeconds=1, pollIntervalSeconds=3600)
    row = rig.api.ended(started["id"])["monitor"]
    assert (row["state"], row["polls"]) == ("Succeeded", 2)
    assert row["lastPollAt"] >= row["expireTime"]


def test_a_job_that_was_started_but_is_known_nowhere_is_lost(rig: Rig) -> None:
    started = rig.api.start(jobId=new_job_id())
    assert rig.api.ended(started["id"])["monitor"]["state"] == "Lost"


def test_a_refused_job_is_told_and_leaves_nothing(rig: Rig) -> None:
    rig.source.behave("submit", "500")
    answer = rig.api.post({"job": {"a": 1}})
    assert answer.status_code == 502
    assert SECRET not in answer.text


def test_the_job_is_not_touched_by_its_watch(rig: Rig) -> None:
    """I5: whatever came of the watches above, nobody but the status was asked for."""
    assert rig.source.requests
    others = [r for r in rig.source.requests if r.method != "GET" and r.target != "/jobs"]
    assert not others


def test_no_secret_shows_up_anywhere(rig: Rig) -> None:
    """I9: not in a log, a row, a custom status or an answer, though every poll carries it."""
    job_id = new_job_id()
    rig.source.behave(job_id, "echo", DONE)
    started = rig.api.start(jobId=job_id)
    shown = rig.api.ended(started["id"])
    assert any(SECRET in str(r.headers) for r in rig.source.requests)
    told = rig.api.call("GET", "/runtime/webhooks/durabletask/instances?top=1000").text
    status = rig.api.call("GET", started["statusQueryGetUri"] + "&showHistory=true").text
    log = rig.stack.host.log.read_text()
    assert monitor_id("demo", job_id) in log
    check = rig.api.call("POST", "/api/sources/demo/check?jobId=echo").text
    sources = rig.api.call("GET", "/api/sources").text
    assert "echo" in check
    for text in (str(started), str(shown), told, status, log, check, sources):
        assert SECRET not in text
