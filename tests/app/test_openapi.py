"""The description of the API against the functions, and against the rules of OpenAPI."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from devhost.testing import load_once
from domain.errors import InvalidInput
from domain.monitors.batch import parse_batch
from domain.monitors.start import parse_change, parse_start
from domain.sources.file import load_sources
from tests.app.loading import ROOT
from tests.app.test_access import ANONYMOUS, ROLES
from tests.unit.test_start import NOW, ONE, SUBMIT
from triggers.describe import VERSION, describe
from triggers.operation import OPERATIONS, Answer

HOW = (
    "Put `@operation({200: Answer(..., Model)}, problems=(...))` of triggers/operation.py above "
    "`@bp.function_name` of the handler: see CONTRIBUTING.md, Add a route."
)
load_once(ROOT)
KEYS, ENTRA = (describe(OPERATIONS, "https://app.example", "/api", entra=e) for e in (False, True))


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        each["operationId"]: each for path in document["paths"].values() for each in path.values()
    }


def test_every_http_function_has_an_operation_and_every_operation_a_function() -> None:
    functions = {
        (method.value.lower(), f"/api/{function.trigger.route}", function.name)
        for function in load_once(ROOT).of_kind("httpTrigger")
        for method in function.trigger.methods
    }
    described = {
        (method, path, each["operationId"])
        for path, methods in KEYS["paths"].items()
        for method, each in methods.items()
    }
    assert sorted(functions - described) == [], HOW
    assert sorted(described - functions) == [], "There is no such function in function_app.py."


@pytest.mark.parametrize("document", [KEYS, ENTRA], ids=["keys", "entra"])
def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_the_release_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION


def test_every_operation_has_the_security_of_its_route() -> None:
    for name, each in operations(KEYS).items():
        keys: list[dict[str, list[str]]] = [{"functionKey": []}, {"functionKeyInQuery": []}]
        wanted = [] if name in ANONYMOUS else keys
        assert each["security"] == ([{"masterKey": []}] if name == "CheckSourceRaw" else wanted)
    for name, each in operations(ENTRA).items():
        master: dict[str, list[str]] = {"masterKey": []} if name == "CheckSourceRaw" else {}
        wanted = [] if name in ANONYMOUS else [{"entra": [ROLES[name]], **master}]
        assert each["security"] == wanted


@pytest.mark.parametrize("name", operations(KEYS))
def test_an_operation_says_what_it_does(name: str) -> None:
    each = operations(KEYS)[name]
    assert re.fullmatch("[A-Z].{5,90}", each["summary"]), "the first line of the docstring"
    assert not each["summary"].startswith("Answer")
    for parameter in each.get("parameters", ()):
        assert parameter["description"], parameter["name"]


# -- statuses ------------------------------------------------------------------------------------


def statuses_in(node: ast.AST) -> Iterator[int]:
    """The statuses that code names."""
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and ast.unparse(each.value) == "HTTPStatus":
            yield HTTPStatus[each.attr].value


@pytest.mark.parametrize("file", sorted((ROOT / "triggers").glob("*.py")), ids=lambda f: f.stem)
def test_every_status_that_a_handler_names_is_described(file: Path) -> None:
    """Those that it raises are held by each call of the other tests: see `tests.api`."""
    named = set(statuses_in(ast.parse(file.read_text(encoding="utf-8"))))
    named -= WITHIN_AN_ANSWER.get(file.stem, set())
    described = [
        each
        for each in OPERATIONS
        if each.function.get_user_function().__module__ == f"triggers.{file.stem}"
    ]
    for status in named if described else ():
        assert any(status in (*each.answers, *each.problems) for each in described), HOW
    for each in described:
        for status in (s for s, answer in each.answers.items() if isinstance(answer, Answer)):
            assert status in named or file.stem in ANSWERED_ELSEWHERE, f"{status} is never answered"


# `triggers.links` answers for this one.
ANSWERED_ELSEWHERE = {"start_cleanup"}
# The status of one start, in an answer that has many.
WITHIN_AN_ANSWER = {"start_batch": {500}}


@pytest.mark.parametrize("name", operations(KEYS))
def test_what_every_route_can_answer_is_described(name: str) -> None:
    statuses = operations(KEYS)[name]["responses"].keys()
    assert "400" in statuses, "for parameters that nobody knows"
    assert name in ANONYMOUS or {"401", "403", "503"} <= statuses
    assert "404" in statuses or "{" not in next(
        p for p, m in KEYS["paths"].items() if name in str(m)
    )


# -- models --------------------------------------------------------------------------------------


def test_every_field_is_explained_or_says_all_with_its_name() -> None:
    """A model that nobody explained has no description, and says so here."""
    for name, schema in KEYS["components"]["schemas"].items():
        if schema.get("properties"):
            assert schema["description"], f"{name} has no docstring"
            assert "Attributes" not in schema["description"]


def test_answers_are_open_and_requests_are_not() -> None:
    schemas = KEYS["components"]["schemas"]
    closed = {name for name, each in schemas.items() if each.get("additionalProperties") is False}
    bodies = [each.get("requestBody") for each in operations(KEYS).values()]
    read = set(re.findall(r"schemas/(\w+)", json.dumps(bodies)))
    read |= set(re.findall(r"schemas/(\w+)", json.dumps([schemas[name] for name in read])))
    assert closed == {name for name in read if schemas[name].get("type") == "object"}


@pytest.mark.parametrize(
    ("model", "body", "sound"),
    [
        ("ChangeRequest", {}, False),
        ("ChangeRequest", {"paused": True}, True),
        ("ChangeRequest", {"notify": ["A channel"]}, False),
        ("ChangeRequest", {"notify": []}, True),
        ("ChangeRequest", {"expireTime": "2030-01-02T00:00:00Z", "timeoutSeconds": 1}, False),
        ("ChangeRequest", {"expireTime": None, "timeoutSeconds": 1}, True),
        ("StartRequest", {"source": "demo"}, False),
        ("StartRequest", {"jobId": None, "job": None}, False),
        ("StartRequest", {"jobId": "a", "job": {}}, False),
        ("StartRequest", {"jobId": "a", "job": None}, True),
        ("StartRequest", {"job_id": "a"}, False),
        ("StartRequest", {"jobId": "a", "notify": ["A channel"]}, False),
        ("StartRequest", {"jobId": "a", "labels": {"a": "b\nc"}}, False),
        ("BatchedStart", {"idempotencyKey": "a"}, False),
        ("BatchedStart", {"jobId": "a", "idempotencyKey": "a"}, True),
        ("StartBatch", {"starts": []}, False),
    ],
)
def test_a_schema_refuses_what_the_app_refuses(
    model: str, body: dict[str, Any], sound: bool
) -> None:
    document = {"$ref": f"#/components/schemas/{model}", "components": KEYS["components"]}
    assert jsonschema.Draft202012Validator(document).is_valid(body) is sound
    sources = load_sources(ONE + SUBMIT, {})
    text = json.dumps(body).encode()
    accepted = True
    try:
        match model:
            case "ChangeRequest":
                parse_change(text, None, NOW, [])
            case "StartBatch":
                parse_batch(text)
            case _:
                body.pop("idempotencyKey", None)
                parse_start(json.dumps(body).encode(), sources, NOW)
    except InvalidInput:
        accepted = False
    assert accepted is sound
