"""Whole requests on the wire: method, headers, body, token; and nothing of them anywhere else."""

import json
import logging
import time
from datetime import UTC, datetime

import pytest
from azure.core.credentials import AccessToken

from adapters.job_api import JobApi
from adapters.services import keep_secrets_out_of_logs
from adapters.tokens import Tokens
from domain.errors import InvalidInput, SourceRefused
from domain.outcome import CancelResult, Outcome, Poll
from domain.sources.file import load_sources
from domain.sources.source import Source
from tests.faulty_source import FaultySource, Recorded, Reply

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SETTINGS = {
    "HEADER": "planted-in-a-header",
    "BODY": "planted-in-a-body",
    "QUERY": "planted-in-a-query",
    "PATH": "planted-in-a-path",
}
TEXT = """
[sources.demo.headers]
X-Tenant = "${HEADER}"
Accept = "application/vnd.demo+json"
[sources.demo.status]
method = "POST"
url = "URL/jobs/look/${PATH}?key=${QUERY}"
headers = { X-Tenant = "of the status" }
body = { id = "{job_id:number}", secret = "${BODY}" }
status = "status"
message = "message"
[sources.demo.submit]
method = "PUT"
url = "URL/jobs/{job.kind}?key=${QUERY}"
body = { spec = "{job.spec || `null`}", secret = "${BODY}" }
job_id = "{job.name}"
[sources.demo.cancel]
method = "PATCH"
url = "URL/jobs/{job_id}/cancel"
headers = { Content-Type = "application/merge-patch+json" }
body = { stop = true, note = "${BODY}" }
[sources.demo.outcomes]
running = ["processing"]
succeeded = ["completed"]
[sources.demo.auth]
AUTH
[sources.demo.http]
timeout_seconds = 0.5
"""
BEARER = 'kind = "bearer"\ntoken = "planted-in-auth"'
IDENTITY = 'kind = "managed_identity"\nscope = "https://jobs.example/.default"'
JOB = {"kind": "a b", "name": "n/1", "spec": [1]}


def source_at(server: FaultySource, auth: str = BEARER) -> Source:
    return load_sources(TEXT.replace("URL", server.url).replace("AUTH", auth), SETTINGS).get("demo")


class Numbered:
    """A credential whose tokens are numbered, over all credentials made here."""

    def __init__(self) -> None:
        self.given = 0
        self.seconds = 0.0

    def tokens(self) -> Tokens:
        return Tokens(lambda _: self, lambda: NOW)

    def get_token(self, *_: str, **__: object) -> AccessToken:
        time.sleep(self.seconds)
        self.given += 1
        return AccessToken(f"planted-token-{self.given}", int(NOW.timestamp()) + 3600)


def sent(request: Recorded) -> tuple[str, str, object]:
    return request.method, request.target, json.loads(request.body)


def test_what_is_sent_to_ask_for_a_job(server: FaultySource) -> None:
    server.behave("submit", {"status": "processing"})
    assert JobApi().poll(source_at(server), "7", NOW) == Poll(
        outcome=Outcome.RUNNING, raw_status="processing"
    )
    (request,) = server.requests
    assert sent(request) == (
        *("POST", "/jobs/look/planted-in-a-path?key=planted-in-a-query"),
        {"id": 7, "secret": "planted-in-a-body"},
    )
    assert request.headers["X-Tenant"] == "of the status"
    assert request.headers["Accept"] == "application/vnd.demo+json"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer planted-in-auth"


def test_what_is_sent_to_start_a_job(server: FaultySource) -> None:
    server.behave("submit", Reply(201))  # the caller names the job: no answer is needed
    assert JobApi().submit(source_at(server), JOB) == "n/1"
    (request,) = server.requests
    assert sent(request) == (
        *("PUT", "/jobs/a%20b?key=planted-in-a-query"),
        {"spec": [1], "secret": "planted-in-a-body"},
    )
    assert request.headers["X-Tenant"] == "planted-in-a-header"


def test_what_is_sent_to_cancel_a_job(server: FaultySource) -> None:
    server.behave("cancel", Reply(202))
    assert JobApi().cancel(source_at(server), "n/1") == CancelResult(accepted=True)
    (request,) = server.requests
    assert sent(request) == (
        *("PATCH", "/jobs/n%2F1/cancel"),
        {"stop": True, "note": "planted-in-a-body"},
    )
    assert request.headers["Content-Type"] == "application/merge-patch+json"


