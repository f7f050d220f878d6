"""The spans that a cleanup purges."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from domain.monitors.cleanup import windows

CUTOFF = datetime(2030, 1, 31, 12, tzinfo=UTC)


def test_the_first_cleanup_reaches_back_for_ever() -> None:
    spans = list(windows(None, CUTOFF))
    assert spans[0][0].year == 2000
    assert spans[-1][1] == CUTOFF


def test_spans_are_a_day_at_the_most_and_leave_no_gap() -> None:
    begin = CUTOFF - timedelta(days=3, hours=5)
    spans = list(windows(begin, CUTOFF))
    assert spans[0][0] == begin
    assert spans[-1][1] == CUTOFF
    assert all(end - start <= timedelta(days=1) for start, end in spans)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert len(spans) == 4


def test_nothing_is_left_when_the_last_run_came_as_far() -> None:
    assert not list(windows(CUTOFF, CUTOFF))
    assert not list(windows(CUTOFF + timedelta(days=1), CUTOFF))  # a longer retention since then
