"""When the hub is asked for instances that are no monitor's, and for which."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.monitors.cleanup import CleanupProgress, strays

NOW = datetime(2030, 3, 2, 12, tzinfo=UTC)
CUTOFF = NOW - timedelta(days=30)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_the_first_span_reaches_back_for_ever() -> None:
    span = strays(CleanupProgress(), CUTOFF, NOW)
    assert span
    assert (span[0].year, span[1]) == (2000, CUTOFF)


def test_a_span_begins_where_the_last_one_ended() -> None:
    """Also where a release before asked in each run, and did not note when."""
    through = CUTOFF - HOUR
    assert strays(CleanupProgress(purged_through=through), CUTOFF, NOW) == (through, CUTOFF)


@pytest.mark.parametrize(
    ("ago", "due"), [(0 * HOUR, False), (DAY - HOUR, False), (DAY, True), (-HOUR, True)]
)
def test_the_hub_is_asked_once_a_day_whatever_came_of_it(ago: timedelta, due: bool) -> None:
    progress = CleanupProgress(strays_at=NOW - ago)
    assert bool(strays(progress, CUTOFF, NOW)) is due


def test_nothing_is_left_when_the_last_run_came_as_far() -> None:
    assert strays(CleanupProgress(purged_through=CUTOFF), CUTOFF, NOW) is None
    longer = CleanupProgress(purged_through=CUTOFF + DAY)  # a longer retention since then
    assert strays(longer, CUTOFF, NOW) is None