@pytest.mark.parametrize("job", [{}, {"kind": "a"}, JOB | {"name": ""}, JOB | {"name": "a\nb"}])
def test_a_job_that_lacks_what_its_request_needs_is_not_sent(
    server: FaultySource, job: dict[str, object]
) -> None:
    with pytest.raises(InvalidInput):
        JobApi().submit(source_at(server), job)
    assert server.requests == []


def authorizations(server: FaultySource) -> list[str]:
    return [request.headers["Authorization"] for request in server.requests]


def test_a_refused_token_is_renewed_once(server: FaultySource) -> None:
    api = JobApi(Numbered().tokens())
    server.behave("submit", Reply(401), {"status": "processing"})
    assert api.poll(source_at(server, IDENTITY), "7", NOW).outcome is Outcome.RUNNING
    assert api.poll(source_at(server, IDENTITY), "7", NOW).outcome is Outcome.RUNNING
    assert authorizations(server) == [f"Bearer planted-token-{number}" for number in (1, 2, 2)]


def test_a_source_that_refuses_every_token_is_asked_twice(server: FaultySource) -> None:
    server.behave("submit", Reply(401))
    poll = JobApi(Numbered().tokens()).poll(source_at(server, IDENTITY), "7", NOW)
    assert poll.outcome is Outcome.UNAUTHORIZED
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [404, 500])
def test_no_other_answer_renews_a_token(server: FaultySource, status: int) -> None:
    server.behave("submit", Reply(status))
    JobApi(Numbered().tokens()).poll(source_at(server, IDENTITY), "7", NOW)
    assert len(server.requests) == 1


def test_other_credentials_are_not_tried_again(server: FaultySource) -> None:
    server.behave("submit", Reply(401))
    assert JobApi().poll(source_at(server), "7", NOW).outcome is Outcome.UNAUTHORIZED
    assert len(server.requests) == 1


def test_start_and_cancel_renew_a_token_too(server: FaultySource) -> None:
    server.behave("submit", Reply(401), Reply(201))
    server.behave("cancel", Reply(401), Reply(202))
    source = source_at(server, IDENTITY)
    assert JobApi(Numbered().tokens()).submit(source, JOB) == "n/1"
    assert JobApi(Numbered().tokens()).cancel(source, "n/1").accepted
    assert len(server.requests) == 4


def test_a_renewed_token_is_within_the_same_deadline(server: FaultySource) -> None:
    slow = Numbered()
    slow.seconds = 0.3
    server.behave("submit", Reply(401), {"status": "processing"})
    poll = JobApi(slow.tokens()).poll(source_at(server, IDENTITY), "7", NOW)
    assert poll.detail == "no token within 0.5 s, for https://jobs.example/.default"


def test_without_a_token_nothing_is_sent(server: FaultySource) -> None:
    def none(_: str | None) -> Numbered:
        raise ValueError("no identity")

    api = JobApi(Tokens(none, lambda: NOW))
    source = source_at(server, IDENTITY)
    told = "the app's identity got no token for https://jobs.example/.default: no identity"
    assert api.poll(source, "7", NOW) == Poll(outcome=Outcome.UNAUTHORIZED, detail=told)
    assert api.cancel(source, "7") == CancelResult(accepted=False, detail=told)
    with pytest.raises(SourceRefused) as caught:
        api.submit(source, JOB)
    assert str(caught.value) == f"demo: {told}"
    assert server.requests == []


@pytest.mark.parametrize("auth", [BEARER, IDENTITY])
def test_no_secret_is_in_what_is_told_or_logged(
    server: FaultySource, caplog: pytest.LogCaptureFixture, auth: str
) -> None:
    """I9: a source that echoes all it gets, in answers good and bad."""
    caplog.set_level(logging.DEBUG)
    keep_secrets_out_of_logs()
    api, source, told = JobApi(Numbered().tokens()), source_at(server, auth), []
    for status in (200, 500):
        server.behave("submit", "echo-all" if status == 200 else "echo-all-500")
        server.behave("cancel", "echo-all-500")
        told.append(api.poll(source, "7", NOW).model_dump_json())
        told.append(str(api.cancel(source, "7").detail))
        try:
            told.append(api.submit(source, JOB))
        except SourceRefused as error:
            told.append(str(error))
    assert any("***" in each for each in told)
    assert any("of the status" in each for each in told)  # it was really echoed
    for text in (*told, caplog.text, repr(source)):
        assert "planted" not in text
