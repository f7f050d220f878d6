"""Who the client says it is, and when it looks again."""

import http.server
import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import ClassVar

import pytest

from job_monitor import ApiError, AsyncClient, Client, NotConfigured, SignInFailed
from job_monitor.core.answer import Answer
from job_monitor.core.steps import Look, Pause, Send, next_look
from tests.client.test_jobmon import ROOT, RUN

SCOPE = "api://job-monitor/.default"


class Noting(http.server.BaseHTTPRequestHandler):
    """Notes who asks, and has no sources."""

    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        moved = "moved" in self.headers.get("x-functions-key", "")
        body = b'{"sources": []}'
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", "https://elsewhere.example/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Noting.seen.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Noting) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def told(name: str) -> list[str | None]:
    """The values of a header, request by request."""
    return [headers.get(name) for _, headers in Noting.seen]


@dataclass(frozen=True)
class Token:
    token: str
    expires_on: int


@dataclass
class Credential:
    """A credential as azure-identity has it, whose tokens live for so many seconds."""

    seconds: int
    scopes: list[str] = field(default_factory=list)

    def get_token(self, *scopes: str) -> Token:
        self.scopes += scopes
        return Token(f"token-{len(self.scopes)}", int(time.time()) + self.seconds)


@dataclass
class AsyncCredential:
    """The same, to be awaited."""

    seconds: int = 3600

    async def get_token(self, *scopes: str) -> Token:
        return Credential(self.seconds).get_token(*scopes)


class Refusing:
    """A credential of somebody who is not signed in."""

    def get_token(self, *scopes: str) -> Token:
        raise RuntimeError("run az login")


def test_a_key_travels_in_a_header_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBMON_URL", f"{url}/api/")
    monkeypatch.setenv("JOBMON_KEY", "s3cret")
    with Client() as client:
        client.sources()
    assert [path for path, _ in Noting.seen] == ["/api/sources"]
    assert told("x-functions-key") == ["s3cret"]
    assert told("authorization") == [None]


def test_without_a_key_or_a_scope_nobody_is_named(url: str) -> None:
    with Client(url) as client:
        client.sources()
    assert told("x-functions-key") == told("authorization") == [None]


@pytest.mark.parametrize(("seconds", "tokens"), [(3600, [1, 1, 1]), (200, [1, 2, 3])])
def test_a_token_is_kept_until_shortly_before_its_end(
    url: str, seconds: int, tokens: list[int]
) -> None:
    credential = Credential(seconds)
    with Client(url, scope=SCOPE, credential=credential) as client:
        for _ in tokens:
            client.sources()
    assert told("authorization") == [f"Bearer token-{number}" for number in tokens]
    assert set(credential.scopes) == {SCOPE}


@pytest.mark.parametrize("credential", [Credential(3600), AsyncCredential()])
async def test_the_async_client_takes_both_kinds_of_credentials(
    url: str, credential: Credential | AsyncCredential
) -> None:
    async with AsyncClient(url, scope=SCOPE, credential=credential) as client:
        await client.sources()
        await client.sources()
    assert told("authorization") == ["Bearer token-1"] * 2


async def test_a_sign_in_that_fails_is_told(url: str) -> None:
    with (
        Client(url, scope=SCOPE, credential=Refusing()) as client,
        pytest.raises(SignInFailed, match="az login"),
    ):
        client.sources()
    async with AsyncClient(url, scope=SCOPE, credential=Refusing()) as other:
        with pytest.raises(SignInFailed, match="az login"):
            await other.sources()
    assert Noting.seen == []


def test_a_key_and_a_scope_are_one_too_many(url: str) -> None:
    with pytest.raises(NotConfigured, match="not both"):
        Client(url, key="a", scope=SCOPE)
    with pytest.raises(NotConfigured, match="needs a scope"):
        Client(url, credential=Credential(1))


def test_a_redirect_is_told_and_not_followed(url: str) -> None:
    """The key would go along."""
    with Client(url, key="moved") as client, pytest.raises(ApiError, match=r"elsewhere\.example"):
        client.sources()
    assert len(Noting.seen) == 1


# -- long waits ----------------------------------------------------------------------------------

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def shown(due: float | None = None, *, status: int = 200, **row: object) -> Answer:
    """The answer for a monitor whose next poll is due in so many seconds."""
    monitor = {"id": "a", "state": "Monitoring", **row}
    if due is not None:
        monitor["nextPollAt"] = (NOW + timedelta(seconds=due)).isoformat()
    headers = {"date": format_datetime(NOW, usegmt=True)}
    return Answer(status, headers, json.dumps({"monitor": monitor}).encode(), seconds=0.1)


def follow(*answers: Answer) -> tuple[list[float], Look]:
    """The pauses of a client that waits for news and gets these answers, and the news."""
    first = next_look("a", None)
    assert isinstance(next(first), Send)
    with pytest.raises(StopIteration) as seen:
        first.send(answers[0])
    steps = next_look("a", seen.value.value)
    pauses = []
    step = next(steps)
    for answer in answers[1:]:
        assert isinstance(step, Pause)
        pauses.append(step.seconds)
        assert isinstance(steps.send(None), Send)
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return pauses, end.value
    raise AssertionError(f"no news after {pauses}")


def test_a_look_comes_when_the_server_has_looked() -> None:
    pauses, news = follow(shown(20), shown(40), shown(5), shown(30, progress=50))
    assert pauses == [20.5, 40.5, 5.5]
    assert news.monitor.progress == 50


def test_a_long_interval_is_a_look_each_minute() -> None:
    """A hint may bring the poll forward, and nobody tells the client."""
    pauses, news = follow(shown(3600), shown(3540), shown(3480, state="Succeeded"))
    assert pauses == [60, 60]
    assert news.monitor.succeeded


def test_without_advice_the_looks_become_rare() -> None:
    answers = [shown(-30) for _ in range(8)]
    pauses, _ = follow(*answers, shown(state="Failed"))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_server_that_is_away_costs_no_wait() -> None:
    steps = next_look("a", None)
    next(steps)
    pauses = []
    for _ in range(3):
        step = steps.send(shown(status=503))
        assert isinstance(step, Pause)
        pauses.append(step.seconds)
        assert isinstance(steps.send(None), Send)
    assert pauses == sorted(pauses)
    with pytest.raises(StopIteration):
        steps.send(shown(10))


@pytest.mark.long
def test_a_terminal_gets_a_progress_bar(base_url: str) -> None:
    job = {"workload": "primes", "seconds": 3}
    with Client(base_url) as client:
        started = client.start(source="demo", job=job, poll_interval_seconds=1)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "watch", started.monitor.id],
        env={
            **os.environ,
            "JOBMON_URL": base_url,
            "PYTHONPATH": str(ROOT / "client/src"),
            "TERM": "xterm",
            "COLUMNS": "160",
        },
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 4_096)
        except OSError:  # it has ended
            break
    said, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert "Succeeded" in said
    bar = seen.decode()
    assert started.monitor.id in bar
    assert "%" in bar
    assert "\x1b[" in bar
