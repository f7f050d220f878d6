"""One source that is slow, or hangs: the others go on, and nothing is lost by waiting."""

import json
import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest

from adapters.services import get_services
from tests.api import eventually, new_job_id
from tests.faulty_source import Answer
from tests.virtual.conftest import Lab
from tests.virtual.test_time import DONE, RUNNING

_MANY = 24  # more than the host runs activities at once
_LIMIT = 8


def test_a_source_that_hangs_leaves_room_for_the_others(lab: Lab) -> None:
    """I6: the polls that found no place count as no failure, and come again soon."""
    go_on = threading.Event()

    def answer() -> Answer:
        assert go_on.wait(60)
        return DONE

    slow, quick = [new_job_id() for _ in range(_MANY)], new_job_id()
    for job_id in slow:
        lab.source.behave(job_id, answer)
    lab.source.behave(quick, RUNNING)
    try:
        for job_id in slow:
            lab.api.start(source="demo", jobId=job_id, pollIntervalSeconds=60)
        eventually(lambda: len(lab.source.requests), _LIMIT.__eq__)
        started = lab.api.start(source="settling", jobId=quick, pollIntervalSeconds=60)
        eventually(lambda: lab.row(started["id"]).polls, bool)
        assert len(lab.source.requests) == _LIMIT + 1
    finally:
        go_on.set()
    lab.host.advance(seconds=0)
    away = [row for row in (lab.row(f"demo.{job_id}") for job_id in slow) if not row.polls]
    assert len(away) == _MANY - _LIMIT
    waits = {row.next_poll_at - lab.host.now for row in away if row.next_poll_at}
    assert min(waits) >= timedelta(seconds=10)
    assert max(waits) <= timedelta(seconds=20)
    assert len(waits) > _LIMIT  # not all at once
    lab.host.run_until(lab.ended(*slow), minutes=3)
    for job_id in slow:
        row = lab.row(f"demo.{job_id}")
        assert (row.state, row.failures, row.polls, row.stale) == ("Succeeded", 0, 1, False)


@pytest.mark.parametrize("stopped", [False, True])
def test_the_last_look_needs_no_place(lab: Lab, stopped: bool) -> None:
    """I2: an end seen at the deadline beats expiry, and one seen at a stop beats that."""
    job_id = new_job_id()
    lab.source.behave(job_id, DONE)
    services = get_services()
    with ExitStack() as taken:
        for _ in range(_LIMIT):
            taken.enter_context(services.places.take(services.sources.get("demo"), always=False))
        started = lab.api.start(jobId=job_id, timeoutSeconds=300, pollIntervalSeconds=60)
        lab.host.advance(seconds=250)
        assert lab.source.requests == []
        if stopped:
            assert lab.api.call("POST", f"/api/monitors/{started['id']}/stop").status_code == 202
        lab.host.wait_for(started["id"])
    assert len(lab.source.requests) == 1
    row = lab.row(started["id"])
    assert (row.state, row.polls) == ("Succeeded", 1)


def test_a_crowded_source_is_told_once_a_minute(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    services = get_services()
    source = services.sources.get("demo").model_copy(update={"max_concurrent_polls": 1})
    with services.places.take(source, always=False) as first:
        for _ in range(3):
            with services.places.take(source, always=False) as second:
                assert (first, second) == (True, False)
    with services.places.take(source, always=False) as found:
        assert found
    assert [json.loads(each.message) for each in caplog.records if "crowded" in each.message] == [
        {"event": "crowded", "source": "demo", "limit": 1}
    ]
