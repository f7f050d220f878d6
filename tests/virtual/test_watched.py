"""The watchdog says at every run how the monitors are, and tells its own errors."""

import logging
from typing import Any

import pytest

from adapters import hub
from domain.errors import StoreUnavailable
from tests.api import new_job_id
from tests.virtual.conftest import Lab
from tests.virtual.test_time import DONE, RUNNING
from tests.virtual.test_who import told

pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")


@pytest.fixture(autouse=True)
def _all_events(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def last(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    return told(caplog, "watched")[-1]


def test_no_monitor_is_told_too(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Its absence says that the watchdog does not run, so that it comes whatever there is."""
    lab.host.advance(minutes=16)
    assert len(told(caplog, "watched")) in (3, 4)
    numbers = {name: value for name, value in last(caplog).items() if value == 0}
    assert numbers.keys() >= {"live", "ends", "blind", "stale", "unchecked", "paused"}
    assert last(caplog)["complete"] is True
    assert last(caplog)["bySource"] == {}
    assert last(caplog)["pollLatencyP50"] is last(caplog)["endLagP95"] is None


def test_the_state_of_all_monitors_is_told(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.host.advance(seconds=1)  # after the run at the start of the host
    jobs = {name: new_job_id() for name in ("fine", "blind", "paused", "slow", "done")}
    for job_id in jobs.values():
        lab.source.behave(job_id, RUNNING)
    lab.source.behave(jobs["blind"], "401")
    lab.source.behave(jobs["done"], DONE)
    more: dict[str, dict[str, Any]] = {"slow": {"warnAfterSeconds": 60, "source": "hasty"}}
    for name, job_id in jobs.items():
        lab.api.start(jobId=job_id, pollIntervalSeconds=60, **more.get(name, {}))
    url = f"/api/monitors/demo.{jobs['paused']}"
    assert lab.api.call("PATCH", url, json={"paused": True}).ok
    lab.host.advance(minutes=6)
    watched = last(caplog)
    assert watched["bySource"] == {
        "demo": {"Monitoring": 3, "Succeeded": 1},
        "hasty": {"Monitoring": 1},
    }
    assert (watched["live"], watched["ends"]) == (4, 1)
    flags = ("blind", "paused", "overdue", "stale", "stalled", "unchecked")
    assert [watched[flag] for flag in flags] == [1, 1, 1, 0, 0, 0]
    assert watched["pollLatencyP50"] is not None
    assert 0 <= watched["pollLatencyP50"] <= watched["pollLatencyP95"] < 60
    assert 0 <= watched["endLagP50"] == watched["endLagP95"] < 60
    lab.host.suspend(f"demo.{jobs['fine']}")
    lab.host.advance(minutes=10)
    # Each end is counted once.
    assert last(caplog)["ends"] == 0
    assert last(caplog)["stale"] == 1


def test_a_blind_monitor_is_told_at_every_run(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Its alert resolves itself after a while, so that one event would not do."""
    job_id = new_job_id()
    lab.source.behave(job_id, "401")
    lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(minutes=1)
    before = len(told(caplog, "blind"))
    lab.host.advance(minutes=30)
    blind = told(caplog, "blind")[before:]
    assert len(blind) >= 5
    assert {(each["monitor"], each["detail"]) for each in blind} == {
        (f"demo.{job_id}", lab.row(f"demo.{job_id}").detail)
    }
    lab.source.behave(job_id, RUNNING)
    lab.host.run_until(lambda: not lab.row(f"demo.{job_id}").blind)
    seen = len(told(caplog, "blind"))
    lab.host.advance(minutes=15)
    assert len(told(caplog, "blind")) == seen


def test_a_monitor_that_cannot_be_checked_is_told(
    lab: Lab, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = new_job_id(), new_job_id()
    for job_id in (bad, good):
        lab.source.behave(job_id, RUNNING)
        lab.api.start(jobId=job_id, pollIntervalSeconds=3_600)
    lab.host.advance(seconds=1)
    find = hub.find

    async def fails(client: Any, instance_id: str, *of: Any) -> Any:
        if instance_id.endswith(bad):
            raise KeyError(instance_id)
        return await find(client, instance_id, *of)

    monkeypatch.setattr("adapters.hub.find", fails)
    lab.host.advance(minutes=6)
    [failed] = told(caplog, "notChecked")
    assert (failed["monitor"], failed["detail"]) == (f"demo.{bad}", "KeyError")
    assert (last(caplog)["live"], last(caplog)["unchecked"]) == (1, 1)


@pytest.mark.parametrize(
    ("error", "detail"), [(StoreUnavailable("away"), "away"), (KeyError("secret"), "KeyError")]
)
def test_the_watchdogs_own_errors_are_told(
    lab: Lab,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    detail: str,
) -> None:
    lab.host.advance(seconds=1)
    runs = len(told(caplog, "watched"))

    async def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr("adapters.hub.ensure_cleanup", fails)
    lab.host.advance(minutes=6)
    assert {each["detail"] for each in told(caplog, "watchdogFailed")} == {detail}
    assert len(told(caplog, "watched")) == runs
    monkeypatch.undo()
