"""Each row of the table at the top of docs/sources.md, run against a system that does so."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest

from adapters.job_api import JobApi
from domain.errors import SourceRefused
from domain.outcome import Outcome
from domain.sources.file import load_sources
from domain.sources.source import Source
from tests.app.loading import ROOT
from tests.faulty_source import FaultySource, Reply

NOW = datetime(2026, 1, 2, tzinfo=UTC)
JOB = "7"
API = JobApi()
BASE = """
allow_http = true
status.url = "https://jobs.example/jobs/{job_id}"
status.status = "state"
submit.url = "https://jobs.example/jobs"
submit.job_id = "id"
cancel.url = "https://jobs.example/jobs/{job_id}/cancel"
outcomes.running = ["running"]
outcomes.succeeded = ["ok"]
outcomes.failed = ["bad"]
"""
ROW = re.compile(r"^\| (.+?) \| (`.+`) \|$")
SPAN = re.compile(r"`([a-z_.]+ = .+?)`(?= and `[a-z_.]+ = |$)")


def rows() -> dict[str, list[str]]:
    """The lines to write, by what the system does."""
    text = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
    table = text.partition("| Your system ... |")[2].partition("\n\n")[0]
    found = [ROW.match(line) for line in table.splitlines()]
    return {row[1]: SPAN.findall(row[2].replace("\\|", "|")) for row in found if row}


ROWS = rows()


def source_of(row: str, server: FaultySource) -> Source:
    lines = ROWS[row]
    own = {line.partition(" = ")[0] for line in lines}
    kept = [line for line in BASE.splitlines() if line.partition(" = ")[0] not in own]
    text = "\n".join(["[sources.x]", *kept, *lines])
    return load_sources(text.replace("https://jobs.example", server.url), {}).get("x")


@dataclass(frozen=True)
class Shown:
    """An answer, and the poll that it must be: the outcome, and other fields."""

    answer: Any
    outcome: Outcome
    more: Mapping[str, Any] = field(default_factory=dict)


def reply(status: int, body: object = b"", **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, raw, tuple((name.replace("_", "-"), v) for name, v in headers.items()))


RUN, OK, BAD = Outcome.RUNNING, Outcome.SUCCEEDED, Outcome.FAILED
NO, SLOW, AUTH = Outcome.NOT_FOUND, Outcome.THROTTLED, Outcome.UNAUTHORIZED
UNREACHABLE = Outcome.UNREACHABLE
POLLS: dict[str, list[Shown]] = {
    "says the status in a field of a field": [Shown({"properties": {"status": "ok"}}, OK)],
    "says it with a code": [Shown({"exit_code": 0}, OK, {"raw_status": "0"})],
    "says the end in a second field": [
        Shown({"state": "running", "result": "bad"}, RUN),
        Shown({"state": "completed", "result": "bad"}, BAD),
    ],
    "says it in two fields together": [Shown({"state": "completed", "result": "ok"}, OK)],
    "has a list of conditions": [
        Shown({"conditions": []}, RUN),
        Shown(
            {"conditions": [{"type": "x", "status": "False"}, {"type": "ok", "status": "True"}]}, OK
        ),
    ],
    "answers with jobs by their ids": [
        Shown({"jobs": {"6": {"state": "bad"}, JOB: {"state": "ok"}}}, OK)
    ],
    "has numbers as ids in its lists": [
        Shown({"jobs": [{"id": 6, "state": "bad"}, {"id": 7, "state": "ok"}]}, OK)
    ],
    "says the status in a header": [
        Shown(reply(200, X_Job_Status="ok"), OK),
        Shown(reply(200, b"<html>", X_Job_Status="running"), RUN),
    ],
    "says it with plain text": [
        Shown(reply(200, b"ok\n", Content_Type="text/plain; charset=utf-8"), OK)
    ],
    "says it with the HTTP status alone": [
        Shown(reply(202), RUN, {"raw_status": "HTTP 202", "detail": None}),
        Shown(reply(204), OK, {"raw_status": "HTTP 204"}),
        Shown(reply(500), UNREACHABLE),
    ],
    'says "done" with 303 and "failed" with 409': [
        Shown(reply(303, Location="/jobs/ok"), OK),
        Shown(reply(409, {"state": "ok"}), BAD),
    ],
    "has the answer behind a 303": [Shown(reply(303, Location="/jobs/behind"), OK)],
    "answers 500 with a whole body for a failed job": [
        Shown(reply(500, {"state": "bad"}), BAD),
        Shown(reply(500, b"<html>"), UNREACHABLE),
        Shown(reply(503, {"error": "busy"}), UNREACHABLE),
        Shown(reply(404), NO),
    ],
    'says "no such job" with 500 or 400': [
        Shown(reply(500, {"error": "unknown job 7"}), NO),
        Shown(reply(500, {"error": "no memory"}), UNREACHABLE),
        Shown(reply(500), UNREACHABLE),
    ],
    'says "no such job" with 200': [
        Shown({"found": False}, NO),
        Shown({"found": True, "state": "ok"}, OK),
    ],
    "leaves a job out of its list once it is forgotten": [
        Shown({"jobs": [{"id": JOB}], "state": "ok"}, OK),
        Shown({"jobs": [{"id": "77"}]}, NO),
        Shown({"jobs": []}, NO),
        Shown({"error": "no jobs shown"}, Outcome.UNRECOGNISED),
    ],
    "forgets a job once it has ended well": [Shown(reply(404), NO)],
    "says 404 while the job is being made": [Shown(reply(404), RUN), Shown(reply(410), NO)],
    'says "slow down" with 403 or 503': [
        Shown(reply(403, {"message": "secondary rate limit"}), SLOW),
        Shown(
            reply(503, {"message": "rate limit"}, Retry_After="7"), SLOW, {"retry_after_seconds": 7}
        ),
        Shown(reply(403, {"message": "bad token"}), AUTH),
    ],
    "says in the body how long to wait": [
        Shown(reply(429, {"retry_in": 2.5}), SLOW, {"retry_after_seconds": 2.5}),
        Shown({"state": "ok"}, OK),
    ],
    'says "bad credentials" with 200': [Shown({"error": "login required"}, AUTH)],
    "tells progress as a ratio": [
        Shown({"state": "running", "ratio": 0.42}, RUN, {"progress": 42})
    ],
    "tells progress as done of a total": [
        Shown({"state": "running", "done": 3, "total": 12}, RUN, {"progress": 25}),
        Shown({"state": "running", "done": 0, "total": 0}, RUN, {"progress": None}),
    ],
    'tells progress as text, "42%" or "3 of 10"': [
        Shown({"state": "running", "progress": "42%"}, RUN, {"progress": 42}),
        Shown({"state": "running", "progress": "3 of 10"}, RUN, {"progress": 30}),
    ],
}
SUBMITS: dict[str, list[tuple[Reply, str | None]]] = {
    "answers 200 to a start that it refused": [
        (reply(200, {"accepted": True, "id": "8"}), "8"),
        (reply(200, {"accepted": False, "why": "queue is full"}), None),
    ],
    "says the id of a started job in Location": [
        (reply(202, Location="https://jobs.example/jobs/a%2Fb?api-version=1"), "a/b"),
        (reply(201, Location="/jobs/8/"), "8"),
    ],
    "says that id in another header": [(reply(202, X_Job_Id="8"), "8")],
}
CANCELS = {
    "answers 200 to a cancel that it refused": [
        (reply(200, {"success": True}), True),
        (reply(200, {"success": False, "message": "too late"}), False),
    ]
}
ALONE = {
    "answers with a list of all jobs",
    "takes a form",
    "speaks GraphQL",
    "has ids of two parts",
}


def test_each_row_has_its_test() -> None:
    assert ROWS.keys() == {*POLLS, *SUBMITS, *CANCELS, *ALONE}
    assert all(ROWS.values())


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        pytest.param(row, shown, id=f"{row}-{number}")
        for row, all_shown in POLLS.items()
        for number, shown in enumerate(all_shown)
    ],
)
def test_an_answer_to_a_poll(server: FaultySource, row: str, shown: Shown) -> None:
    server.behave("behind", {"state": "ok"})
    server.behave(JOB, shown.answer)
    poll = API.poll(source_of(row, server), JOB, NOW)
    assert poll.outcome is shown.outcome, poll
    assert {name: getattr(poll, name) for name in shown.more} == shown.more


@pytest.mark.parametrize(
    ("row", "answer", "job_id"),
    [(row, *case) for row, cases in SUBMITS.items() for case in cases],
)
def test_an_answer_to_a_submit(
    server: FaultySource, row: str, answer: Reply, job_id: str | None
) -> None:
    server.behave("submit", answer)
    source = source_of(row, server)
    if job_id:
        assert API.submit(source, {}) == job_id
        return
    with pytest.raises(SourceRefused) as caught:
        API.submit(source, {})
    assert str(caught.value) == 'x: HTTP 200: {"accepted": false, "why": "queue is full"}'


@pytest.mark.parametrize(
    ("row", "answer", "accepted"),
    [(row, *case) for row, cases in CANCELS.items() for case in cases],
)
def test_an_answer_to_a_cancel(
    server: FaultySource, row: str, answer: Reply, accepted: bool
) -> None:
    server.behave("cancel", answer)
    result = API.cancel(source_of(row, server), JOB)
    assert result.accepted is accepted
    assert accepted or "too late" in str(result.quoted)
    assert "too late" not in str(result.detail)


def test_a_list_of_all_jobs(server: FaultySource) -> None:
    ids = ["6", "it's", 'a "b" `c`', "{job_id}", "\\"]
    jobs: dict[str, object] = {"jobs": [{"id": each, "state": "bad"} for each in ids]}
    source = source_of("answers with a list of all jobs", server)
    server.behave("", jobs)
    for each in ids:
        assert API.poll(source, each, NOW).outcome is BAD, each
    assert API.poll(source, "5", NOW).outcome is Outcome.UNRECOGNISED
    assert {request.target for request in server.requests} == {"/jobs"}


def test_a_job_that_is_gone(server: FaultySource) -> None:
    source = source_of("forgets a job once it has ended well", server)
    assert source.rules(None).gone is OK


def test_a_form(server: FaultySource) -> None:
    server.behave("submit", {"id": "8"})
    script = "a=1&b=ü\n+ %"
    assert API.submit(source_of("takes a form", server), {"script": script}) == "8"
    (request,) = server.requests
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.body.decode()) == {"script": [script]}


def test_graphql(server: FaultySource) -> None:
    source = source_of("speaks GraphQL", server)
    server.behave("submit", {"data": {"run": {"state": "ok"}}})
    assert API.poll(source, 'a"b', NOW).outcome is OK
    assert json.loads(server.requests[0].body)["variables"] == {"id": 'a"b'}


def test_ids_of_two_parts(server: FaultySource) -> None:
    source = source_of("has ids of two parts", server)
    server.behave("submit", {"id": "r/1"})
    job_id = API.submit(source, {"dag": "copy"})
    assert job_id == "copy/r%2F1"
    API.poll(source, job_id, NOW)
    API.cancel(source, job_id)
    assert [request.target for request in server.requests[1:]] == [
        "/dags/copy/runs/r%2F1",
        "/dags/copy/runs/r%2F1/cancel",
    ]
