"""Many starts in one request, black-box: each gets the answer that it would get alone."""

import json
from typing import Any

import pytest

from tests.api import Api, Body, new_job_id

BATCH = "/api/monitors:batch"


def batch(api: Api, *starts: Any) -> list[Body]:
    answer = api.call("POST", BATCH, json={"starts": starts})
    assert answer.status_code == 200, answer.text
    answers: list[Body] = answer.json()["answers"]
    assert len(answers) == len(starts)
    return answers


def test_each_start_of_a_batch_is_answered_as_alone(api: Api) -> None:
    """In order; one that fails stops no other."""
    live: Body = {"jobId": new_job_id(), "source": "demo", "pollIntervalSeconds": 60}
    assert api.post(live).status_code == 202
    starts: list[Any] = [
        {"source": "demo", "jobId": "a", "timeoutSeconds": 0, "colour": "blue"},
        {"source": "none", "job": {}, "jobId": "a"},
        {"source": "demo"},
        ["source", "demo"],
        {"source": "demo", "job_id": "a"},
        {"source": "demo", "jobId": "a", "labels": {"a": "b" * 64 * 1024}},
        {"source": "demo", "job": {"workload": "rm -rf"}},
        live,
        live | {"pollIntervalSeconds": 61},
    ]
    alone = [api.call("POST", "/api/monitors", json=start) for start in starts]
    assert [each.status_code for each in alone] == [400, 400, 400, 400, 400, 413, 502, 200, 409]
    new: list[Body] = [{"jobId": new_job_id()}, {"job": {"workload": "primes", "seconds": 1}}]
    new = [each | {"source": "demo", "pollIntervalSeconds": 60} for each in new]
    answers = batch(api, new[0], *starts, new[1])
    for answer, single in zip(answers[1:-1], alone, strict=True):
        assert answer["status"] == single.status_code
        if single.status_code in (200, 409, 413):
            assert answer["body"].keys() == single.json().keys()
            assert answer["body"].get("errors") == single.json().get("errors")
        else:
            assert answer["body"] == single.json()
    first = api.post(live | {"jobId": new_job_id()}).json()
    for wanted, answer in ((new[0], answers[0]), (new[1], answers[-1])):
        assert answer["status"] == 202
        assert answer["body"].keys() == first.keys()
        monitor = answer["body"]["monitor"]
        assert monitor["jobId"] == wanted.get("jobId", monitor["jobId"])
        assert api.get(monitor["id"])["monitor"]["state"] == "Monitoring"
        shown = api.call("GET", answer["body"]["statusQueryGetUri"]).json()
        assert shown["instanceId"] == monitor["id"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"{", ["body"]),
        (b"[1]", ["body"]),
        (b"{}", ["starts"]),
        (b'{"starts": null, "colour": 1}', ["starts", "colour"]),
        (b'{"starts": []}', ["starts"]),
        (json.dumps({"starts": [{}] * 101}).encode(), ["starts"]),
        (b'{"starts": [{"jobId": "never-started", "source": "demo"}], "dry": true}', ["dry"]),
    ],
)
def test_a_batch_without_a_sound_frame_is_answered_with_400(
    api: Api, body: bytes, fields: list[str]
) -> None:
    """Every fault is named, and nothing is started."""
    answer = api.call("POST", BATCH, data=body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == fields
    options: dict[str, Any] = {"params": {"source": "x"}, "headers": {"Idempotency-Key": "x"}}
    answer = api.call("POST", BATCH, data=body, **options)
    named = [error["field"] for error in answer.json()["errors"]]
    assert named == ["source", "Idempotency-Key", *fields]
    assert api.call("GET", "/api/monitors/demo.never-started").status_code == 404


def test_a_batch_over_its_limit_is_answered_with_413(api: Api) -> None:
    assert api.call("POST", BATCH, data=b" " * (100 * 64 * 1024 + 1)).status_code == 413


def test_each_start_of_a_batch_may_have_its_key(api: Api) -> None:
    """A repeat of the whole batch starts nothing again."""
    job = {"source": "demo", "job": {"workload": "primes", "seconds": 1}}
    key = new_job_id()
    keys = [key + "-1", key + "-2", f'"{key}-1"', key + "-1", "not sound", 7, None]
    starts = [job | {"idempotencyKey": each} for each in keys]
    starts[3]["timeoutSeconds"] = 60
    once, again = batch(api, *starts), batch(api, *starts)
    assert [each["status"] for each in once] == [202, 202, 202, 422, 400, 400, 202]
    ids = [each["body"]["id"] for each in once if each["status"] == 202]
    assert ids[0] == ids[2]
    assert len(set(ids)) == 3
    assert [each["body"].get("id") for each in again[:3]] == ids[:3]
    assert again[-1]["body"]["id"] not in ids
    for answer in once[4:6]:
        assert [error["field"] for error in answer["body"]["errors"]] == ["idempotencyKey"]


def test_a_key_that_came_with_a_single_start_holds_in_a_batch(api: Api) -> None:
    job = {"source": "demo", "job": {"workload": "primes", "seconds": 1}}
    key = new_job_id()
    spaced = json.dumps(job, indent=1)  # as no other start is
    alone = api.call("POST", "/api/monitors", data=spaced, headers={"Idempotency-Key": key})
    [answer] = batch(api, job | {"idempotencyKey": key})
    assert (answer["status"], answer["body"]["id"]) == (202, alone.json()["id"])
