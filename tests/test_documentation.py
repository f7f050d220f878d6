"""What the documentation must not leave out: it is held against the code."""

import ast
import json
import re
from collections.abc import Iterator

import pytest

from devhost.testing import load_once
from domain.monitors.monitor import MonitorRow, State, Watch
from domain.outcome import Outcome
from tests.app.loading import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "adapters/settings.py").read_text(encoding="utf-8")
CODE = ("activities", "adapters", "orchestrators", "triggers")


def told_events() -> Iterator[tuple[str, set[str]]]:
    """Each event in the code, with the names of its fields as they are logged."""
    for folder in CODE:
        for file in (ROOT / folder).glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "log_event":
                    fields = {_camel(k.arg) for k in node.keywords if k.arg and k.arg != "level"}
                    for event in ast.walk(node.args[0]):
                        if isinstance(event, ast.Constant):
                            yield str(event.value), fields


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def documented_events() -> dict[str, set[str]]:
    table = OPERATIONS.partition("| Event |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\|(.*)\|$", table, re.MULTILINE)
    return {event: set(re.findall(r"`(\w+)`", fields)) for event, fields in rows}


def test_the_events_are_those_of_the_code() -> None:
    told: dict[str, set[str]] = {}
    for event, fields in told_events():
        assert told.setdefault(event, fields) == fields, f"{event} has not always the same fields"
    assert documented_events() == told


def test_the_queries_ask_for_events_and_fields_that_there_are() -> None:
    queries = OPERATIONS.partition("## Asking")[2].partition("\n## ")[0]
    events = documented_events()
    asked = set(re.findall(r"\be\.(\w+)", queries))
    assert asked <= set().union(*events.values()) | {"event", "monitor", "source", "run"}
    named = re.findall(r'event (?:==|in) \(?((?:"\w+"(?:, )?)+)', queries)
    assert {name for each in named for name in re.findall(r"\w+", each)} <= events.keys()


@pytest.mark.parametrize("state", State)
def test_every_state_is_explained(state: State) -> None:
    assert state in README
    states = OPERATIONS.partition("## States")[2].partition("\n\n| Field")[0]
    assert f"`{state}`" in states


def test_every_flag_is_explained() -> None:
    flags = {"blind", "stale", "resumed", "outcome", "cancelResult", "storeAttempts"}
    known = {field.alias for model in (MonitorRow, Watch) for field in model.model_fields.values()}
    assert flags <= known
    for flag in flags:
        assert re.search(rf"^\| `{flag}`", OPERATIONS, re.MULTILINE)
    for outcome in (Outcome.UNAUTHORIZED, Outcome.THROTTLED, Outcome.UNREACHABLE):
        assert f"`{outcome}`" in OPERATIONS


def test_every_route_is_explained() -> None:
    for function in load_once(ROOT).of_kind("httpTrigger"):
        for method in function.trigger.methods:
            assert f"`{method.value} /api/{function.trigger.route}" in README, function.name


def test_every_app_setting_is_explained() -> None:
    local = json.loads((ROOT / "local.settings.json").read_text(encoding="utf-8"))["Values"]
    read = set(re.findall(r'"([A-Z][A-Z_]+|JobStatusStorage|AzureWebJobsStorage)"', SETTINGS))
    suffixes = set(re.findall(r"\}(__\w+)", SETTINGS))
    assert {"RETENTION_DAYS", "JOB_SOURCES_FILE"} <= read
    assert len(suffixes) == 3
    for name in read | local.keys():
        assert f"`{name}`" in README, name
    for suffix in suffixes:
        assert f"`JobStatusStorage{suffix}`" in README


def test_every_setting_of_make_run_is_explained() -> None:
    code = (ROOT / "demo/__main__.py").read_text(encoding="utf-8")
    ports = re.findall(r'environ\.get\("(\w+)"\) or "(\d+)"', code)
    assert len(ports) == 3
    for name, default in ports:
        assert f"| `{name}` | `{default}` |" in README
