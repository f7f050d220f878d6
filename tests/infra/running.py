"""Run what is installed in .venv-infra, and make copies of the templates to run it on."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv-infra/bin"


def run(*command: str) -> str:
    """The output of a program of .venv-infra; without it the tests fail."""
    assert (BIN / command[0]).exists(), f"{BIN} is not installed: make test"
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    # checkov says with 1 that a check failed; which one is in its output.
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout, done.stderr
    return done.stdout


def check(*folders: Path) -> dict[str, Any]:
    """What tests/infra/check.py finds."""
    found: dict[str, Any] = json.loads(run("python", "-m", "tests.infra.check", *map(str, folders)))
    assert len(found["checked"]) == len(folders)
    return found


def copy(folder: Path) -> Path:
    """A copy of all that is checked."""
    shutil.copytree(ROOT / "infra", folder / "infra")
    for name in ("azure.yaml", "host.json"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def broken(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy in which one text is replaced."""
    copy(folder)
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{file} has no {old!r} to break"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder
