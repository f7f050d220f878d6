"""Load an app in a process of its own, as the worker would."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devhost import worker_rules

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Loaded:
    """An app as the worker would have seen it.

    Attributes:
        names: The functions in their order.
        bindings: Of each function, as the host gets them.
        faults: Of each function that has some.
        modules: All modules that were imported, with their files.
    """

    names: list[str]
    bindings: dict[str, list[dict[str, Any]]]
    faults: dict[str, list[str]]
    modules: dict[str, Path]


def load_app(
    folder: Path,
    working_folder: Path,
    packages: Path | None = None,
    settings: dict[str, str] | None = None,
) -> Loaded:
    """Load the app in `folder` with these settings and no other import path than Python's own.

    With `packages`, that folder takes the place of Python's own site-packages.
    """
    done = run_alone([worker_rules.__file__, str(folder)], working_folder, settings or {}, packages)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    functions = found["functions"]
    return Loaded(
        names=[function["name"] for function in functions],
        bindings={function["name"]: function["bindings"] for function in functions},
        faults={
            function["name"]: function["faults"] for function in functions if function["faults"]
        },
        modules={name: Path(file) for name, file in found["modules"].items()},
    )


def run_alone(
    arguments: list[str],
    working_folder: Path,
    settings: dict[str, str],
    packages: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python on these settings, without the paths of this process; `packages` as above."""
    alone = ["-P", "-s", "-B"]  # neither the script's folder, nor the user's packages
    if packages:
        alone.append("-S")  # nor site-packages
        settings = settings | {"PYTHONPATH": str(packages)}
    return subprocess.run(
        [sys.executable, *alone, *arguments],
        cwd=working_folder,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
