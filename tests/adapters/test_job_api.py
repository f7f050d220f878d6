"""The job API's adapter against a real server: what goes out, and what every kind of trouble is."""

import gzip
import json
import socket
import ssl
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from adapters.job_api import JobApi
from domain.errors import SourceRefused
from domain.outcome import CancelResult, Outcome, Poll
from domain.sources.file import load_sources
from domain.sources.source import Source
from tests.certificates import self_signed, serving
from tests.faulty_source import HUGE, SLOW_SECONDS, FaultySource, Reply

NOW = datetime(2026, 1, 2, 0, 0, 0, tzinfo=UTC)
SECRET = "planted-s3cret"  # noqa: S105
QUERY_KEY = "planted-key-in-a-query"
TIMEOUT = 0.2
API = JobApi()
NO_ID = (
    "took the job (HTTP 200) but its answer holds no job id where the configuration looks for it"
)


def source_at(
    url: str, *, limit: int = 1000, timeout: float = 5, more: str = "", http: str = ""
) -> Source:
    text = f"""
    [sources.demo]
    allow_http = true
    {more}
    [sources.demo.status]
    url = "{url}/jobs/{{job_id}}?key={QUERY_KEY}"
    status = "status"
    progress = "progress"
    message = "message"
    [sources.demo.submit]
    url = "{url}/jobs?key={QUERY_KEY}"
    job_id = "id"
    [sources.demo.cancel]
    url = "{url}/jobs/{{job_id}}/cancel"
    [sources.demo.outcomes]
    running = ["queued", "processing"]
    succeeded = ["completed"]
    cancelled = ["cancelled"]
    [sources.demo.auth]
    kind = "bearer"
    token = "{SECRET}"
    [sources.demo.http]
    timeout_seconds = {timeout}
    max_answer_bytes = {limit}
    {http}
    """
    return load_sources(text, {}).get("demo")


def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_a_poll_and_its_request(server: FaultySource) -> None:
    poll = API.poll(source_at(server.url), "ok", NOW)
    assert poll == Poll(
        outcome=Outcome.RUNNING, raw_status="processing", progress=50, message="half way"
    )
    (request,) = server.requests
    assert (request.method, request.target) == ("GET", f"/jobs/ok?key={QUERY_KEY}")
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Accept"] == "application/json"
    assert request.body == b""


