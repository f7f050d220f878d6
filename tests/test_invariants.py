"""The promises of Job Monitor, and that each has tests which name it in their docstrings.

I1 There is one live monitor for a job, however many start it at once.
I2 A start that was answered with success comes to one final row, whatever dies in between.
I3 A final row is not overwritten by a late poll or an older run; the log keeps earlier outcomes.
I4 The history of a generation is bounded; the watchdog's work grows with the live monitors only.
I5 The job itself is touched only when somebody asked for it.
I6 Trouble with polling ends no monitor before its expiry; only repeated "not found" does.
I7 No hint is lost, and a flood of hints does not become a flood of polls.
I8 The cleanup never removes a live instance or row.
I9 No secret is in a log, a row, a custom status or an answer.
I10 Recorded histories of earlier releases replay on the current orchestrators.
"""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INVARIANTS = re.findall(r"^(I\d+) ", __doc__ or "", re.MULTILINE)


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
    assert len(INVARIANTS) == 10
