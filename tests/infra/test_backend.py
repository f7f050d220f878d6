"""The Durable Task Scheduler has a host.json of its own; hooks of azd put it into the package."""

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.rules import HOST, settings
from tests.infra.templates import ROOT, Templates, sources

OTHER = json.loads((ROOT / "infra/host.azureManaged.json").read_text(encoding="utf-8"))
APP: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))["services"][
    "app"
]


def run(hook: str, folder: Path, backend: str) -> str:
    """The host.json in the folder after the hook for Linux and macOS has run there."""
    command = ["sh", "-e", "-c", APP["hooks"][hook]["posix"]["run"]]
    environment = os.environ | {"DURABLE_BACKEND": backend}
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=30)
    return (folder / "host.json").read_text(encoding="utf-8")


def test_the_two_differ_in_the_backend_alone() -> None:
    other = copy.deepcopy(OTHER)
    provider = other["extensions"]["durableTask"].pop("storageProvider")
    same = copy.deepcopy(HOST)
    assert same["extensions"]["durableTask"].pop("storageProvider")["type"] == "AzureStorage"
    assert other == same
    assert provider["type"] == "azureManaged"
    assert provider["connectionStringName"] in settings(Templates(sources()))


def test_no_setting_chooses_the_backend_beside_the_file() -> None:
    # The app would obey such a setting; the scaling of Azure, which reads the file, would not.
    assert not [name for name in settings(Templates(sources())) if "AzureFunctionsJobHost" in name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra/host.azureManaged.json").write_text("other", encoding="utf-8")
    (tmp_path / "host.json").write_text("own", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("backend", "packaged"), [("", "own"), ("AzureStorage", "own"), ("azureManaged", "other")]
)
def test_the_package_gets_the_file_of_the_backend(
    folder: Path, backend: str, packaged: str
) -> None:
    assert run("prepackage", folder, backend) == packaged
    assert run("postpackage", folder, backend) == "own"
    assert not (folder / ".azure/host.json.kept").exists()


def test_a_packaging_that_failed_does_not_lose_the_file(folder: Path) -> None:
    assert run("prepackage", folder, "azureManaged") == "other"
    assert run("prepackage", folder, "azureManaged") == "other"
    assert run("postpackage", folder, "azureManaged") == "own"


@pytest.mark.parametrize("hook", ["prepackage", "postpackage"])
def test_windows_does_the_same_with_the_same_files(hook: str) -> None:
    files = [
        set(re.findall(r"[\w./]*\bhost\.[\w.]+", APP["hooks"][hook][system]["run"]))
        for system in ("posix", "windows")
    ]
    assert files[0] == files[1] != set()
