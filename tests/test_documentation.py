"""The documentation against the code: it leaves nothing out, and all that it names is there."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.testing import load_once
from domain.monitors.monitor import MonitorRow, State, Watch
from domain.monitors.start import StartRequest
from domain.outcome import Outcome
from tests.app.loading import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "adapters/settings.py").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE = ("activities", "adapters", "orchestrators", "triggers")
READMES = [ROOT / folder / "README.md" for folder in ("devhost", "infra")]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *READMES])
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

# A path in the text: of a folder of this repository, or a file at its top.
FOLDERS = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
NAMED_PATH = re.compile(rf"`((?:{FOLDERS})/[\w./-]*|[\w.-]+\.(?:py|json|toml|txt|in))`")
LINK = re.compile(r"\]\(([^)#:]+)?(?:#([\w-]+))?\)")
TARGET = re.compile(r"`make ([a-z0-9-]+)|^ {4}make ([a-z0-9-]+)", re.MULTILINE)


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


def differences() -> Iterator[str]:
    """The first column of the tables of devhost's README that say how it differs."""
    text = (ROOT / "devhost/README.md").read_text(encoding="utf-8")
    for row in text.partition("## Left out on purpose")[2].splitlines():
        if row.startswith("| ") and not row.startswith(("| Part |", "| Case |")):
            yield row.split(" | ")[0].removeprefix("| ")


def shown_differences() -> Iterator[str]:
    """The cases that tests are marked with."""
    for folder in ("tests/devhost", "tests/conformance"):
        for file in (ROOT / folder).glob("test_*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".difference"):
                    yield ast.literal_eval(node.args[0])


def test_each_difference_of_devhost_is_shown_by_a_test() -> None:
    assert sorted(differences()) == sorted(set(shown_differences()))


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


def test_every_field_of_a_monitor_is_explained() -> None:
    told = set(re.findall(r"`(\w+)`", OPERATIONS))
    fields = {field.alias or name for name, field in MonitorRow.model_fields.items()}
    assert fields - told == set()


def test_every_field_of_a_start_is_explained() -> None:
    table = README.partition("| Field | Meaning |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`(\w+)`", table))
    fields = {field.alias or name for name, field in StartRequest.model_fields.items()}
    assert fields - told == set()


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


# -- names in the text -------------------------------------------------------------------------


def defined_in(file: Path) -> set[str]:
    """Functions, methods, classes and constants of a module."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def test_every_function_is_where_the_guide_says() -> None:
    text = " ".join(CONTRIBUTING.split())
    named = re.findall(r"`(\w+)` (?:in|into) `([\w./]+\.py)`", text)
    questions = CONTRIBUTING.partition("| Question | Answer |")[2]
    rows = re.findall(r"^\| (?!---)", questions, re.MULTILINE)
    assert len(named) > len(rows) > 10
    assert [pair for pair in named if pair[0] not in defined_in(ROOT / pair[1])] == []


def test_every_question_is_answered_with_a_file() -> None:
    questions = CONTRIBUTING.partition("| Question | Answer |")[2]
    rows = re.findall(r"^\| (?!---)(.+?) \| (.+) \|$", questions, re.MULTILINE)
    assert [question for question, answer in rows if ".py`" not in answer] == []


@each_page
def test_every_path_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    places = (ROOT, page.parent)
    missing = [
        path
        for path in NAMED_PATH.findall(text)
        if not any((place / path).exists() for place in places)
    ]
    assert missing == []


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, heading in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), path
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
            assert heading in slugs


@each_page
def test_every_command_is_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    named = {one or other for one, other in TARGET.findall(page.read_text(encoding="utf-8"))}
    assert named - targets == set()


@pytest.mark.parametrize("folder", sorted(p.name for p in (ROOT / "tests").iterdir()))
def test_every_folder_of_tests_is_on_the_map(folder: str) -> None:
    is_folder = (ROOT / "tests" / folder / "__init__.py").exists()
    assert not is_folder or f"`tests/{folder}/`" in CONTRIBUTING
