"""A job system that refuses or repeats what it is asked: nothing secret comes out of the app."""

import base64
import json

import pytest

from domain.monitors.monitor_id import monitor_id
from tests.api import new_job_id
from tests.faults.conftest import DONE, SECRET, Rig
from tests.faulty_source import Reply


def test_a_refused_job_is_told_and_leaves_nothing(rig: Rig) -> None:
    rig.source.behave("submit", "500")
    answer = rig.api.post({"job": {"a": 1}})
    assert answer.status_code == 502
    assert SECRET not in answer.text


@pytest.mark.long
@pytest.mark.parametrize(
    "encoded",
    [
        json.dumps(SECRET).replace("-", "\\u002D"),
        SECRET.replace("-", "%2d"),
        SECRET.replace("-", "&#45;"),
        base64.b64encode(f"u:{SECRET}".encode()).decode(),
    ],
)
def test_a_secret_that_a_refusal_encodes_is_not_told(rig: Rig, encoded: str) -> None:
    """I9."""
    job_id = new_job_id()
    refusal = Reply(409, f"no {encoded} here".encode())
    for step in ("submit", "cancel", job_id):
        rig.source.behave(step, refusal)
    answers = [rig.api.post({"job": {"a": 1}})]
    answers.append(rig.api.call("POST", f"/api/sources/demo/check/raw?jobId={job_id}"))
    started = rig.api.start(jobId=job_id, timeoutSeconds=1, onExpiry="cancel")
    shown = rig.api.ended(started["id"])
    rig.source.behave("submit", DONE)
    rig.source.behave("cancel", DONE)
    assert answers[0].status_code == 502
    assert "no ***" in answers[0].json()["detail"].replace('"', "")
    assert "no ***" in answers[1].json()["answer"]["body"].replace('"', "")
    assert shown["monitor"]["cancelResult"] == "not accepted: HTTP 409"
    for text in (answers[0].text, answers[1].text, str(shown), rig.host.log.read_text()):
        assert encoded not in text
        assert json.dumps(encoded)[1:-1] not in text


def test_no_secret_shows_up_anywhere(rig: Rig) -> None:
    """I9: not in a log, a row, a custom status or an answer, though every poll carries it."""
    job_id = new_job_id()
    rig.source.behave(job_id, "echo", DONE)
    started = rig.api.start(jobId=job_id)
    shown = rig.api.ended(started["id"])
    assert any(SECRET in str(r.headers) for r in rig.source.requests)
    told = rig.api.call("GET", "/runtime/webhooks/durabletask/instances?top=1000").text
    status = rig.api.call("GET", started["statusQueryGetUri"] + "&showHistory=true").text
    log = rig.host.log.read_text()
    assert monitor_id("demo", job_id) in log
    check = rig.api.call("POST", "/api/sources/demo/check/raw?jobId=echo").text
    sources = rig.api.call("GET", "/api/sources").text
    assert "echo" in check
    for text in (str(started), str(shown), told, status, log, check, sources):
        assert SECRET not in text
