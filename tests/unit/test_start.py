"""Start requests: every fault is named at once, and a live monitor's settings compared."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import InvalidInput
from domain.monitors.start import StartRequest, parse_start
from domain.sources.file import load_sources

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ONE = """
[sources.demo]
poll_interval_seconds = 30
timeout_seconds = 600
[sources.demo.status]
url = "http://127.0.0.1/jobs/{job_id}"
status = "status"
[sources.demo.outcomes]
succeeded = ["done"]
"""
SUBMIT = '[sources.demo.submit]\nurl = "http://127.0.0.1/jobs"\njob_id = "id"\n'
TWO = ONE + SUBMIT + ONE.replace("demo", "other")


def faults(body: object, toml: str = ONE) -> dict[str, str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidInput) as error:
        parse_start(raw, load_sources(toml, {}), NOW)
    return dict(error.value.faults)


def parsed(body: dict[str, Any], toml: str = ONE) -> StartRequest:
    return parse_start(json.dumps(body).encode(), load_sources(toml, {}), NOW).request


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"jobId": "a"',
        b'{"jobId": NaN}',
        b"\xff",
        b"[" * 60_000,
        b'{"jobId": "\\ud800"}',
        b'{"jobId": "a"} x',
    ],
)
def test_what_is_no_json_is_told(body: bytes) -> None:
    assert "is not valid JSON" in faults(body)["body"]


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
def test_a_byte_order_mark_is_no_fault(start: bytes) -> None:
    """PowerShell 5 and editors on Windows put one before the JSON that they send."""
    body = start + b'{"jobId": "a"}'
    assert parse_start(body, load_sources(ONE, {}), NOW).request.job_id == "a"
    assert "is not known" in faults(start + b'{"jobId": "a", "x": 1}')["x"]


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf", b"\xef\xbb\xbf" * 2 + b"{}", b"\xff\xfe{\0}\0"])
def test_other_marks_are_no_json(body: bytes) -> None:
    assert "is not valid JSON" in faults(body)["body"]


@pytest.mark.parametrize("body", [[], 1, "a", None, True])
def test_what_is_no_object_is_told(body: object) -> None:
    assert faults(body) == {"body": "must be a JSON object"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"jobId": ""}, "jobId"),
        ({"jobId": "x" * 1_025}, "jobId"),
        ({"jobId": "a\u0000b"}, "jobId"),
        ({"jobId": "a\nb"}, "jobId"),
        ({"jobId": "a\u0085"}, "jobId"),
        ({"jobId": "."}, "jobId"),
        ({"jobId": ".."}, "jobId"),
        ({"jobId": 5}, "jobId"),
        ({"jobId": None}, "jobId"),
        ({}, "jobId"),
        ({"job": []}, "job"),
        ({"job": {}}, "job"),  # this source takes none
        ({"jobId": "a", "jobid": "b"}, "jobid"),
        ({"jobId": "a", "job_id": "b"}, "job_id"),
        ({"jobId": "a", "source": "nope"}, "source"),
        ({"jobId": "a", "source": 1}, "source"),
        ({"jobId": "a", "expireTime": "2030-06-01T00:00:00"}, "expireTime"),
        ({"jobId": "a", "expireTime": "2030-06-01"}, "expireTime"),
        ({"jobId": "a", "expireTime": "1900000000"}, "expireTime"),
        ({"jobId": "a", "expireTime": 1_900_000_000}, "expireTime"),
        ({"jobId": "a", "expireTime": "soon"}, "expireTime"),
        ({"jobId": "a", "expireTime": "2029-12-31T23:59:59Z"}, "expireTime"),
        ({"jobId": "a", "expireTime": "2030-01-01T00:00:00Z"}, "expireTime"),
        ({"jobId": "a", "expireTime": "2031-06-01T00:00:00Z"}, "expireTime"),
        ({"jobId": "a", "expireTime": "9999-12-31T23:59:59-12:00"}, "expireTime"),
        ({"jobId": "a", "expireTime": "2030-06-01T00:00:00Z", "timeoutSeconds": 5}, "expireTime"),
        ({"jobId": "a", "timeoutSeconds": 0}, "timeoutSeconds"),
        ({"jobId": "a", "timeoutSeconds": 10**9}, "timeoutSeconds"),
        ({"jobId": "a", "timeoutSeconds": 1.5}, "timeoutSeconds"),
        ({"jobId": "a", "timeoutSeconds": True}, "timeoutSeconds"),
        ({"jobId": "a", "pollIntervalSeconds": 0}, "pollIntervalSeconds"),
        ({"jobId": "a", "pollIntervalSeconds": 86_401}, "pollIntervalSeconds"),
        ({"jobId": "a", "pollIntervalSeconds": "60"}, "pollIntervalSeconds"),
        ({"jobId": "a", "onExpiry": "explode"}, "onExpiry"),
        ({"jobId": "a", "onExpiry": "cancel"}, "onExpiry"),  # this source has no cancel
    ],
)
def test_a_fault_is_named_by_its_field(given: dict[str, Any], field: str) -> None:
    assert list(faults(given)) == [field]


def test_a_job_and_a_job_id_are_one_too_many() -> None:
    assert list(faults({"source": "demo", "jobId": "a", "job": {}}, TWO)) == ["jobId"]


def test_every_fault_of_a_request_is_named_at_once() -> None:
    body = {
        "source": "nope",
        "job": {},
        "jobId": "",
        "expireTime": "soon",
        "timeoutSeconds": -1,
        "pollIntervalSeconds": 0,
        "colour": "blue",
    }
    assert set(faults(body)) == {
        "source",
        "jobId",
        "expireTime",
        "timeoutSeconds",
        "pollIntervalSeconds",
        "colour",
    }


@pytest.mark.parametrize(
    "job_id", ["a/b", "a#1", "a?x", "a b", "a%2Fb", "ジョブ", "x" * 400, "..a"]
)
def test_a_job_id_may_be_awkward(job_id: str) -> None:
    assert parsed({"jobId": job_id}).job_id == job_id


def test_an_expire_time_is_turned_into_utc_at_the_edge() -> None:
    expire_time = parsed({"jobId": "a", "expireTime": "2030-01-01T05:00:00+02:00"})
    assert expire_time.expire_time == datetime(2030, 1, 1, 3, tzinfo=UTC)
    assert expire_time.expire_time.tzinfo is UTC


def test_the_source_must_be_named_if_there_are_several_and_no_default() -> None:
    assert "demo, other" in faults({"jobId": "a"}, TWO)["source"]
    assert parsed({"jobId": "a"}, 'default = "other"\n' + TWO).source is None


def test_a_job_is_for_a_source_that_takes_jobs() -> None:
    assert parsed({"source": "demo", "job": {"a": [1]}}, TWO).job == {"a": [1]}
    assert "no submit" in faults({"source": "other", "job": {}}, TWO)["job"]


def test_settings_that_are_left_out_are_the_sources() -> None:
    start = parse_start(b'{"jobId": "a"}', load_sources(ONE, {}), NOW)
    row = start.request.new_row(start.source, "a", NOW)
    assert (row.poll_interval_seconds, row.timeout_seconds) == (30, 600)
    assert row.expire_time == NOW + timedelta(seconds=600)


def test_only_what_a_request_says_can_differ_from_a_live_monitor() -> None:
    source = load_sources(ONE, {}).get(None)
    live = parsed({"jobId": "a", "timeoutSeconds": 60}).new_row(source, "a", NOW)
    assert not parsed({"jobId": "a"}).differences(live)
    assert not parsed({"jobId": "a", "timeoutSeconds": 60}).differences(live)
    asked = parsed({"jobId": "a", "pollIntervalSeconds": 7, "timeoutSeconds": 61})
    differences = dict(asked.differences(live))
    assert set(differences) == {"timeoutSeconds", "pollIntervalSeconds"}
    assert "7" in differences["pollIntervalSeconds"]
    assert "30" in differences["pollIntervalSeconds"]


PARTS = """
[sources.flows]
job_id_parts = ["dag", "run"]
[sources.flows.status]
url = "http://127.0.0.1/dags/{job_id.dag}/runs/{job_id.run}"
status = "status"
[sources.flows.outcomes]
succeeded = ["done"]
"""


@pytest.mark.parametrize(
    ("job_id", "text"),
    [
        ("copy/7", "copy/7"),
        ({"dag": "copy", "run": "7"}, "copy/7"),
        ({"run": 7, "dag": "copy"}, "copy/7"),
        ({"dag": "a/b", "run": "50%"}, "a%2Fb/50%25"),
        ("manual__2026-01-31T00:00:00+00:00/a b", "manual__2026-01-31T00:00:00+00:00/a b"),
    ],
)
def test_an_id_of_parts_comes_as_an_object_or_as_one_text(job_id: object, text: str) -> None:
    assert parsed({"jobId": job_id}, PARTS).job_id == text


@pytest.mark.parametrize(
    ("job_id", "what"),
    [
        ("copy", "must be DAG/RUN"),
        ("copy/7/8", "must be DAG/RUN"),
        ("copy/", "must be DAG/RUN"),
        ("copy%20/7", "must be DAG/RUN"),
        ("../7", "must be DAG/RUN"),
        ({"dag": "copy"}, "must have the parts dag, run"),
        ({"dag": "copy", "run": "7", "task": "a"}, "must have the parts dag, run"),
        ({"dag": "copy", "run": None}, "holds no job id"),
        ({"dag": "copy", "run": ""}, "must be DAG/RUN"),
    ],
)
def test_an_id_without_its_parts_is_told(job_id: object, what: str) -> None:
    given = faults({"jobId": job_id}, PARTS)
    assert given.keys() == {"jobId"}
    assert what in given["jobId"]


def test_an_object_is_no_id_of_one_part() -> None:
    assert faults({"jobId": {"a": "b"}}) == {"jobId": "must be a valid string"}
