"""The JSON schema of the sources' file is that of the models, and takes what the app takes."""

import json
import tomllib
from typing import Any

import pytest
from jsonschema import Draft7Validator

from adapters.services import read_presets
from tests.app.loading import ROOT
from tests.presets.test_docs import examples
from tests.presets.test_docs_table import BASE, ROWS
from tools.schema import make_schema

FILE = ROOT / "job_sources.schema.json"
SCHEMA: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
VALIDATOR = Draft7Validator(SCHEMA)
PRESETS = read_presets()
PAGES = ("README.md", "docs/sources.md", "docs/notices.md")


def faults(text: str) -> list[str]:
    found = VALIDATOR.iter_errors(tomllib.loads(text))
    return [".".join(map(str, each.absolute_path)) + ": " + each.message for each in found]


def test_the_file_is_what_the_models_say() -> None:
    assert make_schema() == SCHEMA, "python -m tools.schema > job_sources.schema.json"
    Draft7Validator.check_schema(SCHEMA)


def test_the_shipped_sources_name_it_and_hold() -> None:
    text = (ROOT / "job_sources.toml").read_text(encoding="utf-8")
    assert text.startswith(f"#:schema ./{FILE.name}\n")
    assert faults(text) == []


EXAMPLES = [each for page in PAGES for each in examples(page)]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_hold(example: str) -> None:
    assert faults(example) == []


@pytest.mark.parametrize("row", ROWS)
def test_the_rows_of_the_table_hold(row: str) -> None:
    own = {line.partition(" = ")[0] for line in ROWS[row]}
    kept = [line for line in BASE.splitlines() if line.partition(" = ")[0] not in own]
    assert faults("\n".join(["[sources.x]", *kept, *ROWS[row]])) == []


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_a_source(name: str) -> None:
    source = tomllib.loads(PRESETS[name])["source"]
    assert [*VALIDATOR.iter_errors({"sources": {"x": source}})] == []


SOUND = f"[sources.x]\n{BASE}"


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("colour = 1", "sources.x"),
        ("status.colour = 1", "sources.x"),
        ("status.progress_scale = 'much'", "sources.x"),
        ("auth.kind = 'magic'", "sources.x"),
        ("auth = { kind = 'bearer' }", "sources.x"),
        ("outcomes.unknown = 'failed'", "sources.x"),
        ("http.follow_redirects = [304]", "sources.x"),
        ("submit.ok = 1", "sources.x"),
        ("poll_interval_seconds = 0", "sources.x"),
    ],
)
def test_a_fault_is_seen(line: str, place: str) -> None:
    assert faults(SOUND) == []
    found = faults(f"{SOUND}\n{line}")
    assert found
    assert all(each.startswith(place) for each in found)


@pytest.mark.parametrize("line", ["status.url = 'https://x/{job_id}'", "http.timeout_seconds = 3"])
def test_a_source_with_a_preset_says_what_it_has_of_its_own(line: str) -> None:
    text = '[sources.x]\npreset = "slurm"\nparameters = { url = "https://x", token = "${T}" }\n'
    assert faults(text + line) == []
    assert faults(text + "status.colour = 1")
    assert faults(text.replace("slurm", "slum"))


def test_a_setting_may_stand_for_a_number() -> None:
    assert faults(f'{SOUND}\npoll_interval_seconds = "${{EVERY}}"') == []


CHANNEL = '[channels.x]\nkind = "webhook"\nurl = "https://x"\n'


@pytest.mark.parametrize("name", sorted(read_presets("channels/")))
def test_a_preset_of_a_channel_is_a_channel(name: str) -> None:
    channel = tomllib.loads(read_presets("channels/")[name])["channel"]
    assert [*VALIDATOR.iter_errors({"channels": {"x": channel}})] == []


@pytest.mark.parametrize(
    "line",
    ["colour = 1", "secrets = 'x'", "filter.states = ['Failled']", "filter.events = ['end']"],
)
def test_a_fault_of_a_channel_is_seen(line: str) -> None:
    assert faults(CHANNEL) == []
    assert faults(CHANNEL + line)
    assert faults(CHANNEL.replace("webhook", "pigeon"))
