"""`make run` and `make check` read .env, which git ignores; the environment goes before."""

import shutil
import subprocess
from pathlib import Path

import pytest

from demo.part import ROOT

SHOW = '#!/bin/sh\necho "$PORT|$TOKEN|$URL|$HOME_OF"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Makefile with a Python that shows its settings."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(SHOW)
    python.chmod(0o755)
    return tmp_path


def shown(folder: Path, target: str, **environment: str) -> str:
    command = ["make", "--silent", target, "PACKAGES=", "AZURITE="]
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("target", ["run", "check"])
def test_the_file_is_read_and_the_environment_goes_before(folder: Path, target: str) -> None:
    lines = ["# mine", "PORT=7072", "TOKEN='a \"b\" $c'", 'URL="https://x/?a=1&b=2"', ""]
    (folder / ".env").write_text("\n".join(lines))
    assert shown(folder, target) == '7072|a "b" $c|https://x/?a=1&b=2|'
    assert shown(folder, target, PORT="1", HOME_OF="it's") == (
        '1|a "b" $c|https://x/?a=1&b=2|it\'s'
    )


@pytest.mark.parametrize("target", ["run", "check"])
def test_the_file_need_not_be_there(folder: Path, target: str) -> None:
    assert shown(folder, target, PORT="1") == "1|||"


def test_git_and_the_package_leave_the_file_out() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert ".env*" in (ROOT / ".funcignore").read_text().splitlines()
    told = (ROOT / "docs/deploy.md").read_text()
    assert "`.env`" in told
