"""Presets: what a source's own table changes, and where each fault is told."""

import pytest

from domain.errors import ConfigurationFault
from domain.sources.file import load_sources
from domain.sources.source import Source

PRESET = """
description = "A batch system"
documentation = ["https://batch.example/docs"]
[parameters]
url = { doc = "Where it is" }
queue = { doc = "The queue", default = "night" }
token = { doc = "The token" }
[source]
poll_interval_seconds = 30
[source.headers]
X-Queue = "{{queue}}"
[source.status]
url = "{{url}}/queues/{{queue}}/jobs/{job_id}"
status = "state"
[source.cancel]
url = "https://{{queue}}.example/{{queue}}/jobs/{job_id}?queue={{queue}}"
body = { kind = "cancel", queue = "{{queue}}", ids = ["{job_id}", "{{queue}}"] }
[source.outcomes]
succeeded = ["done"]
failed = ["bad"]
[source.auth]
kind = "header"
name = "X-Token"
value = "{{token}}"
"""
GIVEN = """
[sources.x]
preset = "batch"
[sources.x.parameters]
url = "https://batch.example/api/"
token = "${TOKEN}"
"""
SETTINGS = {"TOKEN": "planted-{{queue}}-{job_id}"}


def loaded(text: str = GIVEN, preset: str = PRESET) -> Source:
    return load_sources(text, SETTINGS, presets={"batch": preset}).get("x")


def faults_of(text: str, preset: str = PRESET) -> dict[str, str]:
    with pytest.raises(ConfigurationFault) as caught:
        load_sources(text, SETTINGS, "my.toml", {"batch": preset})
    assert "planted" not in str(caught.value)
    return dict(caught.value.faults)


def without(line: str) -> str:
    assert line in GIVEN
    return GIVEN.replace(line, "")


def test_parameters_and_defaults_fill_a_preset() -> None:
    source = loaded(GIVEN + 'queue = "q-1"')
    assert source.description == "A batch system"
    assert source.headers == {"X-Queue": "q-1"}
    assert source.status.url == "https://batch.example/api/queues/q-1/jobs/{job_id}"
    assert loaded().headers == {"X-Queue": "night"}


def test_a_parameter_in_a_path_is_percent_encoded() -> None:
    preset = PRESET.replace("https://{{queue}}.example", "https://batch.example")
    source = loaded(GIVEN + 'queue = "q/1 ?{job_id}"', preset)
    request = source.cancel_request("7")
    assert request.url == (
        "https://batch.example/q%2F1%20%3F%7Bjob_id%7D/jobs/7?queue=q%2F1%20%3F%7Bjob_id%7D"
    )


def test_a_parameter_in_an_origin_is_taken_as_it_is() -> None:
    request = loaded(GIVEN + 'queue = "q-1"').cancel_request("7")
    assert request.url == "https://q-1.example/q-1/jobs/7?queue=q-1"
    assert request.body == {"kind": "cancel", "queue": "q-1", "ids": ["7", "q-1"]}


def test_a_number_is_a_parameter() -> None:
    assert loaded(GIVEN + "queue = 7").headers == {"X-Queue": "7"}


def test_a_parameter_is_taken_as_it_is_and_filled_once() -> None:
    source = loaded()
    assert source.auth_headers() == {"X-Token": "planted-{{queue}}-{job_id}"}
    assert source.redact("planted-{{queue}}-{job_id}") == "***"


def test_a_setting_that_a_parameter_brings_into_a_header_is_a_secret() -> None:
    preset = PRESET.replace("https://{{queue}}.example", "https://batch.example")
    source = loaded(GIVEN + 'queue = "${TOKEN}"', preset)
    assert source.redact(source.headers["X-Queue"]) == "***"


def test_the_own_table_wins_key_by_key() -> None:
    own = """
    [sources.x]
    preset = "batch"
    description = "Mine"
    timeout_seconds = 60
    [sources.x.parameters]
    url = "https://batch.example"
    token = "t"
    [sources.x.headers]
    X-Other = "{{queue}}"
    [sources.x.status]
    status = "status"
    message = "text"
    [sources.x.cancel]
    body = { queue = "mine" }
    [sources.x.outcomes]
    failed = ["worse"]
    [sources.x.auth]
    name = "X-My-Token"
    """
    source = loaded(own)
    assert (source.description, source.poll_interval_seconds, source.timeout_seconds) == (
        *("Mine", 30, 60),
    )
    assert source.headers == {"X-Queue": "night", "X-Other": "{{queue}}"}
    assert source.status.url == "https://batch.example/queues/night/jobs/{job_id}"
    assert (source.status.status.text, source.status.message is not None) == ("status", True)
    assert source.outcomes.succeeded == ("done",)
    assert source.outcomes.failed == ("worse",)
    assert source.cancel is not None
    assert source.cancel.body == {
        "kind": "cancel",
        "queue": "mine",
        "ids": ["{job_id}", "night"],
    }
    assert source.auth_headers() == {"X-My-Token": "t"}


def test_auth_of_another_kind_replaces_that_of_the_preset() -> None:
    text = without('token = "${TOKEN}"\n') + '[sources.x.auth]\nkind = "bearer"\ntoken = "mine"'
    # The preset's token is in its auth alone, and so need not be given.
    assert loaded(text).auth_headers() == {"Authorization": "Bearer mine"}


