"""Exactly the app is deployed, and the app runs from the deployed files alone."""

import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from tests.app.loading import ROOT, Loaded, load_app, run_alone
from tools import package as deployment
from tools.package import PATTERNS, is_ignored, left_of

FILES = {"function_app.py", "host.json", "requirements.txt", "job_sources.toml"}
CODE = {"domain", "activities", "orchestrators", "triggers", "adapters"}
FOLDERS = CODE | {"licences", "page", "presets"}


def is_part_of_the_app(path: PurePosixPath) -> bool:
    return str(path) in FILES or path.parts[0] in FOLDERS


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of what is deployed."""
    folder = tmp_path_factory.mktemp("package")
    deployment.copy_to(folder)
    return folder


@pytest.fixture(scope="session")
def packages(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of the deployed lock, installed as the build in Azure does.

    That takes some seconds, and the package index; so it is done once.
    """
    folder = tmp_path_factory.mktemp("packages")
    lock = package / "requirements.txt"
    options = ["--quiet", "--no-compile", "--require-hashes", "--target", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "-r", str(lock)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def deployed(package: Path, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The app, loaded from the copy, with the packages of its lock and no others."""
    return load_app(package, tmp_path_factory.mktemp("elsewhere"), packages)


def test_the_patterns_are_simple() -> None:
    assert [pattern for pattern in PATTERNS if not re.fullmatch(r"[\w.*\[\]-]+", pattern)] == []


def test_nothing_but_the_app_is_deployed() -> None:
    assert [str(path) for path in left_of(ROOT) if not is_part_of_the_app(path)] == []


def test_all_of_the_app_is_deployed() -> None:
    left = set(left_of(ROOT))
    assert {str(path) for path in left if len(path.parts) == 1} == FILES
    sources = {
        PurePosixPath(path.relative_to(ROOT).as_posix())
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path for path in left if path.parts[0] in FOLDERS} == sources


@pytest.mark.parametrize(
    "path",
    [
        "local.settings.json",
        ".env.local",
        ".git/config",
        ".gitattributes",
        ".github/workflows/ci.yml",
        ".venv/lib/python3.11/site-packages/some.py",
        ".venv-311/bin/python",
        "demo/node_modules/azurite/index.js",
        "domain/__pycache__/names.cpython-311.pyc",
        "domain/names.pyc",
        "README.md",
        "devhost/engine.py",
        "docs/picture.svg",
        "infra/main.bicep",
        "tests/app/host_schema.json",
        "requirements-dev.in",
        "requirements.in",
        "__azurite_db_table__.json",
    ],
)
def test_what_may_lie_about_stays_behind(path: str) -> None:
    assert any(is_ignored(part) for part in PurePosixPath(path).parts)


@pytest.mark.long
def test_the_package_has_the_same_functions(loaded: Loaded, deployed: Loaded) -> None:
    assert deployed.bindings == loaded.bindings
    assert deployed.faults == {}


@pytest.mark.long
def test_the_package_runs_on_itself_and_its_requirements(
    package: Path, packages: Path, deployed: Loaded
) -> None:
    own = {name for name, file in deployed.modules.items() if file.is_relative_to(package)}
    assert {name.partition(".")[0] for name in own} == {"function_app", *CODE}
    others = [
        str(file)
        for file in deployed.modules.values()
        if not file.is_relative_to(package) and not file.is_relative_to(packages)
    ]
    assert [file for file in others if "site-packages" in file] == []
    assert [file for file in others if Path(file).is_relative_to(ROOT)] == []


@pytest.mark.long
def test_a_library_that_few_need_is_not_imported_at_start(deployed: Loaded) -> None:
    assert "apprise" not in deployed.modules


@pytest.mark.long
def test_the_package_finds_its_sources_and_presets(
    package: Path, packages: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from adapters.services import get_services, read_presets;"
        "print(*get_services().sources.by_name, *read_presets())"
    )
    settings = {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "DEMO_JOB_SERVICE_URL": "http://127.0.0.1:8077",
    }
    done = run_alone(["-c", code, str(package)], tmp_path, settings, packages)
    presets = sorted(path.stem for path in (ROOT / "presets").glob("*.toml"))
    assert done.stdout.split() == ["demo", *presets], done.stderr
