"""Bad requests, black-box: a clear answer, nothing stored, nothing started."""

import json
from typing import Any

import pytest

from domain.monitors.monitor_id import monitor_id
from tests.api import Api, new_job_id

SOUND = {"source": "demo", "jobId": "never-stored"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "blue"}, "colour"),
        ({"job": {}}, "jobId"),
        ({"jobId": None}, "jobId"),
        ({"jobId": ""}, "jobId"),
        ({"jobId": "x" * 2_000}, "jobId"),
        ({"jobId": "a\u0007b"}, "jobId"),
        ({"expireTime": "2099-01-01T00:00:00"}, "expireTime"),
        ({"expireTime": "2001-01-01T00:00:00Z"}, "expireTime"),
        ({"timeoutSeconds": 0}, "timeoutSeconds"),
        ({"pollIntervalSeconds": 0}, "pollIntervalSeconds"),
        ({"source": "nope"}, "source"),
    ],
)
def test_a_fault_is_answered_with_400(api: Api, change: dict[str, Any], field: str) -> None:
    answer = api.post(SOUND | change)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 400
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff\xfe", b"[1]", b'"a"'])
def test_a_body_that_is_no_json_object_is_answered_with_400(api: Api, body: bytes) -> None:
    answer = api.call("POST", "/api/monitors", data=body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["body"]


def test_a_job_with_a_number_that_can_not_be_sent_is_answered_with_400(api: Api) -> None:
    answer = api.call("POST", "/api/monitors", data='{"source":"demo","job":{"seconds":1e999}}')
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["job"]


def test_all_faults_are_named_and_nothing_is_changed(api: Api) -> None:
    job_id = new_job_id()
    answer = api.post({"source": "demo", "jobId": job_id, "timeoutSeconds": 0, "x": 1, "y": 2})
    assert {error["field"] for error in answer.json()["errors"]} == {"timeoutSeconds", "x", "y"}
    never = monitor_id("demo", job_id)
    assert api.call("GET", f"/api/monitors/{never}").status_code == 404
    hub = "/runtime/webhooks/durabletask/instances/"
    assert api.call("GET", hub + never).status_code == 404


@pytest.mark.parametrize(("size", "status"), [(64 * 1024, 400), (64 * 1024 + 1, 413)])
def test_a_body_over_64_kib_is_answered_with_413(api: Api, size: int, status: int) -> None:
    frame = len(json.dumps({"x": ""}))
    answer = api.call("POST", "/api/monitors", data=json.dumps({"x": "y" * (size - frame)}))
    assert answer.status_code == status
    assert answer.json()["status"] == status


def test_a_job_that_the_source_refuses_is_answered_with_502(api: Api) -> None:
    answer = api.post({"source": "demo", "job": {"workload": "rm -rf"}})
    assert answer.status_code == 502
    assert "400" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cancelJob": "maybe"}, "cancelJob"),
        ({"reason": "x" * 257}, "reason"),
        ({"reason": "a\nb"}, "reason"),
    ],
)
def test_a_faulty_stop_changes_nothing(api: Api, query: dict[str, str], field: str) -> None:
    started = api.start(jobId=new_job_id(), pollIntervalSeconds=60)
    answer = api.call("POST", f"/api/monitors/{started['id']}/stop", params=query)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert api.get(started["id"])["monitor"]["stop"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "Sleeping"}, "state"),
        ({"top": "0"}, "top"),
        ({"top": "201"}, "top"),
        ({"top": "many"}, "top"),
        ({"top": "9" * 4_301}, "top"),
        ({"top": "\u0665"}, "top"),
        ({"token": "ZGVtbw=="}, "token"),
        ({"jobId": "."}, "jobId"),
        ({"token": "~"}, "token"),
        ({"token": "_w"}, "token"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_faulty_list_query_is_answered_with_400(
    api: Api, query: dict[str, str], field: str
) -> None:
    answer = api.call("GET", "/api/monitors", params=query)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("after", ["-1", "x", "1.0", "9" * 9, "9" * 4_301])
def test_a_faulty_place_in_a_log_is_answered_with_400(api: Api, after: str) -> None:
    answer = api.call("GET", "/api/monitors/demo.a", params={"logAfter": after})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["logAfter"]


def test_a_faulty_check_of_a_source_is_told(api: Api) -> None:
    assert api.call("POST", "/api/sources/nope/check?jobId=a").status_code == 404
    for job_id in ("", ".", "..", "a%00b"):
        answer = api.call("POST", f"/api/sources/demo/check?jobId={job_id}")
        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == ["jobId"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/monitors?top=&state=&source=&jobId=&jobIdPrefix=&label=&token=&bogus=", 200),
        ("GET", "/api/sources?bogus=", 200),
        ("GET", "/api/health?bogus=", 200),
        ("POST", "/api/sources/demo/check?jobId=", 400),
    ],
)
def test_an_empty_value_of_the_query_is_none(api: Api, method: str, path: str, status: int) -> None:
    """The Functions host drops it before the app sees it."""
    assert api.call(method, path).status_code == status


@pytest.mark.parametrize(
    ("query", "status"),
    [("source=a/b&jobId=x", 400), ("source=a%23%5C", 400), ("source=unknown&jobId=x", 200)],
)
def test_a_list_is_asked_for_names_that_sources_may_have(api: Api, query: str, status: int) -> None:
    answer = api.call("GET", f"/api/monitors?{query}")
    assert answer.status_code == status
    assert [error["field"] for error in answer.json().get("errors", [])] == (
        ["source"] if status == 400 else []
    )


def test_a_stop_with_an_empty_reason_has_the_usual_one(api: Api) -> None:
    started = api.start(jobId=new_job_id(), pollIntervalSeconds=60)
    url = f"/api/monitors/{started['id']}/stop"
    assert api.call("POST", f"{url}?reason=&cancelJob=&bogus=").status_code == 202
    row = api.ended(started["id"])["monitor"]
    assert (row["state"], row["reason"]) == ("Stopped", "Stopped through the API.")


def test_a_body_in_chunks_is_no_body(api: Api) -> None:
    """In Azure a body reaches the app only with its length."""
    job_id = new_job_id()
    chunks = [json.dumps({"source": "demo", "jobId": job_id}).encode()]
    answer = api.call("POST", "/api/monitors", data=iter(chunks))
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["field"] == "body"
    assert api.call("GET", f"/api/monitors/{monitor_id('demo', job_id)}").status_code == 404
    started = api.start(jobId=job_id, pollIntervalSeconds=60)
    url = f"/api/monitors/{started['id']}"
    change = api.call("PATCH", url, data=iter([b'{"labels": {"a": "b"}}']))
    assert [error["field"] for error in change.json()["errors"]] == ["body"]
    assert api.call("POST", f"{url}/notify", data=iter([b"x" * 70_000])).status_code == 202
    assert api.call("POST", f"{url}/stop", data=iter([b"x"])).status_code == 202


@pytest.mark.parametrize("action", ["stop", "notify", "restart"])
def test_what_is_asked_of_an_unknown_monitor_is_answered_with_404(api: Api, action: str) -> None:
    assert api.call("POST", f"/api/monitors/demo.{new_job_id()}/{action}").status_code == 404


@pytest.mark.parametrize("unknown", ["demo.nix", "nope", "%20", "demo~x~0"])
def test_an_unknown_monitor_is_answered_with_404(api: Api, unknown: str) -> None:
    answer = api.call("GET", f"/api/monitors/{unknown}-{new_job_id()}")
    assert answer.status_code == 404
    assert answer.json()["status"] == 404
