"""The templates themselves: the language, the management models, and the rules for all options."""

import json
import re
from typing import Any

import pytest

from domain import names
from tests.infra.rules import RULES, Deployed
from tests.infra.running import ROOT

ENVIRONMENTS = ("default", "network", "scheduler", "all")


def source(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def test_language_and_models_find_nothing(found: dict[str, Any]) -> None:
    assert found["checked"][0]["faults"] == []
    assert set(found["checked"][0]["deployed"]) == set(ENVIRONMENTS)


def test_the_models_are_those_of_the_api_versions(found: dict[str, Any]) -> None:
    assert found["models"] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("rule", RULES)
def test_rule(deployed: dict[str, Deployed], rule: str, environment: str) -> None:
    assert list(RULES[rule](deployed[environment])) == []


def test_every_file_is_used(deployed: dict[str, Deployed]) -> None:
    used = {each["symbol"].partition(".")[0] for each in deployed["all"].resources}
    assert used == {path.stem for path in (ROOT / "infra").rglob("*.bicep")}


def test_every_parameter_is_supplied_and_told(found: dict[str, Any]) -> None:
    declared = found["checked"][0]["parameters"]
    supplied = json.loads(source("infra/main.parameters.json"))["parameters"]
    assert list(supplied) == declared
    table = source("infra/README.md")
    assert [name for name in declared if f"| `{name}` |" not in table] == []


def test_every_output_is_told() -> None:
    outputs = re.findall(r"^output (\w+)", source("infra/main.bicep"), re.MULTILINE)
    assert outputs
    assert [name for name in outputs if name not in source("infra/README.md")] == []


def test_the_alerts_look_for_what_the_app_says(deployed: dict[str, Deployed]) -> None:
    queries = {
        each["name"]: each["properties"]["criteria"]["allOf"][0]["query"]
        for each in deployed["default"].of("Microsoft.Insights/scheduledQueryRules")
    }
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("activities", "adapters", "triggers")
        for path in (ROOT / folder).glob("*.py")
    )
    calls = "".join(re.findall(r"\btell\(([^,]*),", code))
    told = set(re.findall(r'"(\w+)"', calls))
    assert '("stale", "blind")' in queries["monitor-stale-or-blind"]
    assert '"notStored"' in queries["final-status-not-stored"]
    assert told >= {"stale", "blind", "notStored"}
    assert "store_attempts=" in code  # in a line as storeAttempts
    assert f'"{names.DO_CLEANUP}"' in queries["cleanup-not-run"]
