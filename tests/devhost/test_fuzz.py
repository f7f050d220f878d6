"""The replay fuzz on some plans, and a proof that it finds a rule that is broken.

FUZZ_PLANS and FUZZ_SEED change how many plans there are, and the seed of the first.
"""

import os
import runpy
from pathlib import Path
from types import FunctionType

import pytest

from devhost import replay
from tests.devhost import fuzz

PLANS = int(os.environ.get("FUZZ_PLANS", "200"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.mark.parametrize("plans", [PLANS // 4, pytest.param(PLANS, marks=pytest.mark.long)])
def test_host_and_sdk_give_the_same_ids_at_every_turn(plans: int) -> None:
    counts = fuzz.run(plans, SEED)
    assert counts["plans"] == plans
    if plans >= 200:
        # What the plans are made to bring about does come about.
        assert all(counts[what] for what in ("carried events", "turns with cancelled timers"))
        assert counts["turns with the host behind"] < counts["turns"] / 10


@pytest.mark.long
@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("needed = 1 if kind == _WHEN_ANY else len(children)", "needed = 1"),
        ("needed = 1 if kind == _WHEN_ANY else len(children)", "needed = len(children)"),
        ('in action["compoundActions"])', 'in action["compoundActions"][::-1])'),
        ("            if ok:", "            if ok or last:"),
        ("milliseconds = 0 if last else", "milliseconds = 7 if last else"),
        ("_finish(node) if last else", ""),
        ("        if cancelled:", "        if False:"),
        ("self.waiters[name].pop()", "self.waiters[name].pop(0)"),
        ("self.buffered[name].append(entry)", "pass"),
        ("self.buffered[name].popleft()", "pass"),
        ('entry["Name"].lower()', 'entry["Name"]'),
        ("self.turn.carried.append(entry)", "pass"),
        (
            "        if self.continuing:\n            self.turn",
            "        if True:\n            self.turn",
        ),
        ("if self.exhausted and not self.open:", "if self.exhausted:"),
        ("if self.exhausted and not self.open:", "if not self.open:"),
        ("self.open.pop(id_, None)", "self.open.get(id_)"),
    ],
)
def test_a_broken_rule_is_found(
    rule: str, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(replay.__file__).read_text(encoding="utf-8")
    assert source.count(rule) == 1, f"replay.py changed: {rule}"
    path = tmp_path / "broken.py"
    path.write_text(source.replace(rule, broken), encoding="utf-8")
    for name, method in runpy.run_path(str(path))["_Replay"].__dict__.items():
        if isinstance(method, FunctionType):
            # Bound to the names of the real module, so that its classes stay the same.
            monkeypatch.setattr(replay._Replay, name, FunctionType(method.__code__, vars(replay)))
    with pytest.raises(fuzz.Divergence, match="--plans 1 --seed"):
        fuzz.run(1_000, seed=1)
