"""A job system that refuses or repeats what it is asked: nothing secret comes out of the app."""

from domain.monitors.monitor_id import monitor_id
from tests.api import new_job_id
from tests.faults.conftest import DONE, SECRET, Rig


def test_a_refused_job_is_told_and_leaves_nothing(rig: Rig) -> None:
    rig.source.behave("submit", "500")
    answer = rig.api.post({"job": {"a": 1}})
    assert answer.status_code == 502
    assert SECRET not in answer.text


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
