"""The meaning of an answer as a decision table. No answer of a source raises an error."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.outcome import Outcome, Poll
from domain.sources.answer import Answer
from domain.sources.file import load_sources
from domain.sources.poll import read_poll
from domain.sources.source import Source

NOW = datetime(2026, 1, 2, 0, 0, 0, tzinfo=UTC)
TEXT = """
[sources.demo.status]
url = "https://jobs.example/{job_id}"
status = "status"
progress = "progress"
message = "message"
[sources.demo.outcomes]
running = ["run", "1", "true"]
succeeded = ["done"]
failed = ["bad", "0"]
cancelled = ["off"]
[sources.demo.auth]
kind = "bearer"
token = "s3cret"
[sources.demo.http]
max_answer_bytes = 1000
"""
SOURCE = load_sources(TEXT, {}).get(None)


def answer(
    document: object = None,
    *,
    http_status: int = 200,
    headers: Mapping[str, str] | None = None,
    source: Source = SOURCE,
) -> Poll:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read(body, http_status=http_status, headers=headers, source=source)


def read(
    body: bytes | None,
    *,
    http_status: int = 200,
    headers: Mapping[str, str] | None = None,
    source: Source = SOURCE,
    now: datetime = NOW,
) -> Poll:
    return read_poll(source, "job-1", Answer(http_status, headers or {}, body), now).poll


def with_status_expression(expression: str) -> Source:
    return load_sources(TEXT.replace('"status"', f'"{expression}"'), {}).get(None)


@pytest.mark.parametrize(
    ("status", "raw", "outcome"),
    [
        ("run", "run", Outcome.RUNNING),
        ("done", "done", Outcome.SUCCEEDED),
        ("bad", "bad", Outcome.FAILED),
        ("off", "off", Outcome.CANCELLED),
        (1, "1", Outcome.RUNNING),
        (0, "0", Outcome.FAILED),
        (True, "true", Outcome.RUNNING),
        (False, "false", Outcome.UNRECOGNISED),
        ("DONE", "DONE", Outcome.UNRECOGNISED),
        ("", "", Outcome.UNRECOGNISED),
        ("x" * 300, "x" * 84 + " … " + "x" * 169, Outcome.UNRECOGNISED),
        ("s3cret", "***", Outcome.UNRECOGNISED),
        ("a\x00b\ud800c", "abc", Outcome.UNRECOGNISED),
        (None, None, Outcome.UNRECOGNISED),
        (1.5, None, Outcome.UNRECOGNISED),
        (["done"], None, Outcome.UNRECOGNISED),
        ({"a": 1}, None, Outcome.UNRECOGNISED),
    ],
)
def test_status(status: object, raw: str | None, outcome: Outcome) -> None:
    poll = answer({"status": status})
    assert (poll.raw_status, poll.outcome) == (raw, outcome)
    assert (poll.detail is not None) == (outcome is Outcome.UNRECOGNISED)
    if raw is None:
        assert "the expression status gives" in str(poll.detail)


@pytest.mark.parametrize(
    ("expression", "document", "raw"),
    [
        ("exit_code", {"exit_code": 0}, "0"),
        ("join('/', [state, result || ''])", {"state": "run"}, "run/"),
        ("join('/', [state, result || ''])", {"state": "off", "result": "bad"}, "off/bad"),
        ("state == 'off' && result || state", {"state": "run", "result": "bad"}, "run"),
        ("state == 'off' && result || state", {"state": "off", "result": "bad"}, "bad"),
        ("state == 'off' && result || state", {"state": "off"}, "off"),
        ("jobs[0].state", {"jobs": [{"state": "run"}, {"state": "bad"}]}, "run"),
        ("to_array(state)[0]", {"state": ["run", "flag"]}, "run"),
        ("to_array(state)[0]", {"state": "run"}, "run"),
        ("is_[?on=='True'].is | [0] || 'run'", {"is_": [{"is": "bad", "on": "True"}]}, "bad"),
        ("is_[?on=='True'].is | [0] || 'run'", {"is_": [{"is": "bad", "on": "False"}]}, "run"),
        ("is_[?on=='True'].is | [0] || 'run'", {}, "run"),
        ("error && 'bad' || done && 'done' || 'run'", {"done": True, "error": None}, "done"),
        ("error && 'bad' || done && 'done' || 'run'", {"done": False}, "run"),
    ],
)
def test_the_expression_language_is_enough(expression: str, document: object, raw: str) -> None:
    """A code, two fields, a list, conditions: what real systems have in place of a status."""
    assert answer(document, source=with_status_expression(expression)).raw_status == raw


@pytest.mark.parametrize("document", [[], 3, "done", None, {}, {"Status": "done"}])
def test_a_document_of_another_shape_has_no_status(document: object) -> None:
    poll = answer(document)
    assert poll.outcome is Outcome.UNRECOGNISED
    assert poll.detail == "the expression status gives nothing"


def test_an_expression_that_fails_is_named_and_the_answer_is_not_quoted() -> None:
    poll = answer({"a": "s3cret-ish"}, source=with_status_expression("length(to_number(a))"))
    assert poll.outcome is Outcome.UNRECOGNISED
    assert poll.detail == "the expression length(to_number(a)) fails on this answer"


@pytest.mark.parametrize(
    ("http_status", "outcome"),
    [
        (200, Outcome.SUCCEEDED),
        (201, Outcome.SUCCEEDED),
        (299, Outcome.SUCCEEDED),
        (404, Outcome.NOT_FOUND),
        (410, Outcome.NOT_FOUND),
        (401, Outcome.UNAUTHORIZED),
        (403, Outcome.UNAUTHORIZED),
        (429, Outcome.THROTTLED),
        (100, Outcome.UNREACHABLE),
        (300, Outcome.UNREACHABLE),
        (302, Outcome.UNREACHABLE),
        (303, Outcome.UNREACHABLE),
        (399, Outcome.UNREACHABLE),
        (400, Outcome.UNREACHABLE),
        (407, Outcome.UNREACHABLE),
        (408, Outcome.UNREACHABLE),
        (500, Outcome.UNREACHABLE),
        (503, Outcome.UNREACHABLE),
        (999, Outcome.UNREACHABLE),
    ],
)
def test_http_status(http_status: int, outcome: Outcome) -> None:
    poll = answer({"status": "done", "message": "m"}, http_status=http_status)
    assert poll.outcome is outcome
    if outcome is Outcome.SUCCEEDED:
        assert poll.detail is None
    else:
        assert (poll.raw_status, poll.message) == (None, None)
        assert str(poll.detail).startswith(f"HTTP {http_status}")
    if http_status == 302:
        assert "redirect to another origin" in str(poll.detail)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the answer is empty"),
        (b" \r\n", "the answer is empty"),
        (b"<!DOCTYPE html><html></html>", "the answer is HTML"),
        (b"done", "the answer is not JSON"),
        (b'{"status": "do', "the answer is not JSON"),
        (b'{"status": "done"} x', "the answer is not JSON"),
        (b"nan", "the answer is not JSON"),
        (b"{status: done}", "the answer is not JSON"),
        (b"1" * 5000, "the answer is not JSON"),
        (b"\xff", "the answer is not JSON"),
        (b"[" * 200_000, "the answer is nested too deeply"),
        (None, "the answer is larger than 1000 bytes"),
    ],
)
def test_an_answer_that_can_not_be_read(body: bytes | None, detail: str) -> None:
    poll = read(body, headers={"Retry-After": "9"})
    assert poll == Poll(outcome=Outcome.UNREACHABLE, detail=detail, retry_after_seconds=9)


def test_the_http_status_counts_when_the_body_is_over_the_limit() -> None:
    assert read(None, http_status=404).outcome is Outcome.NOT_FOUND


def test_a_byte_order_mark_does_no_harm() -> None:
    assert answer(b'\xef\xbb\xbf{"status": "done"}').outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("progress", "read"),
    [
        (b"0", 0),
        (b"42.5", 42.5),
        (b"100", 100),
        (b"-3", 0),
        (b"100.1", 100),
        (b'"42"', 42),
        (b'" 7.5 "', 7.5),
        (b'"42 %"', 42),
        (b'"42.5%"', 42.5),
        (b'"3/12"', 25),
        (b'"3 of 12"', 25),
        (b'"3/0"', None),
        (b'"half"', None),
        (b'"nan"', None),
        (b'"inf"', None),
        (b'"' + b"1" * 65 + b'"', None),
        (b"1e999", None),
        (b"1" + b"0" * 400, None),
        (b"true", None),
        (b"null", None),
        (b"[50]", None),
        (b'""', None),
    ],
)
def test_progress(progress: bytes, read: float | None) -> None:
    poll = answer(b'{"status": "run", "progress": ' + progress + b"}")
    assert (poll.outcome, poll.progress) == (Outcome.RUNNING, read)


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ("half way", "half way"),
        ("", None),
        (None, None),
        ("line\r\nnext\ttab\u2028end", "line  next tab end"),
        ("bell\x07 esc\x1b[31m del\x7f c1\x9b", "bell esc[31m del c1"),
        ("half a pair \udfff", "half a pair"),
        ("grüße 🚀", "grüße 🚀"),
        ("x" * 1024, "x" * 1024),
        ("a" * 600 + "b" * 700, "a" * 340 + " … " + "b" * 681),
        ("\x00" * 100 + "x", "x"),
        (12, "12"),
        ({"code": "ä"}, '{"code": "ä"}'),
        ("token s3cret refused", "token *** refused"),
        ("x" * 1020 + "s3cret", "x" * 1020 + "***"),
    ],
)
def test_message(message: object, read: str | None) -> None:
    poll = answer({"status": "run", "message": message})
    assert poll.message == read
    assert Poll.model_validate_json(poll.model_dump_json()) == poll


@pytest.mark.parametrize("length", [2_000, 20_000, 2_000_000])
def test_a_long_message_keeps_its_end(length: int) -> None:
    """Logs and tracebacks have the cause there."""
    text = "Job failed with exit code 1, last logs:\n" + "step\n" * (length // 5)
    message = answer({"status": "bad", "message": text + "RuntimeError: no memory"}).message
    assert message is not None
    assert len(message) <= 1_024
    assert message.startswith("Job failed with exit code 1, last logs: step")
    assert message.endswith("step RuntimeError: no memory")
    assert " … " in message


def test_a_secret_in_a_long_message_is_not_cut_into_a_readable_part() -> None:
    for before in range(330, 345):
        message = answer(
            {"status": "run", "message": "x" * before + "s3cret" + "y" * 2_000}
        ).message
        assert "s3c" not in str(message)


def test_progress_and_message_are_optional() -> None:
    bare = TEXT.replace('progress = "progress"', "").replace('message = "message"', "")
    source = load_sources(bare, {}).get(None)
    poll = answer({"status": "run", "progress": 5, "message": "m"}, source=source)
    assert poll == Poll(outcome=Outcome.RUNNING, raw_status="run")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("86400", 86_400),
        ("86401", 86_400),
        ("9" * 400, 86_400),
        ("Fri, 02 Jan 2026 00:02:00 GMT", 120),
        ("Friday, 02-Jan-26 00:02:00 GMT", 120),
        ("Fri Jan  2 00:02:00 2026", 120),
        ("Fri, 02 Jan 2026 00:00:00 GMT", 0),
        ("Thu, 01 Jan 2026 23:59:59 GMT", None),
        ("Fri, 02 Jan 2099 00:02:00 GMT", 86_400),
        ("Fri, 02 Jan 99999 00:02:00 GMT", None),
        ("Fri, 02 Jan 2026 00:02:00 +99999999", None),
        ("-7", None),
        ("+7", None),
        ("1e3", None),
        ("nan", None),
        ("\u0667", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert (
        answer({}, http_status=429, headers={"Retry-After": value}).retry_after_seconds == seconds
    )


@pytest.mark.parametrize("http_status", [200, 202, 302, 401, 404, 429, 503])
def test_retry_after_counts_on_every_answer(http_status: int) -> None:
    poll = answer({"status": "run"}, http_status=http_status, headers={"retry-AFTER": "7"})
    assert poll.retry_after_seconds == 7


@pytest.mark.parametrize("date", ["Fri, 02 Jan 2026 00:02:00 GMT", "Fri Jan  2 00:02:00 2026"])
def test_retry_after_is_relative_to_now_in_any_zone(date: str) -> None:
    now = datetime(2026, 1, 2, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    poll = read(b"", http_status=429, headers={"Retry-After": date}, now=now)
    assert poll.retry_after_seconds == 120
