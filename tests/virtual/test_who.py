"""Who did it is in the events, in the row and in the log of a monitor."""

import json
import logging
from typing import Any

import pytest

from adapters import monitor_entities as entities
from domain.outcome import StopRequest
from tests.api import new_job_id
from tests.app.test_access import principal
from tests.virtual.conftest import Lab
from tests.virtual.test_time import RUNNING

ANN = principal("start", "stop", preferred_username="ann@example.com") | {
    "Authorization": "Bearer x"  # else it might be a cookie, and another site's wish
}


def told(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The events of that name."""
    lines = [r.getMessage() for r in caplog.records if r.name == "job_monitor.events"]
    return [line for line in map(json.loads, lines) if line["event"] == event]


@pytest.mark.parametrize(("auth", "name"), [("entra", "ann@example.com"), ("keys", "key")])
def test_who_did_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
    auth: str,
    name: str,
) -> None:
    monkeypatch.setenv("AUTH", auth)
    if auth == "entra":
        monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    lab: Lab = request.getfixturevalue("lab")
    caplog.set_level(logging.INFO)
    headers = ANN if auth == "entra" else {}
    job_id = new_job_id()
    url = f"/api/monitors/demo.{job_id}"
    lab.source.behave(job_id, RUNNING)
    lab.source.behave("submit", {"id": job_id})

    def call(method: str, path: str, **more: Any) -> None:
        assert lab.api.call(method, path, headers=headers, **more).ok

    call("POST", "/api/monitors", json={"job": {}})
    call("PATCH", url, json={"labels": {"a": "b"}})
    call("POST", f"{url}/restart")
    call("POST", "/api/sources/demo/pause")
    call("POST", "/api/sources/demo/resume")
    call("POST", f"{url}/stop?reason=enough")
    stop = lab.row(f"demo.{job_id}").stop
    assert stop == StopRequest(reason="enough", by=name)
    lab.host.run_until(lab.ended(job_id))
    call("POST", f"{url}/stop?cancelJob=true")
    events = ["submitted", "started", "settingsChanged", "restarted", "sourcePaused"]
    for event in (*events, "sourceResumed", "stopAsked"):
        assert {line["by"] for line in told(caplog, event)} == {name}, event
    assert len(told(caplog, "stopAsked")) == 2
    stored = lab.table.read(f"demo.{job_id}")
    assert stored
    by = {line.event: line.by for line in stored.log}
    assert by["started"] == by["changed"] == by["resumed"] == by["ended"] == name
    assert by["status"] is None


def test_what_an_earlier_release_wrote_names_nobody(lab: Lab) -> None:
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING)
    monitor_id = lab.api.start(jobId=job_id, pollIntervalSeconds=60)["id"]
    lab.host.advance(seconds=1)
    table = lab.table._table
    row = table.find(monitor_id, entities.ROW_KEY)
    assert row
    table.upsert({**row, "stop": json.dumps({"reason": "enough", "cancelJob": False})})
    assert lab.row(monitor_id).stop == StopRequest(reason="enough")
    lab.host.run_until(lab.ended(job_id))
    stored = lab.table.read(monitor_id)
    assert stored
    assert [line.by for line in stored.log if line.event == "ended"] == [None]
