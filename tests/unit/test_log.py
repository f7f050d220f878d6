"""When a log gets a line about the job's status."""

from datetime import timedelta

import pytest

from domain.monitors.log import hint, sight, status_change
from domain.monitors.monitor import MonitorRow
from domain.outcome import Outcome
from tests.unit.rows import NOW, row


def seen(raw_status: str | None, polls: int) -> MonitorRow:
    last_poll_at = NOW + timedelta(minutes=polls) if polls else None
    return row(raw_status=raw_status, polls=polls, last_poll_at=last_poll_at)


def test_a_change_says_from_what_to_what_and_when() -> None:
    [line] = status_change(seen("queued", 1), seen("busy", 3))
    assert (line.event, line.from_, line.to) == ("status", "queued", "busy")
    assert (line.poll, line.at) == (3, NOW + timedelta(minutes=3))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (seen("busy", 1), seen("busy", 2)),
        (seen(None, 0), seen(None, 1)),
        (seen("busy", 5), seen("queued", 4)),
        (seen("busy", 0), seen(None, 0)),
    ],
    ids=["the same", "never seen", "seen before it", "not polled yet"],
)
def test_what_tells_nothing_new_makes_no_line(before: MonitorRow, now: MonitorRow) -> None:
    assert status_change(before, now) == []


@pytest.mark.parametrize(
    ("before", "now", "event"),
    [
        (None, Outcome.UNREACHABLE, "unseen"),
        (Outcome.RUNNING, Outcome.THROTTLED, "unseen"),
        (Outcome.RUNNING, Outcome.NOT_FOUND, "unseen"),
        (Outcome.UNREACHABLE, Outcome.UNAUTHORIZED, None),
        (Outcome.UNAUTHORIZED, Outcome.RUNNING, "seen"),
        (Outcome.NOT_FOUND, Outcome.UNRECOGNISED, "seen"),
        (Outcome.RUNNING, Outcome.SUCCEEDED, None),
        (None, Outcome.RUNNING, None),
    ],
)
def test_a_line_tells_where_polls_begin_to_fail_and_where_they_see_again(
    before: Outcome | None, now: Outcome, event: str | None
) -> None:
    told = sight(
        row(outcome=before), row(outcome=now, last_poll_at=NOW, polls=4, detail="HTTP 503")
    )
    assert [
        (line.event, line.from_, line.to, line.at, line.poll, line.reason) for line in told
    ] == ([(event, before, now, NOW, 4, "HTTP 503")] if event else [])


def test_a_flood_of_hints_is_one_line() -> None:
    """Else it would push the changes of the status out of the log."""
    now, lines = row(poll_interval_seconds=60), []
    for seconds in (0, 2, 30, 61, 115, 180, 240):
        then = now.model_copy(update={"hinted_at": NOW + timedelta(seconds=seconds)})
        lines += hint(now, then)
        now = then
    assert [(line.event, (line.at - NOW).seconds) for line in lines] == [
        ("hinted", 0),
        ("hinted", 180),
        ("hinted", 240),
    ]
    assert hint(now, now) == []
