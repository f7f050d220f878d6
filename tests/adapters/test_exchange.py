"""Connections are kept, and no exchange is the worse for it."""

import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import urllib3

from adapters import exchange
from adapters.job_api import JobApi
from domain.errors import SourceRefused
from domain.outcome import Outcome
from domain.sources.file import load_sources
from domain.sources.source import Source
from tests.certificates import self_signed, serving
from tests.faulty_source import SLOW_SECONDS, FaultySource, Reply

NOW = datetime(2026, 1, 2, tzinfo=UTC)
API = JobApi()


def source_at(url: str, http: str = "", method: str = "GET", timeout: float = 5) -> Source:
    text = f"""
    [sources.demo]
    allow_http = true
    [sources.demo.status]
    method = "{method}"
    url = "{url}/jobs/{{job_id}}"
    status = "status"
    message = "message"
    [sources.demo.submit]
    url = "{url}/jobs"
    job_id = "id"
    [sources.demo.outcomes]
    running = ["processing"]
    succeeded = ["completed"]
    [sources.demo.http]
    timeout_seconds = {timeout}
    {http}
    """
    return load_sources(text, {}).get("demo")


@pytest.fixture
def keeping() -> Iterator[FaultySource]:
    """A source that keeps connections, as most do."""
    with FaultySource(keep_alive=True) as server:
        yield server


def look(source: Source, job_id: str = "ok") -> Outcome:
    return API.poll(source, job_id, NOW).outcome


def test_polls_of_a_thread_share_a_connection(keeping: FaultySource) -> None:
    source = source_at(keeping.url)
    assert {look(source) for _ in range(5)} == {Outcome.RUNNING}
    assert (len(keeping.requests), keeping.connections) == (5, 1)


def test_threads_share_none(keeping: FaultySource) -> None:
    source = source_at(keeping.url)
    together = threading.Barrier(3)

    def twice() -> set[Outcome]:
        together.wait(60)
        return {look(source), look(source)}

    with ThreadPoolExecutor(3) as pool:
        assert [each.result(60) for each in [pool.submit(twice) for _ in range(3)]] == [
            {Outcome.RUNNING}
        ] * 3
    assert (len(keeping.requests), keeping.connections) == (6, 3)


def test_a_kept_connection_that_the_source_closed_is_no_failure(keeping: FaultySource) -> None:
    """I6: closed between two polls, or at the very moment of the next request."""
    source = source_at(keeping.url)
    assert look(source) is Outcome.RUNNING
    keeping.hang_up()
    assert look(source) is Outcome.RUNNING
    keeping.behave("a", "hang-up", {"status": "processing"})
    assert look(source, "a") is Outcome.RUNNING
    assert len(keeping.requests) == 4
    keeping.behave("b", "hang-up")
    assert look(source, "b") is Outcome.UNREACHABLE
    assert len(keeping.requests) == 6  # the second was on a new connection


def test_a_new_connection_that_the_source_closes_is_not_tried_again(keeping: FaultySource) -> None:
    assert look(source_at(keeping.url), "hang-up") is Outcome.UNREACHABLE
    assert len(keeping.requests) == 1


def test_only_a_get_goes_over_a_kept_connection(keeping: FaultySource) -> None:
    """A submit that is sent twice, or not at all, can't be told from one that arrived."""
    source = source_at(keeping.url)
    assert look(source) is Outcome.RUNNING
    assert API.submit(source, {"a": 1}) == "job-1"
    assert keeping.connections == 2
    assert look(source) is Outcome.RUNNING
    assert keeping.connections == 2
    keeping.behave("submit", "hang-up")
    with pytest.raises(SourceRefused) as caught:
        API.submit(source, {"a": 1})
    assert caught.value.may_run
    assert sum(request.method == "POST" for request in keeping.requests) == 2


def test_a_connection_that_rested_for_long_is_not_used(
    keeping: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_at(keeping.url)
    look(source)
    monkeypatch.setattr(exchange, "_KEPT_SECONDS", 0.0)
    assert look(source) is Outcome.RUNNING
    assert keeping.connections == 2


def test_no_cookie_outlives_its_exchange(keeping: FaultySource) -> None:
    cookie = ("Set-Cookie", "session=planted; Path=/")
    keeping.behave("a", Reply(302, b"", (("Location", "/jobs/ok"), cookie)))
    source = source_at(keeping.url)
    for _ in range(2):
        assert look(source, "a") is Outcome.RUNNING
    assert [request.headers.get("Cookie") for request in keeping.requests] == [
        *(None, "session=planted"),
        *(None, "session=planted"),
    ]


@pytest.mark.parametrize("job_id", ["slow-headers", "drip-headers", "drip", "drip-chunks"])
def test_a_kept_connection_has_a_deadline_for_each_exchange(
    keeping: FaultySource, job_id: str
) -> None:
    patient, hasty = source_at(keeping.url), source_at(keeping.url, timeout=0.2)
    assert look(patient) is Outcome.RUNNING
    begin = time.monotonic()
    poll = API.poll(hasty, job_id, NOW)
    assert poll.detail == "no complete answer within 0.2 s"
    assert time.monotonic() - begin < SLOW_SECONDS - 1
    assert look(patient) is Outcome.RUNNING  # the rest of that answer is not read as the next
    assert len(keeping.requests) == 3


def test_an_answer_that_was_not_read_whole_does_not_begin_the_next(keeping: FaultySource) -> None:
    keeping.behave("long", Reply(200, b"x" * 200))
    source = source_at(keeping.url, http="max_answer_bytes = 100")
    for _ in range(2):
        assert look(source, "long") is Outcome.UNREACHABLE
        assert look(source) is Outcome.RUNNING


def test_a_tls_context_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over new connections, threads and origins; and once more when the file has changed."""
    made: list[ssl.SSLContext] = []
    make = urllib3.util.ssl_.create_urllib3_context

    def counted() -> ssl.SSLContext:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(urllib3.util.ssl_, "create_urllib3_context", counted)
    pem = self_signed(tmp_path / "both.pem")
    ours = f'ca_file = "{pem}"'
    with (
        FaultySource(tls=serving(pem)) as one,
        FaultySource(tls=serving(pem), keep_alive=True) as other,
    ):
        sources = [source_at(each.url, http=ours) for each in (one, other)]
        with ThreadPoolExecutor(2) as pool:
            assert set(pool.map(look, sources * 3)) == {Outcome.RUNNING}
        assert len(made) == 1
        self_signed(pem)
        assert look(sources[0]) is Outcome.UNREACHABLE
    assert len(made) == 2


def test_origins_with_other_certificates_share_no_connection(tmp_path: Path) -> None:
    """Two sources at one origin, of which one is not to trust it."""
    pem, stranger = self_signed(tmp_path / "a.pem"), self_signed(tmp_path / "b.pem")
    with FaultySource(tls=serving(pem), keep_alive=True) as server:
        trusting = source_at(server.url, http=f'ca_file = "{pem}"')
        wary = source_at(server.url, http=f'ca_file = "{stranger}"')
        assert [look(each) for each in (trusting, wary, trusting)] == [
            *(Outcome.RUNNING, Outcome.UNREACHABLE, Outcome.RUNNING)
        ]