def test_one_preset_serves_several_sources() -> None:
    two = GIVEN + 'queue = "a"' + GIVEN.replace("sources.x", "sources.y") + 'queue = "b"'
    sources = load_sources(two, SETTINGS, presets={"batch": PRESET})
    assert [each.headers["X-Queue"] for each in sources.by_name.values()] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        (GIVEN.replace("batch", "btach", 1), "my.toml [sources.x] preset", "there are: batch"),
        (GIVEN.replace('"batch"', "7", 1), "my.toml [sources.x] preset", "there are: batch"),
        (
            without('token = "${TOKEN}"'),
            "my.toml [sources.x.parameters] token",
            "is missing: The token (presets/batch.toml)",
        ),
        (
            GIVEN + 'colour = "red"',
            "my.toml [sources.x.parameters] colour",
            "is no parameter of presets/batch.toml; it has: url, queue, token",
        ),
        (
            GIVEN + "queue = true",
            "my.toml [sources.x.parameters] queue",
            "a text or a whole number",
        ),
        (GIVEN + "queue = []", "my.toml [sources.x.parameters] queue", "a text or a whole number"),
        (GIVEN + 'queue = ""', "my.toml [sources.x.parameters] queue", "a text or a whole number"),
        (GIVEN + 'queue = "${NOPE}"', "my.toml [sources.x.parameters] queue", "app setting NOPE"),
        (
            GIVEN + "[sources.x.status]\nstauts = 1",
            "my.toml [sources.x.status] stauts",
            "not known",
        ),
        (GIVEN + "[sources.x.status]\nstatus = 1", "my.toml [sources.x.status] status", "a string"),
        (GIVEN + "[sources.x.submit]\nbody = 1", "my.toml [sources.x.submit] url", "is missing"),
        (
            GIVEN + '[sources.x.outcomes]\nfailed = ["done"]',
            "my.toml [sources.x.outcomes] failed",
            'lists "done", and so does succeeded',
        ),
        (
            GIVEN.replace("https", "http"),
            "presets/batch.toml [source.status] url",
            "allow_http = true (with my.toml [sources.x.parameters] queue, url)",
        ),
        (
            GIVEN + 'queue = "ü"',
            "presets/batch.toml [source.headers] X-Queue",
            "spaces around it (with my.toml [sources.x.parameters] queue)",
        ),
    ],
)
def test_a_fault_is_told_where_it_is(text: str, place: str, what: str) -> None:
    assert what in faults_of(text)[place]


def test_a_table_for_the_parameters() -> None:
    text = '[sources.x]\npreset = "batch"\nparameters = 7'
    assert faults_of(text) == {"my.toml [sources.x] parameters": "must be a table"}


def test_all_that_is_missing_is_told_and_nothing_that_follows_from_it() -> None:
    assert [*faults_of('[sources.x]\npreset = "batch"')] == [
        "my.toml [sources.x.parameters] token",
        "my.toml [sources.x.parameters] url",
    ]


@pytest.mark.parametrize(
    ("old", "new", "place", "what"),
    [
        ("[parameters]", "[parameters", "presets/batch.toml", "is no TOML"),
        ('description = "A batch system"', "", "presets/batch.toml description", "is missing"),
        ('"https://batch.example/docs"', "", "presets/batch.toml documentation", "not be empty"),
        ('doc = "The queue", ', "", "presets/batch.toml [parameters.queue] doc", "is missing"),
        ("[source]", "[sauce]", "presets/batch.toml sauce", "is not known"),
        (
            "{{token}}",
            "{{tokn}}",
            "presets/batch.toml [source.auth] value",
            "takes tokn, which is not in [parameters]",
        ),
        (
            "{{token}}",
            "${TOKEN}",
            "presets/batch.toml [source.auth] value",
            "must take a parameter in the place of an app setting",
        ),
        (
            '"state"',
            '"state["',
            "presets/batch.toml [source.status] status",
            "is no JMESPath expression (see column 7) (with my.toml [sources.x])",
        ),
        (
            'failed = ["bad"]',
            'failed = ["done"]',
            "presets/batch.toml [source.outcomes] failed",
            'lists "done", and so does succeeded',
        ),
        (
            "poll_interval_seconds = 30",
            "poll_seconds = 30",
            "presets/batch.toml [source] poll_seconds",
            "is not known",
        ),
    ],
)
def test_a_fault_of_a_preset_names_its_file(old: str, new: str, place: str, what: str) -> None:
    assert old in PRESET
    faults = faults_of(GIVEN, PRESET.replace(old, new))
    assert what in faults[place]


def test_an_unknown_preset_hides_no_other_fault() -> None:
    text = (
        GIVEN.replace("batch", "btach", 1)
        + """
    [sources.x.status]
    url = "ftp://x/{job_id}"
    stauts = 1
    [sources.x.http]
    timeout_seconds = 0
    """
    )
    assert faults_of(text.replace("preset", 'on_expiry = "cancel"\npreset', 1)).keys() == {
        "my.toml [sources.x] preset",
        "my.toml [sources.x.status] url",
        "my.toml [sources.x.status] stauts",
        "my.toml [sources.x.http] timeout_seconds",
    }


def test_faults_of_file_and_preset_come_together() -> None:
    text = GIVEN + "[sources.x.http]\ntimeout_seconds = 0\n[sources.y]\n"
    faults = faults_of(text, PRESET.replace('"state"', '"state["'))
    assert faults.keys() == {
        "presets/batch.toml [source.status] status",
        "my.toml [sources.x.http] timeout_seconds",
        "my.toml [sources.y] status",
        "my.toml [sources.y] outcomes",
    }
