"""The workflows: the rules of this repository, which GitHub does not know.

GitHub itself refuses a key that it does not know. No test here sees what GitHub makes of an
expression, or Azure of a command.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.infra.templates import ROOT, Templates, sources

Workflow = dict[str, Any]

# By tags that exist; a new one is added here after a look at the action.
ACTIONS = {
    "actions/checkout@v4",
    "actions/setup-node@v4",
    "actions/setup-python@v5",
    "actions/upload-artifact@v4",
    "Azure/setup-azd@v2",
    "azure/login@v2",
}
# azd signs in itself, and gives the id of the principal that signed in.
FILLED_IN_BY_AZD = {"AZURE_PRINCIPAL_ID"}
PARAMETERS = (ROOT / "infra/main.parameters.json").read_text(encoding="utf-8")


def _read() -> dict[str, Workflow]:
    files = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
    read = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}
    # To YAML 1.1, `on` is a truth value.
    return {name: {"on": each.pop(True), **each} for name, each in read.items()}


WORKFLOWS = _read()


def faults(workflow: Workflow) -> Iterator[str]:
    """The faults of a workflow, by the rules of this repository."""
    if workflow.get("permissions") != {"contents": "read"}:
        yield "permissions: the workflow must begin with contents: read alone"
    if re.search(r"\bsecrets\b", json.dumps(workflow)):
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
        if "timeout-minutes" not in job:
            yield f"{name}: without timeout-minutes"
        for step in job["steps"]:
            yield from (f"{name}: {fault}" for fault in _step_faults(step))
        text = json.dumps(job["steps"])
        if re.search(r"az bicep (build|lint)|--template-file", text) and not re.search(
            r"az bicep install --version v\d+\.\d+\.\d+", text
        ):
            yield f"{name}: compiles with whatever compiler there is"


def _step_faults(step: dict[str, Any]) -> Iterator[str]:
    action, command = step.get("uses", ""), step.get("run", "")
    if action and action not in ACTIONS:
        yield f"{action} is not on the list"
    if action.startswith("actions/checkout@") and step.get("with") != {
        "persist-credentials": False
    }:
        yield "checkout: leaves its token in the folder"
    if "${{" in command:
        yield f"an expression in a command may become a command: {command}"
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for line in re.findall(r"^make (.*)$", command, re.M):
        yield from (
            f"make {target}: no such target" for target in line.split() if target not in targets
        )
    paths = step.get("with", {}).get("cache-dependency-path", "").split()
    paths += re.findall(r"\binfra/\S+", command)
    yield from (f"{path}: no such file" for path in paths if not (ROOT / path).is_file())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_keep_the_rules(name: str) -> None:
    assert list(faults(WORKFLOWS[name])) == []


def test_the_tests_run_as_in_ci_on_all_pythons() -> None:
    workflow = WORKFLOWS["test"]
    assert {"push", "pull_request"} <= workflow["on"].keys()
    job = workflow["jobs"]["test"]
    assert job["strategy"] == {
        "fail-fast": False,
        "matrix": {"python": ["3.11", "3.12", "3.13"]},
    }
    in_ci = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-1]
    assert [step["run"] for step in job["steps"] if "run" in step] == [in_ci]


def test_nothing_is_deployed_unchecked_or_two_at_once() -> None:
    workflow = WORKFLOWS["deploy"]
    jobs = workflow["jobs"]
    assert workflow["on"].keys() == {"workflow_dispatch", "push"}
    assert workflow["on"]["push"].keys() == {"tags"}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert jobs["test"] == {"uses": "./.github/workflows/test.yml"}
    assert jobs["templates"] == {"uses": "./.github/workflows/templates.yml"}
    assert jobs["replay"]["steps"][-1] == {"run": "make replay"}
    assert set(jobs["deploy"]["needs"]) == {"test", "templates", "replay"}


def test_the_compiler_and_its_linter_see_every_template() -> None:
    commands = [step.get("run", "") for step in WORKFLOWS["templates"]["jobs"]["bicep"]["steps"]]
    for command in ("build", "lint"):
        assert [run for run in commands if f"az bicep {command} --file infra/main.bicep" in run]
    modules = {part.type for part in Templates(sources()).parts if part.file == "main"}
    assert sources().keys() - modules == {"main"}


def test_the_pipeline_gives_azd_the_values_that_the_parameters_ask_for() -> None:
    asked = set(re.findall(r"\$\{(\w+)", PARAMETERS)) - FILLED_IN_BY_AZD
    assert asked - WORKFLOWS["deploy"]["jobs"]["deploy"]["env"].keys() == set()


def test_what_if_gives_the_same_parameters() -> None:
    from_settings = {
        name: match[1]
        for name, parameter in json.loads(PARAMETERS)["parameters"].items()
        if (match := re.match(r"\$\{(\w+)", str(parameter["value"])))
        and match[1] not in FILLED_IN_BY_AZD
    }
    given = WORKFLOWS["infra"]["jobs"]["what-if"]["env"]["PARAMETERS"]
    assert dict(re.findall(r"(\w+)=\$\{\{ vars\.(\w+)", given)) == from_settings


# -- the checks themselves: each of these must fail ------------------------------------------


def _job(workflow: Workflow) -> dict[str, Any]:
    job: dict[str, Any] = workflow["jobs"]["deploy"]
    return job


def _run(workflow: Workflow, command: str) -> None:
    _job(workflow)["steps"].append({"run": command})


BROKEN: dict[str, Callable[[Workflow], Any]] = {
    "contents: read alone": lambda w: w["permissions"].update({"id-token": "write"}),
    "a token for those jobs": lambda w: _job(w).pop("permissions"),
    "without timeout-minutes": lambda w: _job(w).pop("timeout-minutes"),
    "secrets: sign in": lambda w: _job(w)["env"].update({"KEY": "${{ secrets.CREDENTIALS }}"}),
    "without an environment": lambda w: _job(w).pop("environment"),
    "is not on the list": lambda w: _job(w)["steps"].append({"uses": "actions/checkout@main"}),
    "leaves its token": lambda w: _job(w)["steps"][0].pop("with"),
    "no such target": lambda w: _run(w, "make everything"),
    "no such file": lambda w: _run(w, "az bicep lint --file infra/no.bicep"),
    "whatever compiler there is": lambda w: _run(w, "az bicep lint --file infra/main.bicep"),
    "may become a command": lambda w: _run(w, "echo ${{ github.head_ref }}"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_workflow_is_found(fault: str) -> None:
    broken = copy.deepcopy(WORKFLOWS["deploy"])
    BROKEN[fault](broken)
    assert any(fault in found for found in faults(broken)), list(faults(broken))
