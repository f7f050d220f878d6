"""A dry run shows what a poll asked, got and made of it, and no secret."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.dry_run import dry_run
from adapters.job_api import JobApi
from demo.part import ROOT
from domain.sources.file import load_sources
from domain.sources.source import Source
from tests.faulty_source import FaultySource, Reply

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECRET = "planted-secret-51c0ffee"  # noqa: S105 - it is planted to be searched for
TOML = """
[sources.demo]
headers = {{ X-Tenant = "acme", X-Api-Token = "${{SECRET}}" }}
[sources.demo.status]
url = "{url}/jobs/{{job_id}}?key=${{SECRET}}"
status = "status"
progress = "floor(progress)"
[sources.demo.outcomes]
succeeded = ["done"]
[sources.demo.auth]
kind = "bearer"
token = "${{SECRET}}"
"""


def source(server: FaultySource) -> Source:
    return load_sources(TOML.format(url=server.url), {"SECRET": SECRET}).get("demo")


def shown_of_a(server: FaultySource) -> dict[str, Any]:
    return dry_run(JobApi(), source(server), "a", NOW).to_wire()


def test_a_dry_run_tells_request_answer_values_and_outcome(server: FaultySource) -> None:
    server.behave("a", {"status": "done", "progress": 41.9})
    shown = shown_of_a(server)
    assert shown["request"] == {
        "method": "GET",
        "url": f"{server.url}/jobs/a?key=***",
        "headers": {"X-Tenant": "acme", "X-Api-Token": "***", "Authorization": "***"},
    }
    answer = shown["answer"]
    assert answer["httpStatus"] == 200
    assert answer["body"] == '{"status": "done", "progress": 41.9}'
    assert answer["headers"]["content-length"] == "36"
    assert shown["rules"] == {"kind": "ok", "rule": "ok, by default for HTTP 200"}
    assert shown["selected"] == {
        "status": {"expression": "status", "sees": "body", "value": '"done"'},
        "progress": {"expression": "floor(progress)", "sees": "body", "value": "41"},
    }
    assert shown["decidedBy"] == 'outcomes.succeeded lists "done"'
    assert shown["poll"]["outcome"] == "succeeded"


def test_an_expression_that_fails_is_told(server: FaultySource) -> None:
    server.behave("a", {"status": "done", "progress": "much"})
    shown = shown_of_a(server)
    assert "fails" in shown["selected"]["progress"]["fault"]
    assert shown["poll"]["outcome"] == "succeeded"


@pytest.mark.parametrize(
    ("answer", "kind", "decided_by", "faults"),
    [
        (
            {"status": "odd", "progress": None},
            "ok",
            'outcomes.unknown = "unrecognised": no list of outcomes holds this status',
            {"status": None, "progress": "the expression floor(progress) fails on this answer"},
        ),
        (
            {"progress": 3},
            "ok",
            "ok, by default for HTTP 200",
            {"status": "the expression status gives nothing", "progress": None},
        ),
        (Reply(404), "not_found", "not_found, by default for HTTP 404", {}),
        (Reply(500, b"Oh"), "trouble", "no rule holds for HTTP 500", {}),
        (
            Reply(204),
            "ok",
            "ok, by default for HTTP 204",
            {"status": "the answer is empty", "progress": "the answer is empty"},
        ),
    ],
)
def test_the_rule_that_decided_and_why_a_value_is_null_are_told(
    server: FaultySource,
    answer: Reply | dict[str, object],
    kind: str,
    decided_by: str,
    faults: dict[str, str | None],
) -> None:
    server.behave("a", answer)
    shown = shown_of_a(server)
    assert shown["rules"]["kind"] == kind
    assert shown["decidedBy"] == decided_by
    assert {key: each.get("fault") for key, each in shown["selected"].items()} == faults


def test_a_repaired_answer_is_told(server: FaultySource) -> None:
    server.behave("a", Reply(200, b'{"status": "done", "progress": NaN}'))
    shown = shown_of_a(server)
    assert shown["answer"]["repaired"] == "the body is not strict JSON"
    assert shown["poll"]["outcome"] == "succeeded"


@pytest.mark.parametrize("behaviour", ["html", "half-json", "huge", "reset", "echo"])
def test_whatever_comes_back_no_secret_is_shown(server: FaultySource, behaviour: str) -> None:
    """I9: `echo` sends the request's own headers back."""
    server.behave("a", behaviour)
    text = json.dumps(shown_of_a(server))
    assert any(SECRET in str(each.headers) for each in server.requests)
    assert SECRET not in text
    assert len(text) < 10_000


def test_the_command_needs_no_host(server: FaultySource, tmp_path: Path) -> None:
    sources = tmp_path / "sources.toml"
    sources.write_text(TOML.format(url=server.url))
    server.behave("a", {"status": "done"})
    server.behave("b", "500")
    environment = {"JOB_SOURCES_FILE": str(sources), "SECRET": SECRET}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "adapters.dry_run", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    ended = run("demo", "a")
    assert (ended.returncode, json.loads(ended.stdout)["poll"]["outcome"]) == (0, "succeeded")
    assert run("demo", "b").returncode == 1
    unknown = run("nope", "a")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "demo" in unknown.stderr
    assert SECRET not in ended.stdout + ended.stderr
