"""Roles of Microsoft Entra ID on the routes; the tests play the platform, which sets headers."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from adapters.services import get_services
from devhost.testing import load_once
from tests.app.loading import ROOT, load_app
from tests.app.test_function_index import FUNCTIONS, LEVELS, of_type
from triggers.access import Role, caller

# The role that each route needs. These need none: they show no data, or ask for a signature.
ANONYMOUS = {"Health", "OpenApi", "HintSourceSigned", "Page", "PageFile"}
ROLES = {
    "ListMonitors": "read",
    "GetMonitor": "read",
    "ListSources": "read",
    "Me": "read",
    "CountMonitors": "read",
    "ListChannels": "read",
    "TestChannel": "start",
    "ResendNotices": "start",
    "HintSource": "start",
    "AllowHints": "start",
    "CheckSource": "read",
    "CheckSourceRaw": "read",  # and the master key, since the host still asks for that
    "HealthDetails": "read",
    "StartMonitor": "start",
    "StartBatch": "start",
    "NotifyMonitor": "start",
    "ChangeMonitor": "start",
    "RestartMonitor": "start",
    "ResumeSource": "start",
    "StartCleanup": "start",
    "ShowHousekeeping": "read",
    "StopMonitor": "stop",
    "PauseSource": "stop",
}
PRINCIPAL = "X-MS-CLIENT-PRINCIPAL"


def encoded(told: object) -> str:
    return base64.b64encode(json.dumps(told).encode()).decode()


def principal(*roles: str, **more: str) -> dict[str, str]:
    """The header as the platform sets it for a person with these app roles."""
    claims = [{"typ": "roles", "val": role} for role in roles]
    claims += [{"typ": name, "val": value} for name, value in more.items()]
    told = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"}
    return {PRINCIPAL: encoded(told)}


def call(name: str, headers: dict[str, str]) -> func.HttpResponse:
    """Call a function as the worker does, with nothing behind it."""
    [function] = [f for f in load_once(ROOT).of_kind("httpTrigger") if f.name == name]
    req = func.HttpRequest(
        "GET",
        "https://app.example/api/x",
        headers=headers,
        params={},
        route_params={"id": "demo.a", "source": "demo", "channel": "x"},
        body=b"",
    )
    arguments: dict[str, Any] = {"req": req}
    arguments |= dict.fromkeys(function.client_names, json.dumps(CLIENT))
    answer: func.HttpResponse = asyncio.run(function.call(**arguments))
    return answer


CLIENT = {
    "taskHubName": "x",
    "creationUrls": {},
    "managementUrls": {"id": "INSTANCEID"},
    "rpcBaseUrl": "http://127.0.0.1:9/",
}


@pytest.fixture(autouse=True)
def entra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AUTH=entra on the platform, and no store: who is let in gets 503."""
    load_once(ROOT)  # which takes the settings of this machine
    monkeypatch.setenv("AUTH", "entra")
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    monkeypatch.delenv("AzureWebJobsStorage", raising=False)
    get_services.cache_clear()
    yield
    get_services.cache_clear()


def status_and_words(answer: func.HttpResponse) -> tuple[int, str]:
    assert answer.mimetype == "application/problem+json"
    told = json.loads(answer.get_body())
    assert told["status"] == answer.status_code
    return answer.status_code, told["detail"]


def test_every_route_with_data_needs_a_role() -> None:
    routes = {name for name, found in FUNCTIONS.items() if found[0]["type"] == "httpTrigger"}
    assert routes - ANONYMOUS == ROLES.keys()
    assert set(ROLES.values()) == {*map(str, Role)}


@pytest.mark.parametrize("name", ROLES)
def test_a_route_lets_in_its_role_alone(name: str) -> None:
    others = [role for role in Role if role != ROLES[name]]
    status, words = status_and_words(call(name, principal(*others)))
    assert (status, words) == (403, f"The role {ROLES[name]} is needed here.")
    if name == "Me":  # which asks no store
        told = json.loads(call(name, principal(ROLES[name], name="Ann")).get_body())
        assert told == {"name": "Ann", "roles": [ROLES[name]]}
        return
    status, words = status_and_words(call(name, principal(ROLES[name])))
    assert (status, words) == (503, "The app is not configured.")


