"""Notices in words for people and as data for programs."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.notices.cloud_event import cloud_event, webhook_id
from domain.notices.message import DIGEST_LISTED, message_of
from domain.notices.notice import Event, Notice

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def notice(number: int = 1, **facts: Any) -> Notice:
    base: dict[str, Any] = {
        "id": f"demo.a/1/{number}",
        "event": Event.ENDED,
        "at": AT,
        "monitor_id": "demo.a",
        "run": 1,
        "source": "demo",
        "job_id": "a",
        "state": "Failed",
        "labels": {"team": "data"},
        "raw_status": "failed",
        "progress": 37.5,
        "message": "disk full",
        "reason": "the job failed",
        "started_at": AT - timedelta(hours=1),
        "ended_at": AT,
    }
    return Notice.model_validate(base | facts)


def test_a_notice_is_told_in_words() -> None:
    message = message_of([notice()])
    assert message.title == "demo: a Failed"
    assert message.text.splitlines() == [
        "Job: a",
        "Source: demo",
        "State: Failed",
        "Status: failed",
        "Progress: 37.5 %",
        "Message: disk full",
        "Reason: the job failed",
        "Labels: team=data",
        "Started: 2026-01-02 02:04:05 UTC",
        "Ended: 2026-01-02 03:04:05 UTC",
        "Monitor: demo.a, run 1",
    ]


@pytest.mark.parametrize(
    ("event", "title"),
    [
        (Event.OVERDUE, "demo: a runs longer than expected"),
        (Event.STALLED, "demo: a does not move"),
        (Event.BLIND, "demo: a can't be seen"),
        (Event.SEEN, "demo: a is seen again"),
        (Event.STALE, "demo: the watch over a is silent"),
        (Event.PROGRESS, "demo: a is at 37.5 %"),
        (Event.TROUBLE, "demo: trouble"),
    ],
)
def test_each_event_has_its_title(event: Event, title: str) -> None:
    assert message_of([notice(event=event, state="Monitoring")]).title == title


def test_the_data_say_what_the_row_says() -> None:
    message = message_of([notice()])
    assert (message.id, message.type) == ("demo.a/1/1", "jobmonitor.ended")
    assert message.data == notice().to_wire()
    assert json.loads(json.dumps(message.data)) == message.data


def test_trouble_of_the_app_is_about_no_job() -> None:
    message = message_of([Notice(id="t/1", event=Event.TROUBLE, at=AT, detail="cleanup fails")])
    assert (message.title, message.subject) == ("Job Monitor: cleanup fails", "job-monitor")
    assert message.text == "Detail: cleanup fails"


def test_many_notices_are_one_message() -> None:
    many = [
        notice(i, event=Event.BLIND, job_id=f"job-{i}", detail="HTTP 503") for i in range(10_000)
    ]
    message = message_of(many)
    assert message.title == "demo: 10,000 jobs can't be seen"
    lines = message.text.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (
        21,
        "- job-0: the job failed",
        "... and 9,980 more",
    )
    assert (message.data["count"], message.subject, message.type) == (
        10_000,
        "demo",
        "jobmonitor.digest",
    )
    listed = message.data["notices"]
    assert isinstance(listed, list)
    assert len(listed) == DIGEST_LISTED
    assert len(json.dumps(message.data)) < 100_000


def test_the_id_of_a_digest_follows_from_its_notices() -> None:
    two, other = [notice(1), notice(2)], [notice(1), notice(3)]
    assert message_of(two).id == message_of([*two]).id != message_of(other).id


def test_ends_in_a_digest_are_counted_by_state() -> None:
    ends = [notice(1), notice(2, state="Lost"), notice(3)]
    assert message_of(ends).title == "demo: 3 jobs ended: 2 Failed, 1 Lost"


def test_nothing_is_no_message() -> None:
    with pytest.raises(ValueError, match="nothing to tell"):
        message_of([])


HOSTILE = {
    "lines": "a\r\nBcc: x@evil.example\r\n\r\nbody\u2028next\x85",
    "direction": "a\u202egnp.exe\u2066\u200f",
    "control": "a\x00\x1b[31mred\x07",
    "emoji": "\U0001f469\u200d\U0001f4bb done",
    "long": "x" * 1_000_000,
    "blank": " \t\n ",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("field", ["job_id", "message", "raw_status", "reason"])
@pytest.mark.parametrize("count", [1, 3])
def test_the_texts_of_a_job_stay_on_their_line(name: str, field: str, count: int) -> None:
    given = HOSTILE[name]
    message = message_of([notice(i, **{field: given}) for i in range(count)])
    plain = message_of([notice(i) for i in range(count)])
    assert len(message.text.splitlines()) <= len(plain.text.splitlines())
    assert len(message.title) <= 150
    assert len(message.text) <= 3_000
    assert not set(message.title + message.text.replace("\n", "")) & set(
        "\r\n\u2028\x85\u202e\u2066\u200f\x00\x1b\x07"
    )
    if name == "emoji" and field == "job_id":
        assert given in message.text
    assert len(json.dumps(message.data)) < 30_000


def test_a_cloud_event_has_all_that_it_needs() -> None:
    event = cloud_event(message_of([notice()]), "https://app.example/api/monitors")
    assert {name: value for name, value in event.items() if name != "data"} == {
        "specversion": "1.0",
        "id": "demo.a/1/1",
        "source": "https://app.example/api/monitors",
        "type": "jobmonitor.ended",
        "subject": "demo.a",
        "time": "2026-01-02T03:04:05+00:00",
        "datacontenttype": "application/json",
    }
    assert event["data"]["title"] == "demo: a Failed"
    assert event["data"]["jobId"] == "a"


def test_the_id_of_a_webhook_has_no_dot_and_stays_the_same() -> None:
    one, two = message_of([notice()]), message_of([notice(2)])
    assert webhook_id(one) == webhook_id(one) != webhook_id(two)
    assert "." not in webhook_id(one)
