"""The judge of what was told, on messages that never were sent."""

from dataclasses import replace

import pytest

from tools.chaos.told import Arrival, Ended, judge

FIRST = Ended("a/1/1/20300101T000000Z", "a", 1, "Failed")
LATER = Ended("a/2/2/20300101T010000Z", "a", 2, "Succeeded")
ENDS = [FIRST[1:], LATER[1:]]


def came(at: float, end: Ended, answer: str = "204", *, answered: bool = True) -> Arrival:
    return Arrival(at, "all", answer, [end], answered_at=at + 0.1 if answered else None)


WELL = [came(0, FIRST), came(5, LATER)]


def faults(arrivals: list[Arrival], *, host: float = 99, receiver: float = 99) -> list[str]:
    report = judge(ENDS, {"all": None}, arrivals, {"host": [host], "receiver": [receiver]})
    return [*report.untold, *report.wrong, *report.unexplained]


@pytest.mark.parametrize(
    "arrivals",
    [
        WELL,
        [came(0, FIRST, "503", answered=False), came(1, FIRST), came(5, LATER)],
        [
            came(0, FIRST, "reset", answered=False),
            *[replace(each, at=each.at + 3) for each in WELL],
        ],
    ],
)
def test_all_is_well_if_each_end_was_taken_once(arrivals: list[Arrival]) -> None:
    assert faults(arrivals) == []


@pytest.mark.parametrize(
    ("arrivals", "what"),
    [
        ([came(0, FIRST)], "'a', 2, 'Succeeded'"),
        ([came(0, FIRST, "503", answered=False), came(5, LATER)], "'a', 1, 'Failed'"),
        ([came(0, FIRST, "hang", answered=False), came(5, LATER)], "'a', 1, 'Failed'"),
        ([*WELL, came(4, FIRST._replace(state="Lost"))], "was told ('a', 1, 'Lost')"),
        ([*WELL, Arrival(9, "all", "204", [], unlisted=3, answered_at=9)], "leaves 3 out"),
        ([came(0, LATER), came(5, FIRST)], "out of order"),
        ([*WELL, came(9, LATER)], "4.0 s after 204"),
    ],
)
def test_a_fault_is_found(arrivals: list[Arrival], what: str) -> None:
    [fault] = faults(arrivals)
    assert what in fault


@pytest.mark.parametrize(
    ("host", "receiver", "explained"),
    [(6, 99, True), (4, 99, False), (20.5, 99, False), (99, 5.2, True), (99, 60, False)],
)
def test_what_comes_twice_is_explained_by_a_death_soon_after(
    host: float, receiver: float, explained: bool
) -> None:
    arrivals = [*WELL, came(40, LATER)]
    assert (faults(arrivals, host=host, receiver=receiver) == []) is explained


def test_a_channel_is_to_be_told_of_the_states_that_it_takes() -> None:
    arrivals = [*WELL, replace(WELL[0], channel="bad")]
    died: dict[str, list[float]] = {}
    report = judge(ENDS, {"all": None, "bad": ["Failed"]}, arrivals, died)
    assert (report.told, report.messages) == (3, 3)
    assert [*report.untold, *report.wrong, *report.unexplained] == []
    report = judge(ENDS, {"all": None, "bad": ["Succeeded"]}, arrivals, died)
    assert len(report.untold) == len(report.wrong) == 1
