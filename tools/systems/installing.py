"""Installs job systems: from PyPI into a venv each, below `.local/systems/`, or from Debian.

What is there already is used again. Only `apt-get` changes the machine itself.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.part import ROOT

_REQUIREMENTS = Path(__file__).with_name("requirements")
_SYSTEMS = ROOT / ".local/systems"
_DEADLINE = 900.0  # seconds for one command
_SHOWN = 2_000  # characters of what a failed command wrote


class NotInstalled(Exception):
    """A system can't be had here; the text says why."""


def venv(name: str, requirements: Path = _REQUIREMENTS) -> Path:
    """The folder with the programs of a system, installed from NAME.txt in `requirements`."""
    wanted = (requirements / f"{name}.txt").read_text()
    folder = _SYSTEMS / name
    installed = folder / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "-r", str(requirements / f"{name}.txt")])
        installed.write_text(wanted)
    return folder / "bin"


def debian(packages: Sequence[str]) -> None:
    """Install packages, if any is missing. For root only."""
    query = ["dpkg-query", "--show", "--showformat", "${db:Status-Status}\n", *packages]
    if not shutil.which("apt-get") or os.geteuid():
        raise NotInstalled("It needs root on Debian, for its packages and for its daemons.")
    found = subprocess.run(query, capture_output=True, text=True, check=False, timeout=_DEADLINE)
    if found.stdout.split() != ["installed"] * len(packages):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        _run(["apt-get", "update", "--quiet"])
        install = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends"]
        _run([*install, *packages], quiet)


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            text=True,
            errors="replace",
            check=False,
            timeout=_DEADLINE,
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"{command[0]} took over {_DEADLINE:g} s.") from error
    if done.returncode:
        raise NotInstalled(f"{' '.join(command)} failed:\n{done.stdout[-_SHOWN:]}")