@pytest.mark.parametrize("name", ROLES)
def test_a_route_refuses_whom_nobody_has_checked(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = call(name, {})
    assert status_and_words(answer)[0] == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    for value in ("False", "", "0", "enabled"):
        monkeypatch.setenv("WEBSITE_AUTH_ENABLED", value)
        for headers in ({}, principal("read", "start", "stop")):
            assert status_and_words(call(name, headers))[0] == 401
    monkeypatch.delenv("WEBSITE_AUTH_ENABLED")
    assert status_and_words(call(name, principal("read", "start", "stop")))[0] == 401


def test_a_header_that_the_platform_has_not_set_is_refused_with_keys_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or the log would name whomever a holder of a key likes."""
    monkeypatch.setenv("AUTH", "keys")
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "False")
    assert status_and_words(call("GetMonitor", {}))[0] == 503
    for headers in (principal("read"), {f"{PRINCIPAL}-NAME": "boss"}, {f"{PRINCIPAL}-id": "1"}):
        assert status_and_words(call("GetMonitor", headers))[0] == 401


@pytest.mark.parametrize(
    "value",
    [
        "",
        "read",
        "e30",  # not padded
        encoded(["read"]),
        encoded("read"),
        encoded({"auth_typ": "facebook", "claims": [{"typ": "roles", "val": "read"}]}),
        base64.b64encode(b"{").decode(),
        base64.b64encode(b"\xff\xfe{}").decode(),
        base64.b64encode(b"[" * 100_000).decode(),
        # As the host hands over a header that came twice.
        f"{principal('read')[PRINCIPAL]},{principal('stop')[PRINCIPAL]}",
    ],
)
def test_a_principal_that_cannot_be_read_is_refused(value: str) -> None:
    assert status_and_words(call("GetMonitor", {PRINCIPAL: value}))[0] == 401


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"claims": None},
        {"claims": {"typ": "roles", "val": "read"}},
        {"claims": ["read", None, 1, {"typ": "roles"}, {"val": "read"}]},
        {"claims": [{"typ": "roles", "val": ["read"]}]} | {"role_typ": "x"},
        {"claims": [{"typ": "roles", "val": "Read"}]},
        {"claims": [{"typ": "roles", "val": "read start"}]},
        {"claims": [{"typ": "scp", "val": "read"}], "role_typ": "roles"},
        {"claims": [{"typ": "groups", "val": "read"}], "role_typ": ["groups"]},
    ],
)
def test_other_claims_are_no_role(told: object) -> None:
    assert status_and_words(call("GetMonitor", {PRINCIPAL: encoded(told)}))[0] == 403


@pytest.mark.parametrize(
    "told",
    [
        {"claims": [{"typ": "roles", "val": "stop"}, {"typ": "roles", "val": "read"}]},
        {"claims": [{"typ": "my-roles", "val": "read"}], "role_typ": "my-roles"},
        {
            "auth_typ": "aad",
            "claims": [
                {
                    "typ": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
                    "val": "read",
                }
            ],
        },
    ],
)
def test_a_role_is_found_under_its_names(told: object) -> None:
    assert call("GetMonitor", {PRINCIPAL.lower(): encoded(told)}).status_code == 503


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (principal("read", preferred_username="ann@example.com", name="Ann"), "ann@example.com"),
        (principal("read", name="Ann"), "Ann"),
        (principal("read", appid="0000-1"), "0000-1"),
        (principal("read") | {f"{PRINCIPAL}-NAME": "bob@example.com"}, "bob@example.com"),
        (principal("read") | {f"{PRINCIPAL}-ID": "id-1"}, "id-1"),
        (principal("read"), "unknown"),
        (principal("read", name="a\nb\x00c\ufffe" + "d" * 200), "abc" + "d" * 125),
        ({}, "key"),
    ],
)
def test_who_asks(headers: dict[str, str], name: str) -> None:
    req = func.HttpRequest("GET", "https://app.example/api/x", headers=headers, body=b"")
    assert caller(req) == name


COOKIE = principal("read", "start", "stop")
OWN = {
    "X-Requested-With": "JobMonitor",
    "Content-Type": "application/json",
    "Origin": "https://app.example",
}


def change(headers: dict[str, str]) -> int:
    """A change by somebody who is signed in; 503 for one that is let in."""
    [function] = [f for f in load_once(ROOT).of_kind("httpTrigger") if f.name == "PauseSource"]
    url = "https://app.example/api/sources/demo/pause"
    req = func.HttpRequest(
        "POST", url, headers=headers, params={}, route_params={"source": "demo"}, body=b""
    )
    answer: func.HttpResponse = asyncio.run(function.call(req=req))
    status: int = answer.status_code
    return status


def test_a_change_by_a_cookie_comes_from_the_page_of_this_app_alone() -> None:
    assert change(COOKIE | OWN) == 503
    for name in OWN:
        assert change(COOKIE | {n: v for n, v in OWN.items() if n != name}) == 403
    for name, value in (
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "https://app.example.evil.example"),
        ("Origin", "https://["),
        ("Content-Type", "text/plain"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ):
        assert change(COOKIE | OWN | {name: value}) == 403


def test_a_change_with_a_token_needs_no_origin() -> None:
    assert change(COOKIE | {"Authorization": "Bearer x"}) == 503


def test_a_proxy_may_ask_under_another_name() -> None:
    asked = {**OWN, "Origin": "https://outer.example"}
    assert change(COOKIE | asked | {"X-Forwarded-Host": "outer.example"}) == 503
    assert change(COOKIE | asked) == 403


def test_health_shows_nobody_anything_and_asks_nobody() -> None:
    status, words = status_and_words(call("Health", {}))
    assert status == 503
    assert "Storage" not in words


@pytest.mark.parametrize(
    ("auth", "level"), [("entra", "ANONYMOUS"), ("keys", "FUNCTION"), ("Entra", "FUNCTION")]
)
def test_the_levels_follow_the_setting(tmp_path: Path, auth: str, level: str) -> None:
    loaded = load_app(ROOT, tmp_path, settings={"AUTH": auth})
    levels = {name: found["authLevel"] for name, found in of_type(loaded, "httpTrigger").items()}
    assert levels == dict.fromkeys(levels, level) | LEVELS


@pytest.mark.parametrize("name", ROLES)
def test_a_word_that_is_not_known_serves_nobody(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH", "Entra")
    assert status_and_words(call(name, principal("read", "start", "stop")))[0] == 503
