"""A monitor that release 0.1 named goes on under its name."""

import pytest

from adapters.services import get_services
from domain import names
from domain.monitors.monitor_id import earlier_id, monitor_id
from domain.monitors.start import StartRequest
from tests.virtual.conftest import Lab
from tests.virtual.test_time import DONE, RUNNING


@pytest.mark.parametrize("started", [False, True])
def test_a_start_finds_the_watch_of_the_release_before(lab: Lab, started: bool) -> None:
    """I1: also where that release was cut off between its claim and its start."""
    job_id = "a" * 98
    known = earlier_id("demo", job_id)
    assert known
    lab.source.behave(job_id, RUNNING)
    source = get_services().sources.get("demo")
    row = StartRequest(job_id=job_id).new_row(source, job_id, lab.host.now)
    row = row.model_copy(update={"id": known})
    lab.table.claim(row)
    if started:
        lab.host.start(names.JOB_MONITORING, known, row.first_watch().to_wire())
        lab.host.advance(seconds=1)
    answer = lab.api.post({"jobId": job_id})
    assert answer.status_code == 200
    assert answer.json()["monitor"]["id"] == known
    lab.host.advance(minutes=5)
    assert lab.table.get(monitor_id("demo", job_id)) is None
    lab.source.behave(job_id, DONE)
    lab.host.wait_for(known)
    assert lab.row(known).state == "Succeeded"
    again = lab.api.post({"jobId": job_id, "fresh": True})
    assert again.status_code == 202
    assert (again.json()["monitor"]["id"], again.json()["monitor"]["run"]) == (known, 2)


def test_a_job_that_0_1_did_not_know_has_an_id_that_every_backend_takes(lab: Lab) -> None:
    job_id = "a" * 98
    lab.source.behave(job_id, RUNNING)
    monitor = lab.api.start(jobId=job_id)["monitor"]
    assert monitor["id"] == monitor_id("demo", job_id)
    assert len(monitor["id"]) <= 100
    lab.host.advance(seconds=1)
    assert lab.row(monitor["id"]).polls >= 1
