"""Each preset against what its system's documentation says.

`samples/NAME.json` holds for a preset: the parameters of an example; the request of a poll, and an
answer for every status that the documentation lists, with the outcome that it means; the request
that starts a job, its answer and the job's id; the request that cancels it; and, if the preset has
a list, its request, an answer, and the request for the page after that. Each names the page.
"""

import json
import re
import tomllib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.services import read_presets
from domain.monitors.hints import jobs_in
from domain.outcome import Outcome
from domain.sources.answer import Answer
from domain.sources.auth import ManagedIdentityAuth
from domain.sources.faults import FaultList
from domain.sources.file import load_sources
from domain.sources.hint import events_in
from domain.sources.page import read_page
from domain.sources.poll import read_poll
from domain.sources.preset import Preset, parameters_in, read_preset
from domain.sources.request import Request
from domain.sources.source import Source
from domain.sources.submitted import read_submitted
from tests.app.loading import ROOT

NOW = datetime(2026, 1, 31, tzinfo=UTC)
PRESETS = read_presets()
NAMES = {
    *("azure-data-factory", "azure-databricks", "azure-machine-learning", "azure-batch"),
    *("azure-container-apps-jobs", "azure-synapse", "github-actions", "ray-jobs", "airflow-2"),
    *("airflow-3", "prefect", "slurm", "kubernetes-jobs"),
    *("airflow-2-dags", "airflow-3-dags", "github-actions-repositories"),
}
SAMPLES: dict[str, Any] = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((ROOT / "tests/presets/samples").glob("*.json"))
}
LISTED = sorted(name for name, sample in SAMPLES.items() if "list" in sample)
each_preset = pytest.mark.parametrize("name", sorted(PRESETS))
each_sample = pytest.mark.parametrize("name", sorted(SAMPLES))


