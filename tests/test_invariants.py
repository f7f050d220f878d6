"""The promises of Job Monitor, as CONTRIBUTING.md has them, each with tests that name it."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GUIDE = (HERE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
INVARIANTS = re.findall(r"^- \*\*(I\d+)\*\* ", GUIDE, re.MULTILINE)
CODE = ("activities", "adapters", "domain", "orchestrators", "triggers")


@pytest.fixture(scope="module")
def named() -> Counter[str]:
    """How many tests name each invariant."""
    found: Counter[str] = Counter()
    for file in HERE.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                is_test = node.name.startswith("test_")
                docstring = ast.get_docstring(node) or ""
                found.update(set(re.findall(r"\bI\d+\b", docstring)) if is_test else ())
    return found


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_every_invariant_is_named_by_a_test(named: Counter[str], invariant: str) -> None:
    assert named[invariant] >= 1


def test_no_test_names_an_invariant_that_there_is_not(named: Counter[str]) -> None:
    assert named.keys() <= set(INVARIANTS)
    assert [f"I{number}" for number in range(1, 11)] == INVARIANTS


def test_the_code_cites_no_invariant_that_there_is_not() -> None:
    cited: set[str] = set()
    for folder in CODE:
        for file in (HERE.parent / folder).rglob("*.py"):
            cited.update(re.findall(r"\((I\d+)[,)]", file.read_text(encoding="utf-8")))
    assert cited
    assert cited <= set(INVARIANTS)
