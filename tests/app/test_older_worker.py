"""The app uses of azure-functions what the copy of the worker has as well.

A specialised instance in Azure may use the worker's own copy instead of the deployed one: 1.22 was
seen where 1.25 was deployed. azure_functions_1_22.json has the methods and parameters of the
classes that the app uses, read from 1.22.1.
"""

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from tests.app.loading import ROOT

OLDER: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).with_name("azure_functions_1_22.json").read_text(encoding="utf-8")
)["classes"]
FOLDERS = ("activities", "adapters", "orchestrators", "triggers")
FILES = [ROOT / "function_app.py", *(f for each in FOLDERS for f in (ROOT / each).glob("*.py"))]
# The names that the code has for objects of the library.
OBJECTS = {
    "req": "HttpRequest",
    "timer": "TimerRequest",
    "bp": "Blueprint",
    "function": "Function",
}
# Of azure-functions-durable, which is always the deployed one.
DURABLE = {"durable_client_input", "orchestration_trigger", "activity_trigger"}


def faults(code: str) -> Iterator[str]:
    """What a file uses that 1.22 does not have."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("azure.functions"):
            yield f"imports from {node.module}, which is not looked into"
        if isinstance(node, ast.Attribute):
            yield from _attribute_faults(node)
        if isinstance(node, ast.Call):
            yield from _call_faults(node)


def _attribute_faults(node: ast.Attribute) -> Iterator[str]:
    owner = ast.unparse(node.value)
    if owner == "func" and node.attr not in OLDER:
        yield f"func.{node.attr}"
    kind = OBJECTS.get(owner.rpartition(".")[2]) or owner.removeprefix("func.")
    if kind in OLDER and node.attr not in {*OLDER[kind], *DURABLE}:
        yield f"{owner}.{node.attr}"


def _call_faults(node: ast.Call) -> Iterator[str]:
    owner, _, name = ast.unparse(node.func).rpartition(".")
    known = OLDER.get(OBJECTS.get(owner, ""), {}).get(name)
    if owner == "func":
        known = OLDER.get(name, {}).get("__init__")
    for keyword in node.keywords if known else ():
        if keyword.arg not in (known or ()):
            yield f"{ast.unparse(node.func)}({keyword.arg}=)"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_app_uses_what_both_have(file: Path) -> None:
    assert list(faults(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "func.McpTrigger",
        "req.brand_new",
        "call.req.brand_new",
        "func.HttpResponse('a', brand_new=1)",
        "@bp.route(route='a', brand_new=1)\ndef f(): ...",
        "@bp.mcp_tool_trigger()\ndef f(): ...",
        "func.AuthLevel.BRAND_NEW",
        "from azure.functions import Blueprint",
    ],
)
def test_what_1_22_does_not_have_is_found(code: str) -> None:
    assert list(faults(code))


def test_the_deployed_one_has_it_too() -> None:
    for name, methods in OLDER.items():
        now: Any = getattr(func, name)
        for method, parameters in methods.items():
            assert hasattr(now, method), (name, method)
            if parameters:
                taken = inspect.signature(getattr(now, method)).parameters
                assert {*parameters} - {"kwargs"} <= {*taken}
