"""What is deployed: exactly the app, and the app runs from that alone."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath

import pytest

from tests.app.loading import ROOT, Loaded, load_app

FILES = {"function_app.py", "host.json", "requirements.txt", "job_sources.toml"}
CODE = {"domain", "activities", "orchestrators", "triggers", "adapters"}
FOLDERS = CODE | {"presets"}


def patterns(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


PATTERNS = patterns((ROOT / ".funcignore").read_text(encoding="utf-8"))


def left_of(folder: Path) -> Iterator[PurePosixPath]:
    """The files in a folder that .funcignore leaves.

    A pattern without a slash matches the name of a file or folder at any depth, and what is in a
    folder that it matches goes with it. That is all of gitignore that .funcignore uses.
    """
    for place, folders, files in os.walk(folder):
        # os.walk goes into the folders that are left here, and into no others.
        folders[:] = [name for name in folders if not is_ignored(name)]
        for name in files:
            if not is_ignored(name):
                yield PurePosixPath((Path(place) / name).relative_to(folder).as_posix())


def is_ignored(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in PATTERNS)


def is_part_of_the_app(path: PurePosixPath) -> bool:
    return str(path) in FILES or path.parts[0] in FOLDERS


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of what is deployed."""
    folder = tmp_path_factory.mktemp("package")
    for path in left_of(ROOT):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    return folder


@pytest.fixture(scope="session")
def deployed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The app, loaded from the copy."""
    return load_app(package, tmp_path_factory.mktemp("elsewhere"))


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


def test_the_package_has_the_same_functions(loaded: Loaded, deployed: Loaded) -> None:
    assert deployed.bindings == loaded.bindings
    assert deployed.faults == {}


def test_the_package_imports_nothing_that_stays_behind(package: Path, deployed: Loaded) -> None:
    own = {name for name, file in deployed.modules.items() if file.is_relative_to(package)}
    assert {name.partition(".")[0] for name in own} == {"function_app", *CODE}
    behind = {
        name
        for name, file in deployed.modules.items()
        if file.is_relative_to(ROOT) and not file.is_relative_to(sys.prefix)
    }
    assert behind == set()


def test_the_package_imports_only_what_its_requirements_install(
    package: Path, deployed: Loaded
) -> None:
    text = (package / "requirements.txt").read_text(encoding="utf-8")
    # setuptools comes with a virtual environment, and hooks itself into every start.
    required = {*map(plain, re.findall(r"^([\w.-]+)==", text, re.M)), "setuptools"}
    installed = packages_distributions()
    imported = {
        name.partition(".")[0]
        for name, file in deployed.modules.items()
        if "site-packages" in file.parts
    }
    assert "azure" in imported
    assert {name for name in imported if not required & set(map(plain, installed[name]))} == set()


def plain(distribution: str) -> str:
    """The name of a distribution, as locks spell it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_the_package_finds_its_sources_and_presets(package: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from adapters.services import read_presets, services;"
        "print(*services().sources.by_name, *read_presets())"
    )
    settings = {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "DEMO_JOB_SERVICE_URL": "http://127.0.0.1:8077",
    }
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", code, str(package)],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    presets = sorted(path.stem for path in (ROOT / "presets").glob("*.toml"))
    assert done.stdout.split() == ["demo", *presets], done.stderr
