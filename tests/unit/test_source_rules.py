"""The kind of an answer, how long to wait, and answers that are broken in part."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.outcome import Outcome, Poll
from domain.sources.answer import Answer
from domain.sources.file import load_sources
from domain.sources.poll import Reading, read_poll
from domain.sources.source import Source

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RULES = ("throttled", "not_found", "unauthorized", "ok")


def source(*lines: str, running: str = '["run"]', succeeded: str = '["done"]') -> Source:
    text = f"""
    [sources.x]
    status.url = "https://jobs.example/{{job_id}}"
    status.status = "state"
    status.message = "message"
    outcomes.running = {running}
    outcomes.succeeded = {succeeded}
    """
    return load_sources(text + "\n".join(lines), {}).get("x")


def reading(
    of: Source, status: int, body: object = b"", headers: Mapping[str, str] | None = None
) -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_poll(of, "j", Answer(status, headers or {}, raw), NOW)


def poll(*args: Any) -> Poll:
    return reading(*args).poll


OUTCOMES = {
    "throttled": Outcome.THROTTLED,
    "not_found": Outcome.NOT_FOUND,
    "unauthorized": Outcome.UNAUTHORIZED,
    "ok": Outcome.SUCCEEDED,
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("status", [200, 303, 404, 401, 403, 429, 500])
def test_a_rule_that_holds_decides_whatever_the_http_status(rule: str, status: int) -> None:
    given = source(f'status.{rule} = "body.is"')
    found = reading(given, status, {"is": True, "state": "done"})
    assert found.poll.outcome is OUTCOMES[rule]
    assert found.ruling.rule == f"{rule} = body.is"


@pytest.mark.parametrize(("rule", "status"), [("throttled", 429), ("unauthorized", 401)])
def test_a_rule_that_ends_no_watch_adds_to_its_default(rule: str, status: int) -> None:
    found = reading(source(f'status.{rule} = "body.is"'), status, {"state": "done"})
    assert found.poll.outcome is OUTCOMES[rule]
    assert found.ruling.rule == f"{rule}, by default for HTTP {status}"


@pytest.mark.parametrize(("rule", "status"), [("not_found", 404), ("ok", 200)])
def test_a_rule_that_may_end_one_takes_the_place_of_its_default(rule: str, status: int) -> None:
    found = poll(source(f'status.{rule} = "body.is"'), status, {"state": "done"})
    assert found.outcome is Outcome.UNREACHABLE
    assert str(status) in str(found.detail)


def test_rules_that_are_given_are_asked_in_their_order() -> None:
    for number, rule in enumerate(RULES):
        given = source(*(f'status.{each} = "body.is"' for each in RULES[number:]))
        assert poll(given, 200, {"is": 1, "state": "done"}).outcome is OUTCOMES[rule]


def test_a_rule_that_fails_does_not_hold() -> None:
    given = source("status.not_found = \"contains(body.message, 'none')\"")
    assert poll(given, 200, {"state": "done"}).outcome is Outcome.SUCCEEDED
    assert poll(given, 200, {"message": "there is none"}).outcome is Outcome.NOT_FOUND


def test_rules_see_headers_in_lower_case_and_texts() -> None:
    given = source(
        "status.not_found = \"headers.\\\"x-err\\\" == '7' || contains(body, 'No job')\""
    )
    assert poll(given, 500, b"", {"X-ERR": "7"}).outcome is Outcome.NOT_FOUND
    assert poll(given, 500, b"<p>No job</p>").outcome is Outcome.NOT_FOUND
    assert poll(given, 500, b"<p>Oh</p>").outcome is Outcome.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "body", "outcome", "raw"),
    [
        (202, b"", Outcome.RUNNING, "HTTP 202"),
        (202, {"state": "done"}, Outcome.SUCCEEDED, "done"),  # a status of its own goes before
        (204, b"", Outcome.SUCCEEDED, "HTTP 204"),
        (200, {"id": 1}, Outcome.UNRECOGNISED, None),
        (200, b"", Outcome.UNREACHABLE, None),
        (303, {"state": "run"}, Outcome.SUCCEEDED, "HTTP 303"),
        (404, {"state": "run"}, Outcome.RUNNING, "HTTP 404"),
        (500, {"state": "run"}, Outcome.UNREACHABLE, None),
    ],
)
def test_an_http_status_may_be_in_a_list(
    status: int, body: object, outcome: Outcome, raw: str | None
) -> None:
    given = source(
        running='["run", "HTTP 202", "HTTP 404"]', succeeded='["done", "HTTP 204", "HTTP 303"]'
    )
    found = poll(given, status, body)
    assert (found.outcome, found.raw_status) == (outcome, raw)


RESET = str(int(NOW.timestamp()) + 1_440)


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "wait"),
    [
        (403, {}, Outcome.UNAUTHORIZED, None),
        (
            403,
            {"x-ratelimit-remaining": "4711", "x-ratelimit-reset": RESET},
            Outcome.UNAUTHORIZED,
            None,
        ),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": RESET}, Outcome.THROTTLED, 1_440),
        (403, {"RateLimit-Remaining": "0", "RateLimit-Reset": "50"}, Outcome.THROTTLED, 50),
        (403, {"X-Rate-Limit-Remaining": "0"}, Outcome.THROTTLED, None),
        (403, {"Retry-After": "60"}, Outcome.THROTTLED, 60),
        (429, {"x-ratelimit-reset": RESET}, Outcome.THROTTLED, 1_440),
        (429, {"x-ratelimit-reset": RESET, "Retry-After": "7"}, Outcome.THROTTLED, 7),
        (429, {"x-ratelimit-remaining": "12", "x-ratelimit-reset": RESET}, Outcome.THROTTLED, None),
        (429, {"x-ratelimit-reset": "1767000000"}, Outcome.THROTTLED, 0),  # it is past
        (429, {"x-ratelimit-reset": "9" * 30}, Outcome.THROTTLED, 86_400),
        (429, {"x-ratelimit-reset": "soon"}, Outcome.THROTTLED, None),
        (401, {"Retry-After": "60"}, Outcome.UNAUTHORIZED, 60),
        (200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": RESET}, Outcome.SUCCEEDED, None),
    ],
)
def test_slow_down(
    status: int, headers: dict[str, str], outcome: Outcome, wait: float | None
) -> None:
    found = poll(source(), status, {"state": "done"}, headers)
    assert (found.outcome, found.retry_after_seconds) == (outcome, wait)


@pytest.mark.parametrize(
    ("value", "wait"), [("2.5", 2.5), ("true", None), ("'soon'", None), ("`99999999`", 86_400)]
)
def test_a_rule_may_say_how_long_to_wait(value: str, wait: float | None) -> None:
    literal = value if value.startswith(("`", "'")) else f"`{value}`"
    found = poll(source(f'status.throttled = "{literal}"'), 503)
    assert (found.outcome, found.retry_after_seconds) == (Outcome.THROTTLED, wait)


@pytest.mark.parametrize(
    ("body", "flaw"),
    [
        (b'{"state": "done", "mse": NaN}', "is not strict JSON"),
        (b'{"state": "done", "mse": -Infinity, "x": [nan, -nan, inf]}', "is not strict JSON"),
        (b'{"state": "done", "x": undefined, "y": None, "z": True}', "is not strict JSON"),
        (b'{"state": "done", "log": "a\nb\tc\x01"}', "is not strict JSON"),
        (b'{"state": "done", "list": [1, 2,],}', "is not strict JSON"),
        (b'{"state": "done", "n": ' + b"1" * 5_000 + b"}", "is not strict JSON"),
        (b'{"state": "done", "name": "M\xfcller"}', "is not UTF-8"),
        (b'{"state": "done", "name": "\xff", "mse": NaN}', "is not UTF-8"),
        ('{"state": "done"}'.encode("utf-16"), None),
        (b'\xef\xbb\xbf{"state": "done"}', None),
        (b'{"state": "done", "log": "NaN, inf,] undefined \\" NaN"}', None),
    ],
)
def test_one_unreadable_part_does_not_hide_the_rest(body: bytes, flaw: str | None) -> None:
    answer = Answer(200, {}, body)
    assert read_poll(source(), "j", answer, NOW).poll.outcome is Outcome.SUCCEEDED
    assert answer.content.flaw == flaw


def test_what_is_repaired_is_null_and_texts_stay() -> None:
    body = b'{"state": "done", "message": "NaN is, x] \\" NaN", "a": NaN, "b": [-inf, 1.5e3, -2,]}'
    content = Answer(200, {}, body).content
    assert content.value == {
        "state": "done",
        "message": 'NaN is, x] " NaN',
        "a": None,
        "b": [None, 1500.0, -2],
    }


def test_a_declared_charset_is_read() -> None:
    body = '{"state": "done", "message": "Müller"}'.encode("latin-1")
    answer = Answer(200, {"Content-Type": "application/json; charset=ISO-8859-1"}, body)
    assert read_poll(source(), "j", answer, NOW).poll.message == "Müller"
    assert answer.content.flaw is None


@pytest.mark.parametrize(
    "body", [b'"\\' * 500_000, b'["' + b'\\"' * 500_000, b"[" + b"," * 1_000_000]
)
def test_a_broken_answer_is_read_in_linear_time(body: bytes) -> None:
    assert poll(source(), 200, body).detail == "the answer is not JSON"


def test_why_a_value_is_null_is_told() -> None:
    given = source('status.progress = "p"', 'status.progress_total = "t"')
    found = {
        each.key: each.fault for each in reading(given, 200, {"state": "run", "p": "soon"}).found
    }
    assert found == {
        "status": None,
        "progress": "the expression p gives no number",
        "progress_total": "the expression t gives nothing",
        "message": "the expression message gives nothing",
    }
