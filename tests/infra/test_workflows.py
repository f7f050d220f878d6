"""The workflows: keys that GitHub knows, checkov's checks, and what this repository asks of them.

checkov and YAML come from .venv-infra. The schema here is GitHub's language as far as the workflows
use it: checkov's own copy takes a job without a runner. What GitHub makes of an expression, or
Azure of a command, is not seen here.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.infra.running import ROOT, run

FOLDER = ROOT / ".github/workflows"

Workflow = dict[str, Any]

# By tags that exist; a new one is added here after a look at it.
ACTIONS = {
    "actions/checkout@v4",
    "actions/setup-node@v4",
    "actions/setup-python@v5",
    "Azure/setup-azd@v2",
    "azure/login@v2",
}

# azd signs in itself, and tells who signed in.
FILLED_IN_BY_AZD = {"AZURE_PRINCIPAL_ID"}

READ = """
import json, pathlib, sys, yaml
files = sorted(pathlib.Path(sys.argv[1]).glob("*.y*ml"))
# To YAML 1.1, `on` is a truth value.
workflows = {f.stem: {"on" if k is True else k: v for k, v in yaml.safe_load(f.read_text()).items()}
             for f in files}
json.dump(workflows, sys.stdout)
"""


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT, TEXTS, NUMBER = (
    {"type": "string"},
    {"type": "array", "items": {"type": "string"}},
    {"type": "integer"},
)
BY_NAME = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
PERMISSIONS = _object({"contents": {"enum": ["read"]}, "id-token": {"enum": ["write"]}})
PUSHES = _object({"branches": TEXTS, "tags": TEXTS, "paths": TEXTS}) | {"type": ["object", "null"]}
STEP = _object({"name": TEXT, "uses": TEXT, "with": BY_NAME, "run": TEXT, "env": BY_NAME}) | {
    "oneOf": [{"required": ["uses"]}, {"required": ["run"]}]
}
MATRIX = {"type": "object", "additionalProperties": TEXTS}
JOB = _object(
    {
        "needs": {"anyOf": [TEXT, TEXTS]},
        "if": TEXT,
        "runs-on": {"enum": ["ubuntu-24.04"]},
        "timeout-minutes": NUMBER,
        "environment": TEXT,
        "permissions": PERMISSIONS,
        "env": BY_NAME,
        "strategy": _object({"fail-fast": {"type": "boolean"}, "matrix": MATRIX}),
        "steps": {"type": "array", "items": STEP, "minItems": 1},
    },
    required=("runs-on", "timeout-minutes", "steps"),
)
CALL = _object({"uses": TEXT, "needs": {"anyOf": [TEXT, TEXTS]}}, required=("uses",))
SCHEMA = _object(
    {
        "name": TEXT,
        "on": _object(
            {
                "push": PUSHES,
                "pull_request": PUSHES,
                "workflow_dispatch": {"type": "null"},
                "workflow_call": {"type": "null"},
            }
        ),
        "permissions": PERMISSIONS,
        "concurrency": _object({"group": TEXT, "cancel-in-progress": {"type": "boolean"}}),
        "jobs": {
            "type": "object",
            "additionalProperties": {
                "if": {"required": ["uses"]},
                "then": CALL,
                "else": JOB,
            },
        },
    },
    required=("name", "on", "permissions", "jobs"),
)


@pytest.fixture(scope="module")
def workflows() -> dict[str, Workflow]:
    """All workflows, by the names of their files."""
    found: dict[str, Workflow] = json.loads(run("python", "-c", READ, str(FOLDER)))
    return found


def faults(workflow: Workflow) -> list[str]:
    """What GitHub would refuse, or this repository does not want."""
    errors = Draft202012Validator(SCHEMA).iter_errors(workflow)
    refused = [f"{error.json_path}: {error.message}" for error in errors]
    return refused or [*_faults(workflow)]


def _faults(workflow: Workflow) -> Iterator[str]:
    if workflow.get("permissions") != {"contents": "read"}:
        yield "permissions: the workflow must begin with contents: read alone"
    text = json.dumps(workflow)
    if re.search(r"\bsecrets\b", text):
        yield "secrets: sign in with a token of GitHub's; ids are variables"
    for name, job in workflow["jobs"].items():
        if "uses" in job:
            continue
        signs_in = "AZURE_CLIENT_ID" in json.dumps([job["steps"], job.get("env")])
        wanted = {"contents": "read", "id-token": "write"} if signs_in else None
        if job.get("permissions") != wanted:
            yield f"{name}: permissions: a token for those jobs that sign in, and no others"
        if signs_in and "environment" not in job:
            yield f"{name}: signs in without an environment that protects it"
        for step in job["steps"]:
            yield from (f"{name}: {fault}" for fault in _step_faults(step))


def _step_faults(step: dict[str, Any]) -> Iterator[str]:
    action, command = step.get("uses", ""), step.get("run", "")
    if action and action not in ACTIONS:
        yield f"{action} is not on the list"
    if action.startswith("actions/checkout@") and step.get("with") != {
        "persist-credentials": False
    }:
        yield "checkout: leaves its token in the folder"
    if "${{" in command:
        yield f"an expression in a command may become one: {command}"
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for line in re.findall(r"^make (.*)$", command, re.M):
        yield from (
            f"make {target}: no such target" for target in line.split() if target not in targets
        )
    paths = step.get("with", {}).get("cache-dependency-path", "").split()
    paths += re.findall(r"\binfra/\S+", command)
    yield from (f"{path}: no such file" for path in paths if not (ROOT / path).is_file())


def test_there_are_three(workflows: dict[str, Workflow]) -> None:
    assert workflows.keys() == {"test", "infra", "deploy"}


@pytest.mark.parametrize("name", ["test", "infra", "deploy"])
def test_workflows_are_sound(name: str, workflows: dict[str, Workflow]) -> None:
    assert faults(workflows[name]) == []


def test_checkov_finds_nothing() -> None:
    options = ["--framework", "github_actions", "--skip-download", "--output", "json"]
    report = json.loads(run("checkov", *options, "--directory", str(ROOT / ".github")))
    assert [failed["check_name"] for failed in report["results"]["failed_checks"]] == []
    # It exits 0 on files that it can't read as well.
    assert report["summary"]["parsing_errors"] == 0
    read_files = {passed["file_path"] for passed in report["results"]["passed_checks"]}
    assert {Path(path).stem for path in read_files} == {"test", "infra", "deploy"}


def test_the_tests_run_as_in_ci_on_all_pythons(workflows: dict[str, Workflow]) -> None:
    workflow = workflows["test"]
    assert {"push", "pull_request"} <= workflow["on"].keys()
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert job["strategy"]["fail-fast"] is False
    in_ci = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-1]
    assert job["steps"][-1] == {"run": in_ci}


def test_nothing_is_deployed_untested_or_two_at_once(workflows: dict[str, Workflow]) -> None:
    workflow = workflows["deploy"]
    jobs = workflow["jobs"]
    assert workflow["on"].keys() == {"workflow_dispatch", "push"}
    assert workflow["on"]["push"].keys() == {"tags"}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert jobs["test"] == {"uses": "./.github/workflows/test.yml"}
    assert jobs["replay"]["steps"][-1] == {"run": "make replay"}
    assert set(jobs["deploy"]["needs"]) == {"test", "replay"}


def test_the_pipeline_gives_azd_what_the_parameters_ask_for(workflows: dict[str, Workflow]) -> None:
    text = (ROOT / "infra/main.parameters.json").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+)", text)) - FILLED_IN_BY_AZD
    assert asked - workflows["deploy"]["jobs"]["deploy"]["env"].keys() == set()


def test_what_if_gives_the_same_parameters(workflows: dict[str, Workflow]) -> None:
    text = (ROOT / "infra/main.parameters.json").read_text(encoding="utf-8")
    from_settings = {
        name: match[1]
        for name, parameter in json.loads(text)["parameters"].items()
        if (match := re.match(r"\$\{(\w+)", str(parameter["value"])))
        and match[1] not in FILLED_IN_BY_AZD
    }
    given = workflows["infra"]["jobs"]["what-if"]["env"]["PARAMETERS"]
    assert dict(re.findall(r"(\w+)=\$\{\{ vars\.(\w+)", given)) == from_settings
    template = (ROOT / "infra/main.bicep").read_text(encoding="utf-8")
    assert from_settings.keys() <= set(re.findall(r"^param (\w+)", template, re.M))


# -- the checks themselves: each of these must fail ------------------------------------------


def _job(workflow: Workflow) -> dict[str, Any]:
    job: dict[str, Any] = workflow["jobs"]["deploy"]
    return job


BROKEN: dict[str, Callable[[Workflow], Any]] = {
    "'runs_on' was unexpected": lambda w: _job(w).update({"runs_on": _job(w).pop("runs-on")}),
    "'pull_requests' was unexpected": lambda w: w["on"].update({"pull_requests": None}),
    "'id-tokens' was unexpected": lambda w: _job(w).update({"permissions": {"id-tokens": "write"}}),
    "contents: read alone": lambda w: w["permissions"].update({"id-token": "write"}),
    "a token for those jobs": lambda w: _job(w).pop("permissions"),
    "'timeout-minutes' is a required": lambda w: _job(w).pop("timeout-minutes"),
    "secrets: sign in": lambda w: _job(w)["env"].update(
        {"KEY": "${{ secrets.AZURE_CREDENTIALS }}"}
    ),
    "without an environment": lambda w: _job(w).pop("environment"),
    "is not on the list": lambda w: _job(w)["steps"].append({"uses": "actions/checkout@main"}),
    "leaves its token": lambda w: _job(w)["steps"][0].pop("with"),
    "no such target": lambda w: _job(w)["steps"].append({"run": "make everything"}),
    "no such file": lambda w: _job(w)["steps"].append(
        {"run": "az bicep lint --file infra/no.bicep"}
    ),
    "may become one": lambda w: _job(w)["steps"].append({"run": "echo ${{ github.head_ref }}"}),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_workflow_is_found(fault: str, workflows: dict[str, Workflow]) -> None:
    broken = copy.deepcopy(workflows["deploy"])
    BROKEN[fault](broken)
    assert any(fault in found for found in faults(broken)), faults(broken)
