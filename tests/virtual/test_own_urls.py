"""With MANAGEMENT_URLS=none an answer lets its reader do what its routes let, and no more."""

import pytest

from domain.monitors.monitor import State
from tests.api import new_job_id
from tests.virtual.conftest import Lab
from tests.virtual.test_time import DONE, RUNNING

OWN = {"id", "monitorGetUri", "notifyPostUri", "stopPostUri", "restartPostUri", "monitor"}


@pytest.fixture(autouse=True)
def _no_urls_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANAGEMENT_URLS", "none")


def test_a_start_is_answered_with_urls_of_the_app(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    answer = lab.api.post({"jobId": job_id})
    started = answer.json()
    assert answer.status_code == 202
    assert started.keys() == OWN
    assert answer.headers["Location"] == started["monitorGetUri"]
    assert answer.headers["Retry-After"] == "10"
    assert "webhooks" not in answer.text
    assert lab.api.call("GET", started["monitorGetUri"]).json()["monitor"]["jobId"] == job_id
    assert lab.api.call("POST", started["notifyPostUri"]).status_code == 202
    again = lab.api.call("POST", started["restartPostUri"])
    assert again.status_code == 202
    assert {**again.json(), "monitor": None} == {**started, "monitor": None}
    stop = started["stopPostUri"].replace("{text}", "not+needed")
    assert lab.api.call("POST", stop).status_code == 202
    lab.host.run_until(lab.ended(job_id))
    row = lab.row(started["id"])
    assert (row.state, row.reason) == (State.STOPPED, "not needed")


def test_each_answer_of_a_start_has_them(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, DONE)
    lab.host.run_until(lambda: True)
    key = {"Idempotency-Key": "one"}
    for _ in range(2):
        answer = lab.api.call("POST", "/api/monitors?code=x", json={"jobId": job_id}, headers=key)
        assert answer.status_code == 202
        assert answer.json().keys() == OWN
        assert answer.json()["monitorGetUri"] == f"{lab.host.url}/api/monitors/demo.{job_id}"
    lab.host.run_until(lab.ended(job_id))
    answer = lab.api.post({"jobId": job_id})
    assert (answer.status_code, answer.json().keys()) == (200, OWN)


def test_the_cleanup_is_answered_with_its_id(lab: Lab) -> None:
    answer = lab.api.call("POST", "/api/cleanup")
    assert (answer.status_code, answer.json()) == (202, {"id": "periodic-cleanup"})


def test_a_start_of_a_batch_is_answered_with_them(lab: Lab) -> None:
    lab.source.behave("submit", {"id": new_job_id()})
    answer = lab.api.call("POST", "/api/monitors:batch?code=x", json={"starts": [{"job": {}}]})
    [each] = answer.json()["answers"]
    assert (each["status"], each["body"].keys()) == (202, OWN)
    assert lab.api.call("GET", each["body"]["monitorGetUri"]).status_code == 200
