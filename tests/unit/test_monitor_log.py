"""When a log gets a line about the job's status."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.monitor import MonitorRow, State
from domain.monitor_log import status_change

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def row(raw_status: str | None, polls: int) -> MonitorRow:
    return MonitorRow(
        id="demo.a",
        source="demo",
        job_id="a",
        run=1,
        state=State.MONITORING,
        started_at=NOW,
        expire_time=NOW + timedelta(days=1),
        poll_interval_seconds=60,
        raw_status=raw_status,
        polls=polls,
        last_poll_at=NOW + timedelta(minutes=polls) if polls else None,
    )


def test_a_change_says_from_what_to_what_and_when() -> None:
    [line] = status_change(row("queued", 1), row("busy", 3))
    assert (line.event, line.from_, line.to) == ("status", "queued", "busy")
    assert (line.poll, line.at) == (3, NOW + timedelta(minutes=3))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (row("busy", 1), row("busy", 2)),
        (row(None, 0), row(None, 1)),
        (row("busy", 5), row("queued", 4)),
        (row("busy", 0), row(None, 0)),
    ],
    ids=["the same", "never seen", "seen before it", "not polled yet"],
)
def test_what_tells_nothing_new_makes_no_line(before: MonitorRow, now: MonitorRow) -> None:
    assert status_change(before, now) == []
