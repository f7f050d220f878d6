"""Tokens of the app's identity: kept, renewed in time, and renewed when a source refuses one."""

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import (
    CredentialUnavailableError,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)
from pydantic import SecretStr

from adapters import identity as identity_module
from adapters.identity import NoToken, app_identity
from adapters.job_api import JobApi
from adapters.tokens import Tokens
from domain.outcome import Outcome
from domain.sources.auth import BearerAuth
from domain.sources.file import load_sources
from domain.sources.source import Source
from tests.faulty_source import SLOW_SECONDS, FaultySource, Reply

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SCOPE = "https://jobs.example/.default"


def source(scope: str = SCOPE, client_id: str | None = None, more: str = "") -> Source:
    text = f"""
    [sources.demo.status]
    url = "https://jobs.example/{{job_id}}"
    status = "status"
    [sources.demo.outcomes]
    succeeded = ["done"]
    [sources.demo.auth]
    kind = "managed_identity"
    scope = "{scope}"
    {f'client_id = "{client_id}"' if client_id else ""}
    {more}
    """
    return load_sources(text, {}).get(None)


def source_with_bearer() -> Source:
    auth = BearerAuth(kind="bearer", token=SecretStr("x"))
    return source().model_copy(update={"auth": auth})


class Entra:
    """Gives out numbered tokens, each to live for an hour; one credential repeats its own."""

    def __init__(self, lives: timedelta = timedelta(hours=1)) -> None:
        self.now = NOW
        self.lives = lives
        self.made: list[str | None] = []
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.waiting: threading.Event | None = None

    def credential(self, client_id: str | None) -> TokenCredential:
        self.made.append(client_id)
        return Credential(self)

    def tokens(self) -> Tokens:
        return Tokens(self.credential, lambda: self.now)


