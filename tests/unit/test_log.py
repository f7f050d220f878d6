"""When a log gets a line about the job's status."""

from datetime import timedelta

import pytest

from domain.monitors.log import status_change
from domain.monitors.monitor import MonitorRow
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
