"""The watches that a monitor's log tells of, and whether each ended as it had to."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from domain.monitors.decide import LOST_AFTER_POLLS, SEEN_LOST_AFTER_POLLS, SEEN_LOST_FACTOR
from domain.monitors.log import LogLine
from domain.monitors.monitor import State
from tools.chaos.job_system import NOT_FOUND, WORDS, Asked
from tools.chaos.plan import LOST_AFTER, STOPS, SWEEP_INTERVAL, TERMINATES, Do, Job

_SLACK = 0.1  # seconds between the clock of the job system and that of the app
_RESENT = 0.5  # seconds in which a request is sent again
_POLL = 8.0  # seconds that a poll may take


@dataclass
class Watched:
    """One watch: a start, the runs that it went through, its ends.

    Attributes:
        job: The job.
        began: When it began.
        expires: When it expires, after all changes, in seconds since the epoch.
        runs: Its runs. A restart adds one.
        ends: The lines that tell of an end; one, if all is well.
        polls: The polls of its job while it lasted.
        job_ends: When the job ends by itself, in seconds since the epoch.
    """

    job: Job
    began: datetime
    expires: float
    runs: list[int]
    ends: list[LogLine] = field(default_factory=list)
    polls: list[Asked] = field(default_factory=list)
    job_ends: float | None = None


def watches(job: Job, log: Sequence[LogLine]) -> list[Watched]:
    """The watches of a log, oldest first."""
    found: list[Watched] = []
    for line in log:
        if line.event == "started":
            found.append(Watched(job, line.at, line.at.timestamp() + job.timeout, [line.run]))
        if not found:
            continue
        watched = found[-1]
        match line.event:
            case "resumed" if line.run not in watched.runs:
                watched.runs.append(line.run)
            case "changed":
                new = json.loads(line.to or "{}").get("expireTime")
                if new:
                    watched.expires = datetime.fromisoformat(new).timestamp()
            case "ended":
                watched.ends.append(line)
    return found


def faults_of(watched: Watched, *, is_last: bool) -> list[tuple[str, str]]:
    """The faults of a watch, each with its kind: lost, doubled or wrong."""
    ends = watched.ends
    if not ends:
        return [("lost", f"no end of run {watched.runs[-1]}")]
    if len(ends) > 1:
        told = ", ".join(f"{end.to} in run {end.run}" for end in ends)
        return [("doubled", f"{len(ends)} ends of one watch: {told}")]
    end = ends[0]
    if end.run != watched.runs[-1]:
        return [("wrong", f"run {end.run} ended, after run {watched.runs[-1]} began")]
    why = _why_wrong(watched, end, is_last=is_last)
    return [("wrong", f"run {end.run} {end.to} ({end.reason}): {why}")] if why else []


def _why_wrong(watched: Watched, end: LogLine, *, is_last: bool) -> str | None:
    """Why a watch must not end so, None if it may: by the plan, the log and the polls."""
    job, state = watched.job, State(end.to or "")
    words = [poll.answer for poll in watched.polls if poll.at <= end.at.timestamp() + _SLACK]
    if state.job_ended:
        return None if WORDS[state] in words else "the job system never said so"
    over = next((word for word in words if word in WORDS.values()), None)
    if over and not job.submitted:  # with another job of that id, the word may be of the one before
        return f"the job system said {over}"
    match state:
        case State.EXPIRED:
            if end.at.timestamp() < watched.expires:
                return f"{watched.expires - end.at.timestamp():.2f} s too early"
            late = watched.job_ends is None or watched.job_ends > watched.expires
            return None if late else "the job ended before that"
        case State.LOST if job.submitted and "used the job's id again" in (end.reason or ""):
            return "no other watch took its place" if is_last else None
        case State.LOST if job.end is State.LOST:
            return None if _is_lost(watched, end) else "too early"
        case State.STOPPED if job.has(*STOPS):
            return None
        case State.TERMINATED if job.has(*TERMINATES):
            return None
    return "nothing asked for that"


def _is_lost(watched: Watched, end: LogLine) -> bool:
    """Whether "not found" came often enough, and for long enough."""
    until = end.at.timestamp() + _SLACK
    polls = [poll for poll in watched.polls if poll.at <= until]
    seen = [poll for poll in polls if poll.answer == "processing"]
    since = seen[-1].at if seen else 0
    missed = [poll.at for poll in polls if poll.answer == NOT_FOUND and poll.at > since]
    least = SEEN_LOST_AFTER_POLLS if seen else LOST_AFTER_POLLS
    seconds = LOST_AFTER * (SEEN_LOST_FACTOR if seen else 1)
    return len(missed) >= least and missed[-1] - missed[0] >= seconds - _SLACK


def too_close(interval: int, expires: float, polls: Sequence[Asked]) -> list[str]:
    """The polls that only a second watch over the job explains.

    A watch plans its next poll two seconds or its interval after the last was answered, and a timer
    fires up to a second early. The last look may come at any time.
    """
    least = max(interval, 2) - 1 - _SLACK
    return [
        f"polls {after.at - before.at:.2f} s apart"
        for before, after in pairwise(polls)
        if after.at - before.at < least and after.at < expires - _SLACK
    ]


def sent_once(polls: Sequence[Asked]) -> list[Asked]:
    """The polls without those that the app sent again, as a kept connection had broken."""
    resent = {
        after
        for before, after in pairwise(polls)
        if before.answer == "reset" and after.at - before.at < _RESENT
    }
    return [poll for poll in polls if poll not in resent]


def intervals(job: Job) -> list[int]:
    """The intervals at which a job may be polled."""
    changes = [act.settings for act in job.acts if act.do is Do.CHANGE]
    woken = [SWEEP_INTERVAL] if job.swept else []  # a sweep may hint at any time
    return [
        *woken,
        job.interval,
        *(each.get("pollIntervalSeconds", job.interval) for each in changes),
    ]


def polls_of(watched: Watched, polls: Sequence[Asked]) -> list[Asked]:
    """The polls that a watch may have seen."""
    begin = watched.began.timestamp() - _SLACK
    end = watched.ends[-1].at.timestamp() + _POLL if watched.ends else float("inf")
    return [poll for poll in polls if begin <= poll.at <= end]