def source_of(name: str) -> Source:
    """The source of a user who gives the sample's parameters and nothing else."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in SAMPLES[name]["parameters"].items()]
    text = f'[sources.x]\npreset = "{name}"\n[sources.x.parameters]\n' + "\n".join(lines)
    return load_sources(text, {}, presets=PRESETS).get("x")


def preset_of(name: str) -> Preset:
    faults = FaultList()
    preset = read_preset(name, PRESETS[name], faults)
    assert preset, faults.all()
    return preset


def assert_sends(request: Request, expected: dict[str, Any]) -> None:
    assert f"{request.method} {request.url}" == expected["request"]
    assert request.body == expected.get("body")
    assert request.headers == expected.get("headers", {})


def test_there_is_every_preset_and_a_sample_of_each() -> None:
    assert PRESETS.keys() == NAMES
    assert SAMPLES.keys() == NAMES


@each_preset
def test_a_preset_says_what_it_was_taken_from(name: str) -> None:
    preset = preset_of(name)
    assert all(page.startswith("https://") for page in preset.documentation)
    assert len(set(preset.documentation)) == len(preset.documentation)


@each_preset
def test_every_parameter_is_used(name: str) -> None:
    preset = preset_of(name)
    assert parameters_in(preset.table) == preset.parameters.keys()


@each_preset
def test_a_preset_can_do_all_that_a_source_can(name: str) -> None:
    assert preset_of(name).table.keys() >= {"status", "submit", "cancel", "outcomes"}


@each_sample
def test_only_required_parameters_are_required(name: str) -> None:
    assert source_of(name).name == "x"
    needed = {key for key, each in preset_of(name).parameters.items() if each.default is None}
    assert needed <= SAMPLES[name]["parameters"].keys()


@each_sample
def test_a_sample_names_its_pages(name: str) -> None:
    for part in ("poll", "submit", "cancel"):
        assert SAMPLES[name][part]["source"].startswith("https://")


@each_sample
def test_auth(name: str) -> None:
    expected = SAMPLES[name]["auth"]
    auth = source_of(name).auth
    assert {key: getattr(auth, key) for key in expected} == expected
    if name.startswith("azure-"):
        assert isinstance(auth, ManagedIdentityAuth)
        assert auth.scope.endswith("/.default")
    secret = {*SAMPLES[name]["parameters"]} & {"token", "password"}
    assert bool(secret) == (expected["kind"] in {"bearer", "basic", "header"})
    for key in secret:
        value = SAMPLES[name]["parameters"][key]
        assert value not in source_of(name).redact(f"<{value}>")


@each_sample
def test_the_request_of_a_poll(name: str) -> None:
    poll = SAMPLES[name]["poll"]
    assert_sends(source_of(name).status_request(poll["job_id"]), poll)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{case['status']}-{number}")
        for name, sample in SAMPLES.items()
        for number, case in enumerate(sample["poll"]["answers"])
    ],
)
def test_every_status(name: str, case: dict[str, Any]) -> None:
    body = json.dumps(case["answer"]).encode()
    answer = Answer(case.get("http_status", 200), case.get("headers", {}), body)
    poll = read_poll(source_of(name), SAMPLES[name]["poll"]["job_id"], answer, NOW).poll
    assert (poll.raw_status, poll.outcome) == (case["status"], Outcome(case["outcome"]))
    assert poll.message == case["message"]


@each_sample
def test_no_status_of_a_preset_is_without_a_sample(name: str) -> None:
    outcomes = preset_of(name).table["outcomes"]
    listed = {(status, outcome) for outcome, statuses in outcomes.items() for status in statuses}
    shown = {(case["status"], case["outcome"]) for case in SAMPLES[name]["poll"]["answers"]}
    assert listed <= shown
    refused = {"notFound", "throttled", "unauthorized", "unreachable"}
    for status, outcome in shown - listed:
        assert outcome in (refused if status is None else {"unrecognised"})


@each_preset
def test_the_outcomes_name_the_page_that_they_follow(name: str) -> None:
    table = PRESETS[name].partition("[source.outcomes]\n")[2].partition("\n[")[0]
    pages = re.findall(r"^# (https://[^\s,]+)", table, re.MULTILINE)
    assert table.startswith("# https://")
    assert {*pages} <= {*preset_of(name).documentation}


@each_sample
def test_starting_a_job(name: str) -> None:
    source, submit = source_of(name), SAMPLES[name]["submit"]
    assert source.submit
    assert source.submit.example == submit["job"]
    request, _ = source.submit_request(submit["job"])
    assert_sends(request, submit)
    answer = Answer(200, {}, json.dumps(submit["answer"]).encode())
    assert read_submitted(source, answer, submit["job"]) == submit["job_id"]


@each_sample
def test_cancelling_a_job(name: str) -> None:
    sample = SAMPLES[name]
    assert_sends(source_of(name).cancel_request(sample["poll"]["job_id"]), sample["cancel"])


@each_preset
def test_docs_list_the_preset_with_its_parameters(name: str) -> None:
    text = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
    for parameter in tomllib.loads(PRESETS[name])["parameters"]:
        assert f"`{parameter}`" in row


@each_sample
def test_a_hint_of_the_system_names_its_jobs(name: str) -> None:
    source, cases = source_of(name), SAMPLES[name].get("hint", [])
    assert (source.hint.job_id is not None) == bool(cases)
    for case in cases:
        events = events_in(json.dumps(case["body"]).encode(), "application/json")
        assert jobs_in(source, events) == case["jobs"]


def test_a_preset_with_a_list_has_a_sample_of_that() -> None:
    assert {n for n in NAMES if "list" in preset_of(n).table} == {*LISTED}


@pytest.mark.parametrize("name", LISTED)
def test_a_list(name: str) -> None:
    sample = SAMPLES[name]["list"]
    assert sample["source"] in preset_of(name).documentation
    source, since = source_of(name), NOW - timedelta(days=1)
    assert source.list
    first = source.list.first_position()
    assert_sends(source.list_request(since, NOW, first), sample)
    body = json.dumps(sample["answer"]).encode()
    page = read_page(source, first, Answer(200, sample.get("answer_headers", {}), body), NOW)
    found = [(s.job_id, s.poll and s.poll.outcome, s.updated) for s in page.sights]
    expected = [(i, o, at and datetime.fromisoformat(at)) for i, o, at in sample["sights"]]
    assert found == expected
    assert (page.whole, page.trouble) == (True, None)
    if sample["next"]:
        assert_sends(source.list_request(since, NOW, page.next), sample["next"])
    else:
        assert page.next is None