@pytest.mark.parametrize(
    ("job_id", "segment"),
    [
        ("a/b", "a%2Fb"),
        ("/", "%2F"),
        ("a/../../b", "a%2F..%2F..%2Fb"),
        ("../b", "..%2Fb"),
        ("a#1", "a%231"),
        ("a?x=1&y", "a%3Fx%3D1%26y"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a%2Fb", "a%252Fb"),
        ("%2E%2E", "%252E%252E"),
        ("%", "%25"),
        ("..x", "..x"),
        ("...", "..."),
        ("jöb-🚀", "j%C3%B6b-%F0%9F%9A%80"),
        ("a\\b", "a%5Cb"),
        ("@host:1", "%40host%3A1"),
        ("{job_id}", "%7Bjob_id%7D"),
        ("~_-!*'()", "~_-%21%2A%27%28%29"),
    ],
)
def test_the_server_gets_the_very_job_id(server: FaultySource, job_id: str, segment: str) -> None:
    server.jobs[job_id] = {"id": job_id, "status": "completed"}
    assert API.poll(source_at(server.url), job_id, NOW).outcome is Outcome.SUCCEEDED
    assert server.requests[0].target == f"/jobs/{segment}?key={QUERY_KEY}"
    assert API.cancel(source_at(server.url), job_id).accepted
    assert server.requests[1].target == f"/jobs/{segment}/cancel"


@pytest.mark.parametrize("job_id", ["", ".", ".."])
def test_ids_that_name_another_resource_are_not_sent(server: FaultySource, job_id: str) -> None:
    with pytest.raises(ValueError, match="job id"):
        API.poll(source_at(server.url), job_id, NOW)
    with pytest.raises(ValueError, match="job id"):
        API.cancel(source_at(server.url), job_id)
    assert server.requests == []


@pytest.mark.parametrize(
    ("job_id", "outcome", "detail", "retry"),
    [
        ("401", Outcome.UNAUTHORIZED, "HTTP 401", None),
        ("404", Outcome.NOT_FOUND, "HTTP 404", None),
        ("unknown", Outcome.NOT_FOUND, "HTTP 404", None),
        ("429-seconds", Outcome.THROTTLED, "HTTP 429", 7),
        ("429-date", Outcome.THROTTLED, "HTTP 429", 120),
        ("500", Outcome.UNREACHABLE, "HTTP 500", None),
        ("html", Outcome.UNREACHABLE, "the answer is HTML", None),
        ("half-json", Outcome.UNREACHABLE, "the answer is not JSON", None),
        ("empty", Outcome.UNREACHABLE, "the answer is empty", None),
        ("cut-off", Outcome.UNREACHABLE, "the connection failed: IncompleteRead", None),
        ("broken-chunks", Outcome.UNREACHABLE, "the connection failed: ", None),
        ("not-gzip", Outcome.UNREACHABLE, "the connection failed: ", None),
        ("reset", Outcome.UNREACHABLE, "the connection failed: Connection reset by peer", None),
        ("hang-up", Outcome.UNREACHABLE, "the connection failed: RemoteDisconnected", None),
        ("huge", Outcome.UNREACHABLE, "larger than 1000 bytes", None),
        ("gzip-bomb", Outcome.UNREACHABLE, "larger than 1000 bytes", None),
        ("redirect-loop", Outcome.UNREACHABLE, "HTTP 302: a redirect", None),
    ],
)
def test_trouble_is_an_outcome(
    server: FaultySource, job_id: str, outcome: Outcome, detail: str, retry: float | None
) -> None:
    poll = API.poll(source_at(server.url), job_id, NOW)
    assert poll.outcome is outcome
    assert detail in str(poll.detail)
    assert poll.retry_after_seconds == retry
    assert_no_secret(poll)


def assert_no_secret(poll: Poll) -> None:
    """I9: nothing of the credentials in what gets logged and stored."""
    shown = poll.model_dump_json()
    assert SECRET not in shown
    assert QUERY_KEY not in shown


@pytest.mark.parametrize("job_id", ["slow-headers", "drip-headers", "drip", "drip-chunks"])
def test_one_deadline_for_the_whole_answer(job_id: str) -> None:
    with FaultySource() as server:
        started = time.monotonic()
        poll = API.poll(source_at(server.url, limit=1 << 20, timeout=TIMEOUT), job_id, NOW)
        took = time.monotonic() - started
    assert poll == Poll(
        outcome=Outcome.UNREACHABLE, detail=f"no complete answer within {TIMEOUT} s"
    )
    assert TIMEOUT <= took < SLOW_SECONDS - 1


def test_redirects_share_the_deadline() -> None:
    with FaultySource() as server:
        server.behave("a", Reply(302, b"", (("Location", "/jobs/drip"),)))
        started = time.monotonic()
        poll = API.poll(source_at(server.url, timeout=TIMEOUT), "a", NOW)
        took = time.monotonic() - started
    assert "no complete answer" in str(poll.detail)
    assert took < SLOW_SECONDS - 1


def test_nobody_listens() -> None:
    poll = API.poll(source_at(f"http://127.0.0.1:{unused_port()}"), "a", NOW)
    assert poll == Poll(
        outcome=Outcome.UNREACHABLE, detail="the connection failed: Connection refused"
    )


def test_no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    poll = API.poll(source_at("https://jobs.invalid"), "a", NOW)
    assert poll == Poll(
        outcome=Outcome.UNREACHABLE, detail="the connection failed: Name or service not known"
    )


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
def test_a_host_that_can_not_be_one(host: str) -> None:
    assert API.poll(source_at(f"https://{host}"), "a", NOW).outcome is Outcome.UNREACHABLE


def test_tls_with_a_server_that_has_none(server: FaultySource) -> None:
    poll = API.poll(source_at(server.url.replace("http:", "https:")), "ok", NOW)
    assert poll.outcome is Outcome.UNREACHABLE
    assert "SSL" in str(poll.detail)
    assert_no_secret(poll)
    assert server.requests == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    return self_signed(tmp_path_factory.mktemp("tls") / "both.pem")


def test_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = serving(certificate)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with FaultySource(tls=tls) as server:
        poll = API.poll(source_at(server.url), "done", NOW)
        assert poll.outcome is Outcome.UNREACHABLE
        assert "certificate verify failed" in str(poll.detail)
        assert server.requests == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with FaultySource(tls=tls) as server:
        source = source_at(server.url, timeout=TIMEOUT)
        assert API.poll(source_at(server.url), "done", NOW).outcome is Outcome.SUCCEEDED
        for job_id in ("drip-headers", "drip"):
            started = time.monotonic()
            assert "no complete answer" in str(API.poll(source, job_id, NOW).detail)
            assert time.monotonic() - started < SLOW_SECONDS - 1


def test_a_source_may_have_a_ca_of_its_own(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    tls = serving(certificate)
    with FaultySource(tls=tls) as server:
        trusting = source_at(server.url, http=f'ca_file = "{certificate}"')
        assert API.poll(trusting, "done", NOW).outcome is Outcome.SUCCEEDED
        poll = API.poll(source_at(server.url), "done", NOW)
        assert "certificate verify failed" in str(poll.detail)


@pytest.mark.parametrize("apart", [False, True])
def test_a_source_may_have_a_client_certificate(
    certificate: Path, tmp_path: Path, apart: bool
) -> None:
    tls = serving(certificate)
    tls.load_verify_locations(certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    shown = f'ca_file = "{certificate}"'
    with FaultySource(tls=tls) as server:
        assert API.poll(source_at(server.url, http=shown), "done", NOW).outcome.unseen
        key = ""
        if apart:
            text = certificate.read_text()
            (tmp_path / "key.pem").write_text(text[text.index("-----BEGIN PRIVATE") :])
            key = f'client_key = "{tmp_path}/key.pem"'
        shown += f'\nclient_certificate = "{certificate}"\n{key}'
        source = source_at(server.url, http=shown)
        assert API.poll(source, "done", NOW).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("key", ["ca_file", "client_certificate", "client_key"])
def test_a_file_that_is_not_there_is_an_outcome(server: FaultySource, key: str) -> None:
    url = server.url.replace("http:", "https:")
    more = "" if key != "client_key" else 'client_certificate = "job_sources.toml"'
    source = source_at(url, http=f'{key} = "no/such/file.pem"\n{more}')
    poll = API.poll(source, "ok", NOW)
    assert poll.outcome is Outcome.UNREACHABLE
    assert "the connection failed" in str(poll.detail)


@pytest.mark.parametrize(
    ("kind", "body", "sent"),
    [
        (
            "application/x-www-form-urlencoded",
            '{ a = "x y", n = 7, l = ["1", "2"] }',
            b"a=x+y&n=7&l=1&l=2",
        ),
        ("application/x-www-form-urlencoded", '"a={job.name}&b=%C3%BC"', b"a=x%26y&b=%C3%BC"),
        ("application/x-www-form-urlencoded; charset=utf-8", '"{job}"', b"name=x%26y"),
        ("text/plain", '"run {job.name}"', b"run x&y"),
        ("application/xml", '"<job>{job.name}</job>"', b"<job>x&y</job>"),
        ("application/json", '"{job.name}"', b'"x&y"'),
        ("application/vnd.api+json", '{ a = "{job.name}" }', b'{"a": "x&y"}'),
    ],
)
def test_a_body_is_sent_as_its_content_type_says(
    server: FaultySource, kind: str, body: str, sent: bytes
) -> None:
    text = f"""
    [sources.x]
    status.url = "{server.url}/jobs/{{job_id}}"
    status.status = "status"
    outcomes.succeeded = ["done"]
    submit.url = "{server.url}/jobs"
    submit.headers = {{ content-type = "{kind}" }}
    submit.body = {body}
    submit.job_id = "id"
    """
    server.behave("submit", {"id": "1"})
    assert API.submit(load_sources(text, {}).get("x"), {"name": "x&y"}) == "1"
    (request,) = server.requests
    assert request.body == sent
    assert request.headers["content-type"] == kind


def test_a_repaired_answer_is_told_once(
    server: FaultySource, caplog: pytest.LogCaptureFixture
) -> None:
    server.behave("a", Reply(200, b'{"status": "completed", "mse": NaN}'))
    api = JobApi()
    with caplog.at_level("WARNING"):
        outcomes = {api.poll(source_at(server.url), "a", NOW).outcome for _ in range(3)}
    assert outcomes == {Outcome.SUCCEEDED}
    assert [json.loads(each.message) for each in caplog.records] == [
        {"event": "repaired", "source": "demo", "detail": "is not strict JSON"}
    ]


@pytest.mark.parametrize(("status", "asked"), [(301, 2), (302, 2), (303, 1), (307, 2), (308, 2)])
def test_a_303_is_an_answer(server: FaultySource, status: int, asked: int) -> None:
    """To follow it may consume a result that can be read once."""
    server.behave("a", Reply(status, b"", (("Location", "/jobs/done"),)))
    assert (API.poll(source_at(server.url), "a", NOW).outcome is Outcome.SUCCEEDED) == (asked == 2)
    assert len(server.requests) == asked


def test_a_source_says_which_redirects_it_follows(server: FaultySource) -> None:
    server.behave("a", Reply(302, b"", (("Location", "/jobs/done"),)))
    poll = API.poll(source_at(server.url, http="follow_redirects = []"), "a", NOW)
    assert "HTTP 302: a redirect that is an answer" in str(poll.detail)
    assert len(server.requests) == 1


def test_a_body_is_read_up_to_its_limit_and_no_further(server: FaultySource) -> None:
    body = b'{"status": "completed"}'
    server.behave("a", Reply(200, body))
    assert API.poll(source_at(server.url, limit=len(body)), "a", NOW).outcome is Outcome.SUCCEEDED
    poll = API.poll(source_at(server.url, limit=len(body) - 1), "a", NOW)
    assert poll.detail == f"the answer is larger than {len(body) - 1} bytes"


@pytest.mark.parametrize("job_id", ["huge", "redirect-huge"])
def test_a_huge_answer_is_not_drained(job_id: str) -> None:
    with FaultySource() as server:
        poll = API.poll(source_at(server.url), job_id, NOW)
    assert poll.outcome is Outcome.UNREACHABLE
    # The rest is what the buffers of both sockets took.
    assert 0 < server.bytes_sent < HUGE / 2


def test_a_gzip_bomb_is_not_unpacked(server: FaultySource) -> None:
    bomb = gzip.compress(bytes(HUGE), 1)
    server.behave("a", Reply(200, bomb, (("Content-Encoding", "gzip"),)))
    tracemalloc.start()
    poll = API.poll(source_at(server.url), "a", NOW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert poll.detail == "the answer is larger than 1000 bytes"
    assert peak < HUGE / 10


def test_a_redirect_within_the_origin_is_followed(server: FaultySource) -> None:
    poll = API.poll(source_at(server.url), "redirect-same", NOW)
    assert poll.outcome is Outcome.SUCCEEDED
    assert [request.headers["Authorization"] for request in server.requests] == [
        f"Bearer {SECRET}"
    ] * 2


def test_a_redirect_loop_ends_after_three(server: FaultySource) -> None:
    API.poll(source_at(server.url), "redirect-loop", NOW)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{other}/jobs/ok",
        "//127.0.0.1:{other}/jobs/ok",
        "http://localhost:{port}/jobs/ok",
        "https://127.0.0.1:{port}/jobs/ok",
        "http://user:pass@127.0.0.1:{port}/jobs/ok",
        "http://127.0.0.1:{port}\\@127.0.0.1:{other}/jobs/ok",
        "http://127.0.0.1:{other}\\@127.0.0.1:{port}/jobs/ok",
        "http://127.0.0.1:port/",
        "http://[::1/",
        "file:///etc/hostname",
    ],
)
def test_a_redirect_to_another_origin_is_not_followed(server: FaultySource, location: str) -> None:
    with FaultySource() as other:
        ports = {"port": server.url.rpartition(":")[2], "other": other.url.rpartition(":")[2]}
        target = location.format(**ports)
        server.behave("a", Reply(302, b"", (("Location", target),)))
        poll = API.poll(source_at(server.url), "a", NOW)
        assert poll.outcome is Outcome.UNREACHABLE
        assert "redirect to another origin" in str(poll.detail)
        assert len(server.requests) == 1
        assert other.requests == []


def test_what_a_source_echoes_is_free_of_credentials(server: FaultySource) -> None:
    poll = API.poll(source_at(server.url), "echo", NOW)
    assert "Bearer ***" in str(poll.message)
    assert "key=***" in str(poll.message)
    assert_no_secret(poll)


def test_a_proxy_is_used_and_netrc_is_not(
    server: FaultySource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login planted password planted\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("NO_PROXY", "")
    text = """
    [sources.demo]
    allow_http = true
    [sources.demo.status]
    url = "http://jobs.invalid/jobs/{job_id}"
    status = "status"
    [sources.demo.outcomes]
    succeeded = ["completed"]
    """
    server.behave("jobs.invalid", "done")  # a proxy gets the whole URL as its target
    poll = API.poll(load_sources(text, {}).get("demo"), "a", NOW)
    (request,) = server.requests
    assert poll.outcome is Outcome.SUCCEEDED
    assert request.target == "http://jobs.invalid/jobs/a"
    assert "Authorization" not in request.headers


def test_no_proxy_stands_before_this_machine(
    server: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("NO_PROXY", "")
    assert API.poll(source_at(server.url), "ok", NOW).outcome is Outcome.RUNNING


def test_polls_of_many_threads_do_not_mix(server: FaultySource) -> None:
    source = source_at(server.url)
    ids = [str(number) for number in range(1000, 1032)]
    for job_id in ids:
        server.jobs[job_id] = {"status": "processing", "message": job_id}
    together = threading.Barrier(8)

    def poll(job_id: str) -> str | None:
        together.wait(60)
        return API.poll(source, job_id, NOW).message

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(poll, ids)) == ids


def test_look_gives_the_answer_too(server: FaultySource) -> None:
    poll, answer, *_ = API.look(source_at(server.url), "500", NOW)
    assert poll.outcome is Outcome.UNREACHABLE
    assert answer is not None
    assert (answer.http_status, answer.body) == (500, b"Internal error")
    assert API.look(source_at(f"http://127.0.0.1:{unused_port()}"), "a", NOW).answer is None


def test_submit(server: FaultySource) -> None:
    job = {"workload": "sleep", "name": "grüße", "seconds": 3}
    assert API.submit(source_at(server.url), job) == "job-1"
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", f"/jobs?key={QUERY_KEY}")
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == job


@pytest.mark.parametrize(
    ("value", "job_id"),
    [("a", "a"), (17, "17"), ("x" * 1024, "x" * 1024), ("jöb/1 #?", "jöb/1 #?")],
)
def test_submit_takes_the_id(server: FaultySource, value: object, job_id: str) -> None:
    server.behave("submit", {"id": value})
    assert API.submit(source_at(server.url, limit=2000), {}) == job_id


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "holds no job id"),
        (True, "holds no job id"),
        (1.5, "holds no job id"),
        ({"id": "a"}, "holds no job id"),
        ("", "can't be used"),
        ("x" * 1025, "can't be used"),
        ("a\n", "can't be used"),
        ("a\x7f", "can't be used"),
        ("\ud800", "can't be used"),
        (".", "can't be used"),
        ("..", "can't be used"),
    ],
)
def test_submit_refuses_an_unusable_id(server: FaultySource, value: object, what: str) -> None:
    server.behave("submit", {"id": value})
    with pytest.raises(SourceRefused, match=f"took the job .HTTP 200. but .*{what}"):
        API.submit(source_at(server.url, limit=2000), {})


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Reply(400, b"no such\r\nworkload \x1b[1m"), "demo: HTTP 400: no such  workload [1m"),
        (Reply(422, b"x" * 501), "demo: HTTP 422: " + "x" * 165 + " … " + "x" * 332),
        (Reply(403, f"bad token {SECRET}".encode()), "demo: HTTP 403: bad token ***"),
        (
            Reply(400, ("x" * 490 + SECRET).encode()),
            "demo: HTTP 400: " + "x" * 490 + "***",
        ),
        (Reply(400, b"\xff"), "demo: HTTP 400: \ufffd"),
        (Reply(500), "demo: HTTP 500"),
        (Reply(500, b"x" * 1001), "demo: HTTP 500"),
        (Reply(307, b"", (("Location", "/jobs/ok"),)), "demo: HTTP 307"),
        (
            Reply(200, f'{{"error": "no queue", "key": "{SECRET}"}}'.encode()),
            f'demo {NO_ID}: {{"error": "no queue", "key": "***"}}',
        ),
        (
            Reply(201, b"<html>"),
            "demo took the job (HTTP 201) but the answer is HTML: <html>",
        ),
        (
            "hang-up",
            "demo: the connection failed: RemoteDisconnected; the job may have been started",
        ),
    ],
)
def test_submit_refused(server: FaultySource, step: str | Reply, text: str) -> None:
    server.behave("submit", step)
    with pytest.raises(SourceRefused) as caught:
        API.submit(source_at(server.url), {"a": 1})
    assert str(caught.value) == text
    assert len(server.requests) == 1


