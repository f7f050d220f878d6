"""The files that configure the app on somebody's machine: settings, and locked packages."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import dropwhile, takewhile
from typing import Any

import pytest

from adapters.settings import parse_settings
from domain.errors import ConfigurationFault
from domain.sources.file import load_sources
from tests.app.loading import ROOT

LOCAL: dict[str, Any] = json.loads((ROOT / "local.settings.json").read_text(encoding="utf-8"))

# The settings that the file may have. The patterns of their values leave no room for a secret.
ALLOWED = {
    "AzureWebJobsStorage": r"UseDevelopmentStorage=true",
    "FUNCTIONS_WORKER_RUNTIME": r"python",
    "PYTHON_THREADPOOL_THREAD_COUNT": r"[1-9]\d*",
    "DEMO_JOB_SERVICE_URL": r"http://127\.0\.0\.1:\d+",
}


class Asked(Mapping[str, str]):
    """Settings that remember which of them were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_set = values
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self.values_set[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_set)

    def __len__(self) -> int:
        return len(self.values_set)


def settings_read() -> set[str]:
    """The names of all settings that the app reads, found by having it read them."""
    nothing, local = Asked({}), Asked(LOCAL["Values"])
    with pytest.raises(ConfigurationFault):
        parse_settings(nothing)  # looks everywhere for a connection
    parse_settings(local)
    load_sources((ROOT / "job_sources.toml").read_text(encoding="utf-8"), local)
    in_host_json = re.findall(r"%(\w+)%", (ROOT / "host.json").read_text(encoding="utf-8"))
    return nothing.names | local.names | set(in_host_json)


def test_local_settings_are_on_the_list() -> None:
    assert LOCAL.keys() == {"IsEncrypted", "Values"}
    assert LOCAL["IsEncrypted"] is False
    for name, value in LOCAL["Values"].items():
        assert name in ALLOWED
        # Numbers too are strings there.
        assert isinstance(value, str)
        assert re.fullmatch(ALLOWED[name], value), name


def test_local_settings_are_enough() -> None:
    # All other settings have a default; a setting without one would raise here.
    settings = parse_settings(LOCAL["Values"])
    assert settings.sources_file == ROOT / "job_sources.toml"
    load_sources(settings.sources_file.read_text(encoding="utf-8"), settings.values)


def test_host_json_takes_no_setting_that_is_not_there() -> None:
    names = re.findall(r"%(\w+)%", (ROOT / "host.json").read_text(encoding="utf-8"))
    assert set(names) <= LOCAL["Values"].keys()


def test_settings_are_found_by_reading_them() -> None:
    assert settings_read() >= {
        "AzureWebJobsStorage",
        "DEMO_JOB_SERVICE_URL",
        "JOB_SOURCES_FILE",
        "JobStatusStorage",
        "JobStatusStorage__tableServiceUri",
        "RETENTION_DAYS",
    }


def settings_table(text: str) -> str:
    """The rows under `| Setting |`."""
    rows = dropwhile(lambda line: not line.startswith("| Setting "), text.splitlines())
    return "\n".join(takewhile(lambda line: line.startswith("|"), rows))


def is_in(table: str, name: str) -> bool:
    connection, _, part = name.partition("__")
    # The parts of identity-based connections are told once for all connections.
    return f"`{name}`" in table or (f"`{connection}`" in table and f"__{part}`" in table)


def test_every_setting_is_in_the_readme() -> None:
    table = settings_table((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [name for name in sorted(settings_read()) if not is_in(table, name)] == []


def test_a_setting_outside_the_table_does_not_count() -> None:
    text = "`A`\n\n| Setting | For |\n|---|---|\n| `B` | x |\n| `C__uri` | y |\n\n| `D` |\n"
    table = settings_table(text)
    assert [is_in(table, name) for name in ("A", "B", "C__uri", "B__uri", "B__id", "D")] == [
        *(False, True, True, True, False, False)
    ]


def requirements(file: str) -> list[str]:
    """The requirements of a lock, each on one line."""
    text = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pins(file: str) -> dict[str, str]:
    return dict(re.split("==| ", line)[:2] for line in requirements(file))


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_has_one_version_and_its_hashes(file: str) -> None:
    whole = re.compile(r"[\w.-]+==[\w.+]+( ; [\w'\" .<>=!()]+)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert requirements(file)
    assert [line for line in requirements(file) if not whole.fullmatch(line)] == []


def test_the_lock_that_is_deployed_is_the_lock_that_is_tested() -> None:
    assert pins("requirements.txt").items() <= pins("requirements-dev.txt").items()


def test_the_versions_of_the_platform() -> None:
    # azure-functions 2 needs Python 3.13; the app is written for this minor version of durable.
    assert pins("requirements.txt")["azure-functions"].startswith("1.")
    assert pins("requirements.txt")["azure-functions-durable"].startswith("1.7.")


@pytest.mark.parametrize(
    "file", sorted(path.name for path in ROOT.glob("requirements*") if path.is_file())
)
def test_requirements_name_no_place(file: str) -> None:
    # Where packages come from is up to the machine that installs them.
    for line in requirements(file):
        assert not re.search(r"://|\s@\s|^[./~]|\bfile:", line)
        assert not line.startswith("-") or line in {"-r requirements.in", "-c requirements.txt"}


def keys_of(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from keys_of(inner)


def test_the_lock_of_the_demo_names_no_place() -> None:
    text = (ROOT / "demo/package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)
    assert "resolved" not in keys_of(lock)
    assert not re.search(r"registry\.|https?://[^\"]*\.tgz|\bfile:", text)
    for path, package in lock["packages"].items():
        assert not path or package["integrity"].startswith("sha512-"), path


def test_no_file_tells_a_package_manager_where_to_go() -> None:
    places = {"pip.conf", "uv.toml", ".npmrc", ".yarnrc", "Pipfile"}
    found = [folder / name for folder in (ROOT, ROOT / "demo") for name in places]
    assert [path for path in found if path.exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert not {"uv", "pip", "poetry", "pdm"} & project["tool"].keys()
