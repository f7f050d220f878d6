"""The functions as the host gets them: an exact table, and the rules they must keep to load."""

import re
from collections import Counter
from typing import Any

import jsonschema
import pytest

from domain import names
from tests.app.loading import Loaded

Bindings = list[dict[str, Any]]

CLIENT = {"type": "durableClient", "direction": "IN", "name": "client"}


def http(method: str, route: str, *, level: str = "FUNCTION", client: bool = True) -> Bindings:
    trigger = {
        "type": "httpTrigger",
        "direction": "IN",
        "name": "req",
        "methods": [method],
        "route": route,
        "authLevel": level,
    }
    answer = {"type": "http", "direction": "OUT", "name": "$return"}
    return [trigger, answer, *([CLIENT] if client else [])]


def timer(schedule: str) -> Bindings:
    trigger = {"type": "timerTrigger", "direction": "IN", "name": "timer", "schedule": schedule}
    return [trigger | {"runOnStartup": True}, CLIENT]


def orchestrator() -> Bindings:
    return [{"type": "orchestrationTrigger", "direction": "IN", "name": "context"}]


def activity(argument: str, *, client: bool = False) -> Bindings:
    trigger = {"type": "activityTrigger", "direction": "IN", "name": argument}
    return [trigger, *([CLIENT] if client else [])]


# Every function of the app, whole. A route, level or name that changes here changes for callers.
FUNCTIONS = {
    "StartMonitor": http("POST", "monitors"),
    "StartBatch": http("POST", "monitors:batch"),
    "GetMonitor": http("GET", "monitors/{id}"),
    "ListMonitors": http("GET", "monitors", client=False),
    "RestartMonitor": http("POST", "monitors/{id}/restart"),
    "NotifyMonitor": http("POST", "monitors/{id}/notify"),
    "ChangeMonitor": http("PATCH", "monitors/{id}"),
    "StopMonitor": http("POST", "monitors/{id}/stop"),
    "ListSources": http("GET", "sources", client=False),
    "CheckSource": http("POST", "sources/{source}/check", client=False),
    "CheckSourceRaw": http("POST", "sources/{source}/check/raw", level="ADMIN", client=False),
    "PauseSource": http("POST", "sources/{source}/pause", client=False),
    "ResumeSource": http("POST", "sources/{source}/resume", client=False),
    "HintSource": http("POST", "sources/{source}/hint"),
    "HintSourceSigned": http("POST", "hints/{source}", level="ANONYMOUS"),
    "AllowHints": http("OPTIONS", "sources/{source}/hint", client=False),
    "ListChannels": http("GET", "channels", client=False),
    "TestChannel": http("POST", "channels/{channel}/test", client=False),
    "ResendNotices": http("POST", "channels/{channel}/resend"),
    "StartCleanup": http("POST", "cleanup"),
    "ShowHousekeeping": http("GET", "housekeeping"),
    "Health": http("GET", "health", level="ANONYMOUS", client=False),
    "OpenApi": http("GET", "openapi.json", level="ANONYMOUS", client=False),
    "CountMonitors": http("GET", "counts", client=False),
    "Me": http("GET", "me", client=False),
    "Page": http("GET", "ui", level="ANONYMOUS", client=False),
    "PageFile": http("GET", "ui/{file}", level="ANONYMOUS", client=False),
    "HealthDetails": http("GET", "health/details", client=False),
    "Watchdog": timer("0 */5 * * * *"),
    names.JOB_MONITORING: orchestrator(),
    names.PERIODIC_CLEANUP: orchestrator(),
    names.SOURCE_SWEEP: orchestrator(),
    names.SWEEP_SOURCE: activity("order", client=True),
    names.SWEEP_JOBS: activity("part", client=True),
    names.DELIVERY: orchestrator(),
    names.GET_JOB_STATUS: activity("watch", client=True),
    names.CANCEL_JOB: activity("watch"),
    names.RECORD_FINAL_STATUS: activity("watch", client=True),
    names.DELIVER_NOTICES: activity("progress"),
    names.DO_CLEANUP: activity("progress", client=True),
}

# The levels of routes that need more or less than a function key.
LEVELS = {
    "Health": "ANONYMOUS",
    "OpenApi": "ANONYMOUS",
    "Page": "ANONYMOUS",
    "PageFile": "ANONYMOUS",
    "HintSourceSigned": "ANONYMOUS",
    "CheckSourceRaw": "ADMIN",
}


def by_name(bindings: Bindings) -> Bindings:
    return sorted(bindings, key=lambda binding: str(binding["name"]))


