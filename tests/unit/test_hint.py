"""Hints that job systems send: their form, their jobs, and their signature."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from domain.errors import InvalidInput
from domain.monitors.hints import EVENTS, JOBS, job_named, jobs_in
from domain.sources.file import load_sources
from domain.sources.hint import events_in, validation_code
from domain.sources.source import Source

# The example of GitHub's documentation.
SECRET, BODY = "It's a Secret to Everybody", b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def source(hint: str, more: str = "", **settings: str) -> Source:
    text = f"""
    [sources.x]
    {more}
    status.url = "https://jobs.example/{{job_id}}"
    status.status = "state"
    outcomes.succeeded = ["ok"]
    hint = {hint}
    """
    if more:
        text = text.replace("{job_id}", "{job_id.dag}/{job_id.run}")
    return load_sources(text, settings).get("x")


def test_a_signature_is_that_of_githubs_webhooks() -> None:
    hint = source('{secrets = ["${S}"]}', S=SECRET).hint
    assert hint.signed(SIGNATURE, BODY)
    assert hint.signed(f" {SIGNATURE.upper().replace('SHA256', 'sha256')} ", BODY)
    for wrong in ("", "sha256=", SIGNATURE[:-1], SIGNATURE.replace("sha256", "sha1"), "\udce9"):
        assert not hint.signed(wrong, BODY)
    assert not hint.signed(SIGNATURE, BODY + b" ")


def test_one_of_two_secrets_is_enough_and_none_is_not() -> None:
    two = source('{secrets = ["another-long-secret", "${S}"]}', S=SECRET).hint
    assert two.signed(SIGNATURE, BODY)
    assert not source('{job_id = "id"}').hint.signed(SIGNATURE, BODY)


def test_the_secret_is_long_and_is_in_no_text() -> None:
    with pytest.raises(Exception, match=r"hint\] secrets\[0\].*must have 16 characters") as caught:
        source('{secrets = ["short"]}')
    assert "short" not in str(caught.value)
    assert source('{secrets = ["${S}"]}', S=SECRET).redact(f"a {SECRET} b") == "a *** b"


@pytest.mark.parametrize(
    ("expression", "body", "jobs"),
    [
        ("id", {"id": "a"}, ["a"]),
        ("id", {"id": 12}, ["12"]),
        ("id", {"id": "Run:1 of/two"}, ["Run:1 of/two"]),
        ("id", [{"id": "a"}, {"id": "b"}, {"id": "a"}, {}], ["a", "b"]),
        ("runs[].id", {"runs": [{"id": "a"}, {"id": "b"}]}, ["a", "b"]),
        ("id", {"id": None}, []),
        ("id", {"id": True}, []),
        ("id", {"id": ""}, []),
        ("id", {"id": ".."}, []),
        ("id", {"id": "a\u0000"}, []),
        ("id", {"id": {"deep": 1}}, []),
        ("id", "text", []),
        ("id", [], []),
        ("join('-', [a, b])", {"a": "x"}, []),
    ],
)
def test_the_jobs_in_events(expression: str, body: Any, jobs: list[str]) -> None:
    events = events_in(json.dumps(body).encode(), "application/json")
    assert jobs_in(source(f'{{job_id = "{expression}"}}'), events) == jobs


def test_an_id_may_have_parts() -> None:
    dags = source('{job_id = "{dag: d, run: r}"}', 'job_id_parts = ["dag", "run"]')
    assert jobs_in(dags, [{"d": "a", "r": "b/c"}, {"d": "a"}]) == ["a/b%2Fc"]
    assert job_named(dags, {"dag": "a", "run": 1}) == "a/1"
    assert job_named(dags, "a/1") == "a/1"
    for wrong in ("a", {"dag": "a"}, 1, None):
        with pytest.raises(InvalidInput):
            job_named(dags, wrong)


def test_a_hint_is_about_some_jobs_not_about_all() -> None:
    x = source('{job_id = "id"}')
    assert len(jobs_in(x, [{"id": i} for i in range(JOBS)])) == JOBS
    with pytest.raises(InvalidInput, match="at the most"):
        jobs_in(x, [{"id": i} for i in range(JOBS + 1)])
    with pytest.raises(InvalidInput, match=r"has no hint\.job_id"):
        jobs_in(source('{secrets = ["${S}"]}', S=SECRET), [{"id": 1}])


def test_a_hint_holds_no_more_than_the_app_can_look_at() -> None:
    """Or a megabyte of events keeps all other callers waiting for twenty seconds."""
    x = source('{job_id = "ids || id"}')
    assert jobs_in(x, [1] * EVENTS) == []
    many = EVENTS + 1
    floods: list[list[Any]] = [[1] * many, [[]] * many, [{"ids": [""] * many}]]
    for events in floods:
        with pytest.raises(InvalidInput, match="5000 events at the most"):
            jobs_in(x, events)


def test_a_form_has_its_event_in_payload() -> None:
    form = urlencode({"payload": json.dumps({"id": "\u00fc&="})}).encode()
    assert events_in(form, "application/x-www-form-urlencoded; charset=utf-8") == [
        {"id": "\u00fc&="}
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ""),
        (b"{", ""),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
        (b"a=1", "application/x-www-form-urlencoded"),
        (b"&".join([b"a=1"] * 20), "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_is_no_json_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(InvalidInput, match="must be JSON"):
        events_in(body, kind)


def test_the_code_of_event_grids_validation() -> None:
    event = {
        "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
        "topic": "/subscriptions/s",
        "subject": "",
        "data": {"validationCode": "512d38b6", "validationUrl": "https://rp.example/validate"},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-01-25T22:12:19.4556811Z",
        "metadataVersion": "1",
        "dataVersion": "1",
    }
    assert validation_code([event]) == "512d38b6"
    assert validation_code([{**event, "data": None}]) is None
    assert validation_code([{"eventType": "other"}, 1]) is None
