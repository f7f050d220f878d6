"""When trouble of the app itself is told, and when that it is over."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.monitors.cleanup import CleanupProgress
from domain.notices.trouble import LASTS, SILENT_AFTER, Part, Trouble, noted, of_cleanup

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def states(*looks: tuple[Part, str | None, float]) -> list[tuple[str | None, str | None]]:
    """What is told at looks: a part, its trouble, and the minutes since the first of them."""
    known: dict[Part, Trouble] = {}
    told = []
    for part, detail, minutes in looks:
        known, notice = noted(known, part, detail, NOW + timedelta(minutes=minutes))
        if notice:
            told.append((notice.state, notice.detail))
    return told


W, C = Part.WATCHDOG, Part.CLEANUP
OVER = ("over", "The cleanup and the watchdog work again")


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([(W, "away", 0)], []),
        ([(W, "away", 0), (W, None, 5), (W, "away", 10)], []),
        ([(W, "away", 0), (W, "away", 3.9)], []),
        ([(W, "away", 0), (W, "still", 4)], [("failing", "still")]),
        ([(W, "away", 0), (W, "away", 5), (W, "away", 10)], [("failing", "away")]),
        ([(W, "away", 0), (W, "away", 5), (W, None, 10)], [("failing", "away"), OVER]),
        ([(W, "a", 0), (W, "a", 5), (W, None, 9), (W, None, 14)], [("failing", "a"), OVER]),
        ([(C, "away", 0), (C, "away", 74)], []),
        ([(C, "away", 0), (C, "away", 75)], [("failing", "away")]),
        ([(C, "c", 0), (W, "w", 70), (C, "c", 75), (W, None, 76)], [("failing", "c")]),
        (
            [(C, "c", 0), (W, "w", 71), (W, "w", 75), (C, "c", 75), (C, None, 76), (W, None, 77)],
            [("failing", "w"), ("failing", "c"), OVER],
        ),
    ],
)
def test_trouble_is_told_once_if_it_lasts_and_once_when_all_is_over(
    looks: list[tuple[Part, str | None, float]], told: list[tuple[str, str]]
) -> None:
    assert states(*looks) == told


@pytest.mark.parametrize(
    ("progress", "trouble"),
    [
        (CleanupProgress(), None),
        (CleanupProgress(last_run_at=NOW), None),
        (CleanupProgress(last_run_at=NOW - SILENT_AFTER), None),
        (
            CleanupProgress(last_run_at=NOW - SILENT_AFTER - timedelta(seconds=1)),
            "No cleanup has ended since 2029-12-31 20:59 UTC",
        ),
        (CleanupProgress(last_run_at=NOW, last_error="away \n {"), "The cleanup fails: away"),
    ],
)
def test_the_trouble_of_a_cleanup(progress: CleanupProgress, trouble: str | None) -> None:
    assert of_cleanup(progress, NOW) == trouble


def test_each_part_has_a_time() -> None:
    assert LASTS.keys() == set(Part)