def test_cancel(server: FaultySource) -> None:
    source = source_at(server.url)
    server.jobs["a"] = {"id": "a", "status": "processing"}
    assert API.cancel(source, "a") == CancelResult(accepted=True)
    assert API.poll(source, "a", NOW).outcome is Outcome.CANCELLED
    server.behave("cancel", Reply(409, f"too late {SECRET}".encode()))
    # It goes into the row, and stays there: without the source's words.
    refused = API.cancel(source, "a")
    assert refused.to_wire() == CancelResult(accepted=False, detail="HTTP 409").to_wire()
    server.behave("cancel", "hang-up")
    assert API.cancel(source, "a") == CancelResult(
        accepted=False, detail="the connection failed: RemoteDisconnected"
    )


def test_submit_and_cancel_need_their_tables() -> None:
    source = load_sources(
        """
        [sources.demo.status]
        url = "https://jobs.example/{job_id}"
        status = "status"
        [sources.demo.outcomes]
        succeeded = ["completed"]
        """,
        {},
    ).get("demo")
    with pytest.raises(ValueError, match="has no submit"):
        API.submit(source, {})
    with pytest.raises(ValueError, match="has no cancel"):
        API.cancel(source, "a")


def test_steps_come_in_turn(server: FaultySource) -> None:
    server.behave("a", "500", {"status": "processing"}, "done")
    source = source_at(server.url)
    assert [API.poll(source, "a", NOW).outcome for _ in range(4)] == [
        Outcome.UNREACHABLE,
        Outcome.RUNNING,
        Outcome.SUCCEEDED,
        Outcome.SUCCEEDED,
    ]
    assert [request.target.partition("?")[0] for request in server.requests] == [
        f"/jobs/{quote('a')}"
    ] * 4