def of_type(loaded: Loaded, kind: str) -> dict[str, dict[str, Any]]:
    """The bindings of one type, by function."""
    return {
        name: binding
        for name, bindings in loaded.bindings.items()
        for binding in bindings
        if binding["type"] == kind
    }


def test_the_app_has_these_functions_and_no_others(loaded: Loaded) -> None:
    assert sorted(loaded.names) == sorted(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_these_bindings_and_no_others(loaded: Loaded, name: str) -> None:
    assert by_name(loaded.bindings[name]) == by_name(FUNCTIONS[name])


def test_wire_names_come_from_one_module(loaded: Loaded) -> None:
    known = {value for value in vars(names).values() if isinstance(value, str)}
    durable = of_type(loaded, "orchestrationTrigger").keys() | of_type(loaded, "activityTrigger")
    assert durable <= known


def test_the_routes_without_data_are_anonymous_and_a_raw_answer_needs_the_master_key(
    loaded: Loaded,
) -> None:
    levels = {name: found["authLevel"] for name, found in of_type(loaded, "httpTrigger").items()}
    assert {name: level for name, level in levels.items() if level != "FUNCTION"} == LEVELS


def test_no_two_functions_share_a_route(loaded: Loaded) -> None:
    # The host tells routes apart by their shape, not by what a placeholder is called.
    routes = Counter(
        (method, re.sub(r"\{[^}]*\}", "{}", trigger["route"]).lower())
        for trigger in of_type(loaded, "httpTrigger").values()
        for method in trigger["methods"]
    )
    assert [route for route, count in routes.items() if count > 1] == []


# What the published binding definitions of the extension bundle ask for, as far as it is used
# here; a property that is not listed would be a misspelt one. The host reads enums in any case.
_SCHEDULE = r"^[-\d*/,]+( [-\d*/,]+)( [-\d*/,]+)( [-\d*/,]+)( [-\w*/,]+)( [-\w*/,]+)$"
_ROUTE = r"^(?!admin\b|runtime\b)[a-z{][\w{}.:-]*(/[\w{}-]+)*$"
_WORD = {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_]*$"}
PROPERTIES: dict[str, dict[str, Any]] = {
    "httpTrigger": {
        "direction": {"const": "IN"},
        "name": _WORD,
        "route": {"type": "string", "pattern": _ROUTE},
        "methods": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]},
        },
        "authLevel": {"enum": ["ANONYMOUS", "FUNCTION", "ADMIN"]},
    },
    "http": {"direction": {"const": "OUT"}, "name": {"const": "$return"}},
    # Six NCRONTAB fields, seconds first; with five it would be read as something else or refused.
    "timerTrigger": {
        "direction": {"const": "IN"},
        "name": _WORD,
        "schedule": {"type": "string", "pattern": _SCHEDULE},
        "runOnStartup": {"type": "boolean"},
    },
    # Without `orchestration` or `activity` the function's own name is the wire name.
    "orchestrationTrigger": {"direction": {"const": "IN"}, "name": _WORD},
    "activityTrigger": {"direction": {"const": "IN"}, "name": _WORD},
    # Without `taskHub` and `connectionName` the client works on the hub of host.json.
    "durableClient": {"direction": {"const": "IN"}, "name": _WORD},
}


def binding_faults(binding: dict[str, Any]) -> list[str]:
    if binding["type"] not in PROPERTIES:
        return [f"unknown type {binding['type']}"]
    schema = {
        "properties": {"type": {}, **PROPERTIES[binding["type"]]},
        "required": list(PROPERTIES[binding["type"]]),
        "additionalProperties": False,
    }
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(binding)]


def test_bindings_hold_what_the_host_asks_for(loaded: Loaded) -> None:
    faults = {
        (name, binding["name"]): found
        for name, bindings in loaded.bindings.items()
        for binding in bindings
        if (found := binding_faults(binding))
    }
    assert faults == {}


@pytest.mark.parametrize(
    "broken",
    [
        timer("*/5 * * * *")[0],
        timer("0 */5 * * * * *")[0],
        timer("hourly")[0],
        http("GET", "/health")[0],
        http("GET", "admin/health")[0],
        http("get", "health")[0],
        http("GET", "health", level="NONE")[0],
        {**http("GET", "health")[0], "methods": []},
        {**http("GET", "health")[0], "auth_level": "FUNCTION"},
        {**CLIENT, "direction": "OUT"},
        {**CLIENT, "type": "orchestrationClient"},
        {**CLIENT, "taskHub": "Other"},
    ],
)
def test_a_broken_binding_is_found(broken: dict[str, Any]) -> None:
    assert binding_faults(broken)


def test_the_worker_would_load_every_function(loaded: Loaded) -> None:
    assert loaded.faults == {}
