"""docs/pipelines.md: the shell part of each recipe runs, against a running app."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.api import new_job_id

ROOT = Path(__file__).parent.parent.parent
_BLOCKS = re.finditer(r"```\w+\n# (\w+)\n(.*?)```", (ROOT / "docs/pipelines.md").read_text(), re.S)
RECIPES: dict[str, str] = {each[1]: each[2] for each in _BLOCKS}


def shell_of(name: str) -> str:
    """The part of a recipe that a shell runs, with what its system fills in."""
    text = RECIPES[name]
    match name:
        case "github":
            [step] = yaml.safe_load(text)
            return str(step["run"])
        case "devops":
            [step] = yaml.safe_load(text)
            return str(step["script"])
        case "airflow":
            calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
            [command] = [each.value for each in calls[0].keywords if each.arg == "bash_command"]
            filled: str = ast.literal_eval(command)
            return filled.replace("{{ run_id }}", f"manual:{new_job_id()}")
    return text


@pytest.fixture
def environment(base_url: str, tmp_path: Path) -> dict[str, str]:
    """That of a pipeline, with `jobmon` in the path as its installation puts it there."""
    command = tmp_path / "jobmon"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m job_monitor "$@"\n')
    command.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "client/src"),
        "JOBMON_URL": base_url,
        "GITHUB_RUN_ID": new_job_id(),
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_REPOSITORY": "somebody/something",
        "BUILD_BUILDID": new_job_id(),
        "SYSTEM_JOBATTEMPT": "1",
    }


def test_there_is_a_recipe_for_each() -> None:
    assert sorted(RECIPES) == ["airflow", "devops", "github", "script"]


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_runs(name: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-e", "-c", shell_of(name)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Succeeded" in done.stdout
    if name == "script":
        assert "The job succeeded." in done.stdout


@pytest.mark.long
def test_the_wheel_is_whole_and_typed_from_outside(tmp_path: Path) -> None:
    """What a program sees that installed it: the types, too."""
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--outdir",
        str(tmp_path),
        str(ROOT / "client"),
    ]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("*.whl")
    packages = tmp_path / "packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, str(packages), str(wheel)], check=True, timeout=120)
    assert (packages / "job_monitor/py.typed").is_file()
    assert (packages / "bin/jobmon").is_file()
    program = tmp_path / "program.py"
    program.write_text(
        "from job_monitor import Client\n"
        "with Client() as client:\n"
        "    reveal_type(client.start(source='demo', job_id='1').monitor.progress)\n"
        "    client.start(sauce='demo')\n"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(program)],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 'float | None"' in checked.stdout, checked.stdout
    assert 'Unexpected keyword argument "sauce"' in checked.stdout
    assert "Found 1 error" in checked.stdout
