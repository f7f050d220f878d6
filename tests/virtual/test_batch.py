"""A batch of starts: its order, its bounds, and what it does when parts of it fail."""

import threading
import time
from typing import Any

import pytest

from adapters.services import get_services
from domain.errors import StoreUnavailable
from tests.api import Api, Body, eventually, new_job_id
from tests.faulty_source import Answer
from tests.virtual.conftest import Lab
from tests.virtual.test_time import DONE, RUNNING

BATCH = "/api/monitors:batch"
AT_ONCE = 8


def batch(api: Api, *starts: Body) -> list[tuple[int, Body]]:
    answer = api.call("POST", BATCH, json={"starts": starts})
    assert answer.status_code == 200, answer.text
    return [(each["status"], each["body"]) for each in answer.json()["answers"]]


@pytest.mark.long
def test_a_hundred_starts_have_a_hundred_watches(lab: Lab) -> None:
    ids = [new_job_id() for _ in range(100)]
    for job_id in ids:
        lab.source.behave(job_id, DONE)
    answers = batch(lab.api, *({"jobId": each} for each in ids))
    assert [(status, body["monitor"]["jobId"]) for status, body in answers] == [
        (202, job_id) for job_id in ids
    ]
    lab.host.run_until(lab.ended(*ids), minutes=5)


def test_starts_of_the_same_job_come_one_after_the_other(lab: Lab) -> None:
    """As two requests: the first is new, and the next ones meet its watch."""
    jobs = [new_job_id() for _ in range(3)]
    for job_id in jobs:
        lab.source.behave(job_id, RUNNING)
    starts: list[Body] = []
    for job_id in jobs:
        starts += [
            {"jobId": job_id, "labels": {"a": "first"}},
            {"jobId": job_id, "labels": {"a": "other"}},
            {"jobId": job_id, "source": "demo"},
        ]
    answers = batch(lab.api, *starts)
    assert [status for status, _ in answers] == [202, 409, 200] * 3
    for number, job_id in enumerate(jobs):
        _, stands = answers[3 * number + 1]
        assert stands["monitor"]["labels"] == {"a": "first"}
        assert lab.row(f"demo.{job_id}").run == 1


def test_starts_that_name_their_job_themselves_come_one_after_the_other(lab: Lab) -> None:
    under_way: list[int] = []
    most: list[int] = []

    def submit() -> Answer:
        under_way.append(1)
        most.append(len(under_way))
        time.sleep(0.05)
        under_way.pop()
        return {}

    job_id = new_job_id()
    lab.source.behave("submit", submit)
    lab.source.behave(job_id, RUNNING)
    starts: list[Body] = [{"source": "named", "job": {"name": job_id}}] * 4
    answers = batch(lab.api, *starts)
    assert [status for status, _ in answers] == [202, 200, 200, 200]
    assert max(most) == 1


def test_some_starts_of_a_batch_are_under_way_at_once(lab: Lab) -> None:
    go_on = threading.Event()
    asked: list[int] = []

    def submit() -> Answer:
        asked.append(1)
        assert go_on.wait(60)
        return {"id": new_job_id()}

    lab.source.behave("submit", submit)
    found: list[Any] = []
    starts: list[Body] = [{"job": {}} for _ in range(3 * AT_ONCE)]
    thread = threading.Thread(target=lambda: found.extend(batch(lab.api, *starts)))
    thread.start()
    try:
        eventually(lambda: len(asked), AT_ONCE.__eq__)
        # Another caller finds its way meanwhile.
        assert lab.api.post({"jobId": new_job_id()}).status_code == 202
        assert len(asked) == AT_ONCE
    finally:
        go_on.set()
        thread.join()
    assert [status for status, _ in found] == [202] * len(starts)


def test_a_batch_begins_nothing_after_its_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """I5: the rest is told with 503, and does nothing. A start under way comes to its end."""
    clock = [0.0]
    monkeypatch.setattr("triggers.start_batch.monotonic", lambda: clock[0])

    def submit() -> Answer:
        clock[0] = 61.0
        return {"id": new_job_id()}

    lab.source.behave("submit", submit)
    starts: list[Body] = [{"job": {}, "idempotencyKey": "same"}] * 2
    (first, begun), (second, late) = batch(lab.api, *starts)
    assert (first, second) == (202, 503)
    assert "Nothing" in late["detail"]
    assert [each.method for each in lab.source.requests].count("POST") == 1
    clock[0] = 0.0
    assert [(status, body["id"]) for status, body in batch(lab.api, *starts)] == [
        (202, begun["id"])
    ] * 2


def test_an_error_that_nobody_foresaw_costs_the_others_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    services = get_services()
    submit = services.jobs.submit

    def broken(source: Any, job: Body) -> str:
        if job:
            raise KeyError("a bug")
        return submit(source, job)

    monkeypatch.setattr(services.jobs, "submit", broken)
    lab.source.behave("submit", {"id": new_job_id()})
    answers = batch(lab.api, {"job": {"a": 1}}, {"job": {}}, {"jobId": new_job_id()})
    assert [status for status, _ in answers] == [500, 202, 202]
    assert answers[0][1]["title"] == "Internal Server Error"
    assert "a bug" in caplog.text


def test_what_the_store_fails_in_is_told_for_each(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = get_services()
    claim = services.monitors.claim
    lost = new_job_id()

    def failing(row: Any, by: str) -> bool:
        if row.job_id == lost:
            raise StoreUnavailable("away")
        return claim(row, by)

    monkeypatch.setattr(services.monitors, "claim", failing)
    answers = batch(lab.api, {"jobId": lost}, {"jobId": new_job_id()})
    assert [status for status, _ in answers] == [503, 202]
