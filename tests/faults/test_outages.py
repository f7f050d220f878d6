"""Parts that die and come back: what was promised is kept."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from demo.azurite import Azurite
from tests.api import Api, Body, eventually, new_job_id
from tests.faults.conftest import DONE, RUNNING, Rig, working


def _polled_more_than(count: int, shown: Body) -> bool:
    return bool(shown["monitor"]["polls"] > count)


def test_a_host_that_is_killed_again_and_again_still_stores_every_end(rig: Rig) -> None:
    """I2, I1: started again after `kill -9`, all monitors go on, and each ends once."""
    jobs = [new_job_id() for _ in range(8)]
    for job_id in jobs:
        rig.source.behave(job_id, RUNNING)
    started = [rig.api.start(jobId=job_id) for job_id in jobs]
    for round_ in range(3):
        rig.api.wait(started[0]["id"], partial(_polled_more_than, round_))
        rig.host.kill()
        rig.host.start()
    for job_id in jobs:
        rig.source.behave(job_id, DONE)
    for each in started:
        shown = rig.api.ended(each["id"])
        assert shown["monitor"]["state"] == "Succeeded"
        assert [line["event"] for line in shown["log"]].count("ended") == 1


@pytest.mark.long
def test_a_host_that_is_killed_among_starts_keeps_what_it_answered(rig: Rig) -> None:
    """I2: every start that was answered with success comes to its end."""
    jobs = [new_job_id() for _ in range(60)]
    for job_id in jobs:
        rig.source.behave(job_id, DONE)

    def start(job_id: str) -> bool:
        try:
            return Api(rig.host.url).post({"jobId": job_id}).status_code == 202
        except OSError:  # requests' errors are among them
            return False

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(start, job_id) for job_id in jobs]
        eventually(lambda: sum(a.done() for a in answers) >= 10, bool)
        rig.host.kill()
    accepted = [job_id for job_id, a in zip(jobs, answers, strict=True) if a.result()]
    assert 10 <= len(accepted) < len(jobs)
    rig.host.start()
    for job_id in accepted:
        assert rig.api.ended(f"demo.{job_id}")["monitor"]["state"] == "Succeeded"
    # The others were not promised anything; to ask again is all that it takes.
    for job_id in set(jobs) - set(accepted):
        assert rig.api.post({"jobId": job_id}).status_code in (200, 202)
        assert rig.api.ended(f"demo.{job_id}")["monitor"]["state"] == "Succeeded"


@pytest.fixture
def azurite(tmp_path: Path) -> Iterator[Azurite]:
    """One to stop; the others are in use."""
    with Azurite(tmp_path / "data", tmp_path / "azurite.log") as azurite:
        yield azurite


def test_without_the_store_a_start_is_refused_and_a_watch_waits(
    azurite: Azurite, tmp_path: Path
) -> None:
    """I2: the end is stored when the store is back; nothing was started meanwhile."""
    with working(tmp_path, azurite.connection_string) as rig:
        _without_the_store(azurite, rig)


def _without_the_store(azurite: Azurite, rig: Rig) -> None:
    job_id, refused = new_job_id(), new_job_id()
    rig.source.behave(job_id, RUNNING)
    rig.source.behave(refused, DONE)
    started = rig.api.start(jobId=job_id)
    rig.api.wait(started["id"], lambda shown: shown["monitor"]["polls"] >= 1)
    azurite.stop()
    answer = rig.api.post({"jobId": refused})
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    eventually(lambda: rig.api.call("GET", "/api/health").status_code, (503).__eq__)
    details = rig.api.call("GET", "/api/health/details")
    assert (details.status_code, "Table storage" in details.text) == (503, True)
    submitted = sum(r.method == "POST" for r in rig.source.requests)
    assert rig.api.post({"job": {"a": 1}}).status_code == 503
    assert sum(r.method == "POST" for r in rig.source.requests) == submitted
    rig.source.behave(job_id, DONE)
    url = started["statusQueryGetUri"]
    status = eventually(
        lambda: rig.api.call("GET", url).json(),
        lambda status: status["customStatus"]["storeAttempts"] >= 1,
        deadline=60,
    )
    assert status["runtimeStatus"] == "Running"
    assert status["customStatus"]["state"] == "Succeeded"
    azurite.start()
    assert rig.api.ended(started["id"], deadline=60)["monitor"]["state"] == "Succeeded"
    assert rig.api.call("GET", f"/api/monitors/demo.{refused}").status_code == 404
    assert rig.api.post({"jobId": refused}).status_code == 202
    assert rig.api.ended(f"demo.{refused}")["monitor"]["state"] == "Succeeded"


def test_a_watch_that_was_terminated_and_purged_begins_again_with_the_next_start(
    rig: Rig,
) -> None:
    """I2: the look that saw the end stored it."""
    job_id = new_job_id()
    rig.source.behave(job_id, RUNNING)
    started = rig.api.start(jobId=job_id, pollIntervalSeconds=60)
    terminate = started["terminatePostUri"].replace("{text}", "x")
    assert rig.api.call("POST", terminate).status_code == 202
    rig.api.wait(started["id"], lambda shown: shown["runtimeStatus"] == "Terminated")
    assert rig.api.call("DELETE", started["purgeHistoryDeleteUri"]).status_code == 200
    assert rig.api.get(started["id"])["runtimeStatus"] is None
    rig.source.behave(job_id, DONE)
    assert rig.api.get(started["id"])["monitor"]["state"] == "Terminated"
    assert rig.api.post({"jobId": job_id}).status_code == 202
    shown = rig.api.ended(started["id"])
    assert (shown["monitor"]["state"], shown["monitor"]["run"]) == ("Succeeded", 2)


def test_stopping_the_host_in_order_is_clean(rig: Rig) -> None:
    """It ends by itself, and is not killed."""
    rig.host.stop(grace=60)
    assert rig.host._process
    assert rig.host._process.returncode == 0
    assert "Traceback" not in rig.host.log.read_text()
    rig.host.start()
