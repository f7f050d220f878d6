"""The job system in trouble: every kind is an outcome, and the monitor lives on."""

from datetime import timedelta

import pytest

from domain.monitors.decide import TIMER_EARLY
from tests.api import new_job_id
from tests.faulty_source import Reply
from tests.virtual.conftest import Lab
from tests.virtual.test_time import DONE, RUNNING

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
def test_a_watch_outlives_trouble_and_sees_the_end(lab: Lab, trouble: str, outcome: str) -> None:
    """I6, and I5: the source is asked for the status, and for nothing else."""
    job_id = new_job_id()
    lab.source.behave(job_id, Reply(int(trouble)) if trouble.isdecimal() else trouble)
    source = "hasty" if trouble in TOO_SLOW else "demo"
    started = lab.api.start(source=source, jobId=job_id, pollIntervalSeconds=3_600)
    lab.host.advance(seconds=1)
    row = lab.row(started["id"])
    assert (row.state, row.outcome, row.polls) == ("Monitoring", outcome, 1)
    lab.source.behave(job_id, DONE)
    lab.host.wait_for(started["id"], hours=3)
    row = lab.row(started["id"])
    assert (row.state, row.polls) == ("Succeeded", 2)
    asked = [request for request in lab.source.requests if job_id in request.target]
    assert {request.method for request in asked} == {"GET"}


def test_an_unknown_status_is_flagged_and_watched_on(lab: Lab) -> None:
    """I6."""
    job_id = new_job_id()
    lab.source.behave(job_id, {"status": "levitating"})
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(seconds=200)
    row = lab.row(started["id"])
    assert (row.outcome, row.raw_status, row.polls) == ("unrecognised", "levitating", 4)
    lab.source.behave(job_id, DONE)
    lab.host.run_until(lab.ended(job_id))
    assert lab.state(job_id) == "Succeeded"


def test_a_watch_that_stays_blind_is_unreachable_at_its_expiry(lab: Lab) -> None:
    """I6."""
    job_id = new_job_id()
    lab.source.behave(job_id, RUNNING, "500")
    started = lab.api.start(jobId=job_id, pollIntervalSeconds=60, timeoutSeconds=600)
    lab.host.run_until(lab.ended(job_id))
    row = lab.row(started["id"])
    assert (row.state, row.raw_status) == ("Unreachable", "processing")
    assert row.ended_at is not None
    assert timedelta(0) <= row.ended_at - row.expire_time <= TIMER_EARLY
    assert "500" in str(row.reason)
