"""The judge of chaos finds what it looks for, and nothing in what is right."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from domain.monitors.log import LogLine
from domain.monitors.monitor import State
from tools.chaos.job_system import Asked
from tools.chaos.plan import Act, Do, Job
from tools.chaos.watches import faults_of, sent_once, too_close, watches

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
REUSED = "The source used the job's id again, for a new job."
Line = tuple[float, int, str, str]


def log_of(*lines: Line) -> list[LogLine]:
    """Lines of a log from (second, run, event, to); the reason of a `Lost` is a reused id."""
    return [
        LogLine(
            at=BEGIN + timedelta(seconds=at),
            run=run,
            poll=0,
            event=event,
            to=to,
            reason=REUSED if to == "Lost" else None,
        )
        for at, run, event, to in lines
    ]


def faults(job: Job, lines: list[Line], *polls: tuple[float, str]) -> list[str]:
    """The kinds of the faults of all watches."""
    seen = watches(job, log_of(*lines))
    for each in seen:
        each.polls = [Asked(BEGIN.timestamp() + at, answer) for at, answer in polls]
    found = [faults_of(each, is_last=each is seen[-1]) for each in seen]
    return [kind for those in found for kind, _ in those]


START: Line = (0, 1, "started", "Monitoring")
DONE = (5, "completed")
ENDS = Job("a", end=State.SUCCEEDED)


@pytest.mark.parametrize(
    ("lines", "kinds"),
    [
        ([START, (5, 1, "ended", "Succeeded")], []),
        ([START], ["lost"]),
        ([START, (5, 1, "ended", "Succeeded"), (6, 1, "ended", "Succeeded")], ["doubled"]),
        ([START, (5, 1, "ended", "Failed")], ["wrong"]),
        ([START, (5, 1, "ended", "Stopped")], ["wrong"]),
        ([START, (4, 2, "resumed", "Monitoring"), (5, 2, "ended", "Succeeded")], []),
        ([START, (4, 2, "resumed", "Monitoring"), (5, 1, "ended", "Succeeded")], ["wrong"]),
        ([START, (4, 1, "resumed", "Monitoring"), (5, 1, "ended", "Succeeded")], []),
    ],
)
def test_a_watch_ends_once_in_its_last_run(lines: list[Line], kinds: list[str]) -> None:
    assert faults(ENDS, lines, DONE) == kinds


@pytest.mark.parametrize(
    ("second", "extended", "kinds"),
    [(10, None, []), (9, None, ["wrong"]), (10, 50, ["wrong"]), (50, 50, [])],
)
def test_a_watch_expires_at_its_time(
    second: float, extended: float | None, kinds: list[str]
) -> None:
    """A change of the settings moves it."""
    lines: list[Line] = [START, (second, 1, "ended", "Expired")]
    if extended:
        time = (BEGIN + timedelta(seconds=extended)).isoformat()
        lines.insert(1, (1, 1, "changed", json.dumps({"expireTime": time})))
    assert faults(Job("a", timeout=10), lines, (5, "processing")) == kinds
    assert faults(Job("a", timeout=10), lines, DONE) == ["wrong"]


@pytest.mark.parametrize(
    ("end", "act", "right"),
    [
        ("Stopped", Do.STOP, True),
        ("Stopped", Do.STOP_AND_CANCEL, True),
        ("Terminated", Do.PURGE, True),
        ("Stopped", Do.RESTART, False),
        ("Terminated", Do.FORGE, False),
        ("Unreachable", Do.STOP, False),
    ],
)
def test_somebody_asked_for_the_end(end: str, act: Do, right: bool) -> None:
    job = Job("a", acts=(Act(0, act),))
    assert faults(job, [START, (5, 1, "ended", end)]) == ([] if right else ["wrong"])


def test_an_id_that_is_used_again_ends_the_watch_before() -> None:
    job = Job("a", submitted=True, end=State.SUCCEEDED)
    lines: list[Line] = [START, (3, 1, "ended", "Lost")]
    assert faults(job, lines, DONE) == ["wrong"]
    lines += [(3, 2, "started", "Monitoring"), (5, 2, "ended", "Succeeded")]
    assert faults(job, lines, DONE) == []


@pytest.mark.parametrize(
    ("polls", "right"),
    [
        ([0, 1, 2], True),
        ([0, 1], False),
        ([0, 0.5, 1], False),  # not for long enough
        ([-1, 1, 2, 3, 4, 5], False),  # seen before
        ([-1, 1, 3, 5, 6, 7], True),
    ],
)
def test_not_found_counts_after_polls_and_time(polls: list[float], right: bool) -> None:
    """A negative time is a poll that saw the job."""
    job = Job("a", end=State.LOST)
    log = log_of(START, (9, 1, "ended", "Lost"))
    seen = watches(job, log)[0]
    seen.polls = [
        Asked(BEGIN.timestamp() + abs(at), "404" if at >= 0 else "processing") for at in polls
    ]
    if polls[0] < 0:
        seen.polls[0] = Asked(BEGIN.timestamp(), "processing")
    assert (faults_of(seen, is_last=True) == []) is right


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([0, 2, 4, 6], 0),
        ([0.7, 2, 4.5, 6], 0),  # two polls came in late
        ([0, 1, 2], 0),  # the timer fired a second early
        ([0, 0.8, 2, 2.8, 4], 2),  # a second watch
        ([0, 2, 4, 7.1], 0),
        ([0, 2, 7, 7.1], 0),  # the last look, at the expiry
    ],
)
def test_a_second_watch_is_told_from_a_busy_machine(times: list[float], found: int) -> None:
    """I1."""
    polls = [Asked(BEGIN.timestamp() + time, "processing") for time in times]
    assert len(too_close(2, BEGIN.timestamp() + 7, polls)) == found


def test_a_poll_that_was_sent_again_counts_once() -> None:
    polls = [Asked(0, "processing"), Asked(2, "reset"), Asked(2.01, "500"), Asked(5, "completed")]
    assert sent_once(polls) == [polls[0], polls[1], polls[3]]
    assert sent_once(polls[:2] + polls[3:]) == [polls[0], polls[1], polls[3]]
