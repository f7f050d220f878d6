"""When the hub is asked for instances that are no monitor's, and for which."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from domain.monitors.cleanup import CleanupProgress, SeenHub, seen_hub, strays

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


@pytest.mark.parametrize(
    ("through", "begin"),
    [
        (datetime.max.replace(tzinfo=UTC), 2000),
        (NOW + HOUR, 2000),
        (datetime.min.replace(tzinfo=UTC), 2000),
        (CUTOFF - DAY, 2030),
    ],
)
def test_a_span_that_somebody_crafted_keeps_no_instance_for_ever(
    through: datetime, begin: int
) -> None:
    span = strays(CleanupProgress(purged_through=through), CUTOFF, NOW)
    assert span
    assert (span[0].year, span[1]) == (begin, CUTOFF)


@pytest.mark.parametrize(
    "crafted",
    [
        {"runs": -1},
        {"runs": 2**31},
        {"instances": 10**30},
        {"hub": "x" * 65},
        {"hub": ""},
        {"hub": "a\nb"},
        {"after": "x"},
        {"after": "9" * 16},
        {"after": f"{'9' * 16}-{'x' * 301}"},
        {"after": f"{'9' * 16}-a\u0000"},
        {"purgedThrough": "2030-01-01T00:00:00"},
    ],
)
def test_a_progress_out_of_bounds_is_none(crafted: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CleanupProgress.model_validate(crafted)


KNOWN = SeenHub("a", 5, NOW - DAY)


@pytest.mark.parametrize(
    ("known", "hub", "runs", "since"),
    [
        (KNOWN, "a", 5, NOW - DAY),
        (KNOWN, "a", 6, NOW - DAY),
        (KNOWN, "a", 4, NOW),  # an old copy that was put back
        (KNOWN, "b", 9, NOW),  # made anew
        (KNOWN, None, 9, NOW),
        (SeenHub("", 5, NOW - DAY), None, 5, NOW - DAY),
        (None, "a", 5, NOW),
    ],
)
def test_a_task_hub_is_known_by_its_cleanup(
    known: SeenHub | None, hub: str | None, runs: int, since: datetime
) -> None:
    seen = seen_hub(known, CleanupProgress(hub=hub, runs=runs), NOW)
    assert seen == SeenHub(hub or "", runs, since)