class Credential:
    """As those of azure-identity, it keeps a token until that expires."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra
        self._kept: AccessToken | None = None

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        entra = self._entra
        entra.asked.append(*scopes)
        if entra.waiting:
            entra.waiting.wait(60)
        if entra.error:
            raise entra.error
        now = int(entra.now.timestamp())
        if self._kept is None or self._kept.expires_on - 300 <= now:
            end = now + int(entra.lives.total_seconds())
            self._kept = AccessToken(f"token-{len(entra.asked)}", end)
        return self._kept


def sent(signed: Source) -> str:
    return signed.auth_headers()["Authorization"]


def test_a_source_with_other_auth_is_left_alone() -> None:
    entra = Entra()
    text = '[sources.x]\npreset = "p"'
    preset = """
    description = "x"
    documentation = ["https://x"]
    [source.status]
    url = "https://x/{job_id}"
    status = "s"
    [source.outcomes]
    succeeded = ["x"]
    """
    other = load_sources(text, {}, presets={"p": preset}).get(None)
    assert entra.tokens().with_credentials(other) is other
    assert entra.made == []


def test_a_token_is_kept_until_near_its_expiry() -> None:
    entra = Entra()
    tokens = entra.tokens()
    assert sent(tokens.with_credentials(source())) == "Bearer token-1"
    entra.now += timedelta(minutes=54)
    assert sent(tokens.with_credentials(source())) == "Bearer token-1"
    assert entra.asked == [SCOPE]
    entra.now = NOW + timedelta(minutes=55)
    assert sent(tokens.with_credentials(source())) == "Bearer token-2"
    assert entra.asked == [SCOPE, SCOPE]
    assert entra.made == [None]


def test_a_token_that_is_always_near_its_expiry_is_used() -> None:
    entra = Entra(lives=timedelta(minutes=4))
    tokens = entra.tokens()
    assert [sent(tokens.with_credentials(source())) for _ in range(2)] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


def test_each_scope_and_identity_has_its_own() -> None:
    entra = Entra()
    tokens = entra.tokens()
    seen = [
        sent(tokens.with_credentials(each))
        for each in (source(), source("other/.default"), source(client_id="c"), source())
    ]
    assert seen == ["Bearer token-1", "Bearer token-2", "Bearer token-3", "Bearer token-1"]
    assert entra.made == [None, None, "c"]


def test_a_refused_token_is_renewed_with_a_new_credential() -> None:
    entra = Entra()
    tokens = entra.tokens()
    first = tokens.with_credentials(source())
    second = tokens.with_credentials(source(), refused=first)
    assert (sent(first), sent(second)) == ("Bearer token-1", "Bearer token-2")
    assert len(entra.made) == 2
    # Another thread that was refused the first one takes the one that is there by now.
    assert sent(tokens.with_credentials(source(), refused=first)) == "Bearer token-2"
    assert len(entra.made) == 2


def test_threads_ask_once() -> None:
    entra = Entra()
    entra.waiting = threading.Event()
    tokens = entra.tokens()
    with ThreadPoolExecutor(8) as pool:
        all_of_them = [pool.submit(tokens.with_credentials, source()) for _ in range(8)]
        entra.waiting.set()
        assert {sent(each.result(60)) for each in all_of_them} == {"Bearer token-1"}
    assert entra.asked == [SCOPE]


def test_a_failure_is_told_to_all_and_remembered_for_some_seconds() -> None:
    """Sixteen polls asked a slow endpoint one after the other, and took as long together."""
    entra = Entra()
    entra.error, entra.waiting = ServiceRequestError("away"), threading.Event()
    tokens = entra.tokens()

    def ask() -> str:
        with pytest.raises(NoToken) as caught:
            tokens.with_credentials(source())
        return str(caught.value)

    with ThreadPoolExecutor(8) as pool:
        all_of_them = [pool.submit(ask) for _ in range(8)]
        entra.waiting.set()
        assert len({each.result(60) for each in all_of_them}) == 1
    entra.now += timedelta(seconds=9)
    ask()
    assert entra.asked == [SCOPE]
    assert tokens.with_credentials(bearer := source_with_bearer()) is bearer
    entra.now += timedelta(seconds=1)
    ask()
    assert entra.asked == [SCOPE, SCOPE]
    entra.now -= timedelta(hours=1)  # a clock that was set back keeps no failure alive
    ask()
    assert entra.asked == [SCOPE, SCOPE, SCOPE]


def test_a_poll_waits_for_a_token_as_long_as_it_has_time() -> None:
    entra = Entra()
    entra.waiting = threading.Event()
    tokens = entra.tokens()
    for _ in range(2):
        with pytest.raises(NoToken, match="no token within 10 s") as caught:
            tokens.with_credentials(source(), deadline=time.monotonic() + 0.05)
        assert caught.value.outcome is Outcome.UNREACHABLE
    entra.waiting.set()
    # The token that was asked for then is there for the next.
    assert sent(tokens.with_credentials(source())) == "Bearer token-1"
    assert entra.asked == [SCOPE]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (CredentialUnavailableError("no identity here\nsecond line"), Outcome.UNAUTHORIZED),
        (ClientAuthenticationError("no identity here"), Outcome.UNAUTHORIZED),
        (ValueError("no identity here"), Outcome.UNAUTHORIZED),
        (ServiceRequestError("no identity here"), Outcome.UNREACHABLE),
    ],
)
def test_no_token(error: Exception, outcome: Outcome) -> None:
    entra = Entra()
    entra.error = error
    tokens = entra.tokens()
    with pytest.raises(NoToken) as caught:
        tokens.with_credentials(source())
    assert str(caught.value) == f"the app's identity got no token for {SCOPE}: no identity here"
    assert caught.value.outcome is outcome
    entra.error = None
    entra.now += timedelta(seconds=10)
    assert sent(tokens.with_credentials(source())) == "Bearer token-2"


def test_a_token_that_can_not_be_sent() -> None:
    class Odd(Credential):
        def get_token(self, *_: str, **__: Any) -> AccessToken:
            return AccessToken("planted\ntoken", int(NOW.timestamp()) + 3600)

    with pytest.raises(NoToken) as caught:
        Tokens(lambda _: Odd(Entra()), lambda: NOW).with_credentials(source())
    assert "planted" not in str(caught.value)


def test_a_token_is_redacted_and_not_shown() -> None:
    signed = Entra().tokens().with_credentials(source())
    assert signed.redact("it was token-1.") == "it was ***."
    assert "token-1" not in repr(signed)


@pytest.mark.parametrize(
    ("in_azure", "client_id", "kind"),
    [
        (True, None, ManagedIdentityCredential),
        (True, "c", ManagedIdentityCredential),
        (False, "c", ManagedIdentityCredential),
        (False, None, DefaultAzureCredential),
    ],
)
def test_which_identity(in_azure: bool, client_id: str | None, kind: type) -> None:
    credential = app_identity({"IDENTITY_ENDPOINT": "x"} if in_azure else {})(client_id)
    assert type(credential) is kind
    credential.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("setting", "client_id", "asked_for"),
    [({}, None, None), ({"AZURE_CLIENT_ID": "a"}, None, "a"), ({"AZURE_CLIENT_ID": "a"}, "c", "c")],
)
def test_which_user_assigned_identity(
    host: FaultySource, setting: dict[str, str], client_id: str | None, asked_for: str | None
) -> None:
    """One rule for the sources and for the storage: see adapters/identity.py."""
    host.behave("token", Reply(500))
    with pytest.raises(NoToken):
        Tokens(app_identity({"IDENTITY_ENDPOINT": "x", **setting})).with_credentials(
            source(client_id=client_id)
        )
    target = unquote(host.requests[0].target)
    assert (f"client_id={asked_for}" in target) if asked_for else ("client_id" not in target)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultySource]:
    """Where a Functions host gives out tokens."""
    with FaultySource() as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/jobs/token")
        monkeypatch.setenv("IDENTITY_HEADER", "planted-header")
        monkeypatch.delenv("IDENTITY_SERVER_THUMBPRINT", raising=False)
        yield server


def in_azure() -> Tokens:
    return Tokens(app_identity({"IDENTITY_ENDPOINT": "x"}))


def test_the_identity_of_a_function_app(host: FaultySource) -> None:
    end = int(datetime.now(UTC).timestamp()) + 3600
    answer: dict[str, object] = {"token_type": "Bearer", "resource": "x", "expires_on": str(end)}
    host.behave("token", {**answer, "access_token": "one"}, {**answer, "access_token": "two"})
    tokens, asked = in_azure(), source(client_id="c-1")
    first = tokens.with_credentials(asked)
    assert [sent(first), sent(tokens.with_credentials(asked))] == ["Bearer one"] * 2
    assert sent(tokens.with_credentials(asked, refused=first)) == "Bearer two"
    assert len(host.requests) == 2
    target = unquote(host.requests[0].target)
    assert "resource=https://jobs.example&" in f"{target}&"
    assert "client_id=c-1" in target


@pytest.mark.parametrize("step", [Reply(400, b"{}"), Reply(500), "html", "reset", "slow-headers"])
def test_a_host_that_gives_no_token(
    host: FaultySource, monkeypatch: pytest.MonkeyPatch, step: str | Reply
) -> None:
    monkeypatch.setitem(identity_module.PATIENCE, "read_timeout", 0.2)
    host.behave("token", step)
    started = time.monotonic()
    with pytest.raises(NoToken, match="no token for") as caught:
        in_azure().with_credentials(source())
    assert time.monotonic() - started < SLOW_SECONDS - 1
    assert "planted" not in str(caught.value)


def oauth(server: FaultySource, more: str = "") -> Source:
    text = f"""
    [sources.demo.status]
    url = "{server.url}/jobs/{{job_id}}"
    status = "status"
    [sources.demo.outcomes]
    succeeded = ["done"]
    [sources.demo.auth]
    kind = "oauth2"
    token_url = "{server.url}/token"
    client_id = "the:id"
    client_secret = "planted-s3cret%"
    scope = "jobs.read"
    {more}
    """
    return load_sources(text, {}).get(None)


@pytest.fixture
def token_server() -> Iterator[FaultySource]:
    with FaultySource() as server:
        yield server


def test_client_credentials(token_server: FaultySource) -> None:
    token_server.behave("submit", {"access_token": "t-1", "expires_in": 3600})
    token_server.behave("a", {"status": "done"})
    api = JobApi(Tokens())
    asked = oauth(token_server)
    assert [api.poll(asked, "a", NOW).outcome for _ in range(2)] == [Outcome.SUCCEEDED] * 2
    token, *polls = token_server.requests
    assert (token.method, token.target) == ("POST", "/token")
    assert parse_qs(token.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["jobs.read"],
    }
    pair = base64.b64decode(token.headers["Authorization"].removeprefix("Basic ")).decode()
    assert pair == "the%3Aid:planted-s3cret%25"
    assert [each.headers["Authorization"] for each in polls] == ["Bearer t-1"] * 2


def test_client_credentials_in_the_body(token_server: FaultySource) -> None:
    token_server.behave("submit", {"access_token": "t-1", "expires_in": "3600"})
    more = 'credentials_in = "body"\nparameters = { audience = "https://jobs" }'
    assert sent(Tokens().with_credentials(oauth(token_server, more))) == "Bearer t-1"
    (token,) = token_server.requests
    assert "Authorization" not in token.headers
    assert parse_qs(token.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["jobs.read"],
        "audience": ["https://jobs"],
        "client_id": ["the:id"],
        "client_secret": ["planted-s3cret%"],
    }


def test_client_credentials_that_a_source_refuses_are_fetched_once_more(
    token_server: FaultySource,
) -> None:
    token_server.behave("submit", {"access_token": "t-1"}, {"access_token": "t-2"})
    token_server.behave("a", "401", {"status": "done"})
    assert JobApi(Tokens()).poll(oauth(token_server), "a", NOW).outcome is Outcome.SUCCEEDED
    assert token_server.requests[-1].headers["Authorization"] == "Bearer t-2"


@pytest.mark.parametrize(
    ("step", "outcome", "what"),
    [
        (
            Reply(401, b'{"error": "invalid_client planted-s3cret%"}'),
            Outcome.UNAUTHORIZED,
            "HTTP 401",
        ),
        (Reply(400, b'{"error": "invalid_scope"}'), Outcome.UNAUTHORIZED, "invalid_scope"),
        (
            Reply(400, b'{"error": "invalid_client", "error_description": "planted words"}'),
            Outcome.UNAUTHORIZED,
            "HTTP 400 invalid_client",
        ),
        (Reply(503), Outcome.UNREACHABLE, "HTTP 503"),
        (Reply(429), Outcome.UNREACHABLE, "HTTP 429"),
        (Reply(200, b"<html>"), Outcome.UNREACHABLE, "no access_token"),
        (Reply(200, b'{"access_token": "a\\nb"}'), Outcome.UNAUTHORIZED, "got no token"),
        ("reset", Outcome.UNREACHABLE, "the connection failed"),
    ],
)
def test_a_server_that_gives_no_token(
    token_server: FaultySource, step: str | Reply, outcome: Outcome, what: str
) -> None:
    token_server.behave("submit", step)
    poll = JobApi(Tokens()).poll(oauth(token_server), "a", NOW)
    assert poll.outcome is outcome
    assert what in str(poll.detail)
    assert "planted" not in str(poll.detail)  # I9
    assert len(token_server.requests) == 1


def test_two_clients_of_one_server_do_not_share_a_token(token_server: FaultySource) -> None:
    token_server.behave("submit", {"access_token": "t-1"}, {"access_token": "t-2"})
    tokens, one = Tokens(), oauth(token_server)
    other = one.model_copy(
        update={"auth": one.auth.model_copy(update={"client_secret": SecretStr("another")})}
    )
    assert [sent(tokens.with_credentials(each)) for each in (one, other, one)] == [
        *("Bearer t-1", "Bearer t-2", "Bearer t-1")
    ]


@pytest.mark.parametrize("refusal", [401, 403])
def test_a_token_that_is_no_longer_good_is_renewed(
    token_server: FaultySource, refusal: int
) -> None:
    """Databricks says so with 403, and at times in HTML."""
    token_server.behave("submit", {"access_token": "t-1"}, {"access_token": "t-2"})
    token_server.behave("a", Reply(refusal, b"<p>Invalid access token"), {"status": "done"})
    assert JobApi(Tokens()).poll(oauth(token_server), "a", NOW).outcome is Outcome.SUCCEEDED


def test_missing_rights_do_not_fetch_a_token_at_each_poll(token_server: FaultySource) -> None:
    token_server.behave("submit", {"access_token": "t-1", "expires_in": 3600})
    token_server.behave("a", Reply(403, b"no right"))
    api = JobApi(Tokens())
    for _ in range(5):
        assert api.poll(oauth(token_server), "a", NOW).outcome is Outcome.UNAUTHORIZED
    assert sum(request.method == "POST" for request in token_server.requests) == 2
