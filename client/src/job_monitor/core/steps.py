"""The way through a call, without I/O: requests and pauses go out, answers come in.

A client runs the steps. It sends each `Send` and hands in the `Answer`, or `Failed` if none came.
It waits for each `Pause` and hands in None.

1. `perform` sends a call, and repeats what may be repeated: a request that never reached the
   server; any repeatable one that got no answer; an answer that says "later" (429, 503; 409 of a
   start whose first request is still under way); an error that a proxy or the platform gave. It
   waits as the server asks (Retry-After), else longer each time. `patience` bounds it.
2. `next_look` waits until there is news of a monitor. The server says in `nextPollAt` when it looks
   at the job; a look before has nothing new to see.
"""

import logging
import secrets
from collections.abc import Generator
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import count
from typing import Any, TypeVar, cast

from job_monitor.core import calls
from job_monitor.core.answer import Answer
from job_monitor.core.calls import Call
from job_monitor.core.errors import ApiError, NoAnswer
from job_monitor.core.models import Monitor

T = TypeVar("T")

log = logging.getLogger("job_monitor")

PATIENCE = 120.0
"""Seconds for which a call is repeated. A deployment takes the server away for 75 s."""

OUTAGE = 3600.0
"""Seconds for which a wait for the end of a watch bears a server that is away."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds
_SPREAD = 0.25
_AFTER_THE_POLL = 0.5
_LATER = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_OF_A_PROXY = {
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.GATEWAY_TIMEOUT,
}


@dataclass(frozen=True)
class Send:
    """Send this request."""

    call: Call[Any]


@dataclass(frozen=True)
class Pause:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Failed:
    """No answer came.

    Attributes:
        reason: Why, for people.
        reached: Whether the server may have got the request.
        seconds: How long that took.
    """

    reason: str
    reached: bool
    seconds: float = 0.0


Steps = Generator[Send | Pause, Answer | Failed | None, T]


def perform(call: Call[T], patience: float) -> Steps[T]:
    """Send a call until it has its result, or `patience` seconds are over.

    Raises:
        ApiError: The answer is an error.
        NoAnswer: None came.
    """
    spent = 0.0
    for attempt in count():
        came = yield Send(call)
        if came is None:
            raise TypeError("a Send takes an Answer or Failed")
        spent += came.seconds
        pause = _pause(call, came, attempt)
        if pause is None or spent + pause > patience:
            if isinstance(came, Failed):
                raise NoAnswer(came.reason)
            return call.read(came)
        why = came.reason if isinstance(came, Failed) else _said(call, came)
        log.warning("%s Trying again in %.0f s.", why, max(1.0, pause))
        yield Pause(pause)
        spent += pause
    raise AssertionError


def _pause(call: Call[Any], came: Answer | Failed, attempt: int) -> float | None:
    """The seconds until the call is sent again; None if it is not."""
    usual = min(_FIRST_PAUSE * 2.0 ** min(attempt, 10), _LONGEST_PAUSE)
    usual *= 1 + _SPREAD * secrets.randbelow(1000) / 1000  # many clients do not come at once
    if isinstance(came, Failed):
        return usual if call.repeatable or not came.reached else None
    if came.status == HTTPStatus.TOO_MANY_REQUESTS:  # nothing was done
        return usual if came.retry_after is None else came.retry_after
    if not call.repeatable:
        return None
    if came.status in _LATER:
        return usual if came.retry_after is None else came.retry_after
    if came.status == HTTPStatus.CONFLICT:  # says "later" only if it says when
        return came.retry_after
    return usual if came.status in _OF_A_PROXY and not came.is_problem else None


def _said(call: Call[Any], answer: Answer) -> str:
    try:
        call.read(answer)
    except ApiError as error:
        return str(error)
    return f"{answer.status}"


@dataclass(frozen=True)
class Look:
    """A monitor as it was seen just now, and when there can be news.

    Attributes:
        monitor: The monitor.
        due: Seconds until the server looks at the job, or until it asks to come again; None if
            it does not say, or if that time is over.
    """

    monitor: Monitor
    due: float | None


def look(monitor_id: str) -> Call[Look]:
    """Look at a monitor."""

    def read(answer: Answer) -> Look:
        monitor = wanted.read(answer).monitor
        due = answer.retry_after
        if due is None and monitor.next_poll_at and answer.date and monitor.stop is None:
            due = (monitor.next_poll_at - answer.date).total_seconds()
        return Look(monitor, due if due is not None and due > 0 else None)

    wanted = calls.get(monitor_id)
    return replace(cast("Call[Look]", wanted), read=read)


def next_look(monitor_id: str, before: Look | None) -> Steps[Look]:
    """Wait until there is news since the look before; without one, look at once.

    Raises:
        ApiError: The server refuses to show the monitor.
        NoAnswer: The server was away for `OUTAGE` seconds.
    """
    seen = before
    in_vain = 0
    while True:
        if seen is not None:
            # Nobody knows when, so that the looks become rare.
            usual = min(2.0**in_vain, _LONGEST_PAUSE)
            pause = usual if seen.due is None else seen.due + _AFTER_THE_POLL
            in_vain = in_vain + 1 if seen.due is None else 0
            yield Pause(max(1.0, min(pause, _LONGEST_PAUSE)))
        seen = yield from perform(look(monitor_id), OUTAGE)
        if before is None or seen.monitor.ended or _news(seen.monitor) != _news(before.monitor):
            return seen


def _news(monitor: Monitor) -> tuple[object, ...]:
    """All that is worth telling when it changes."""
    return (
        *(monitor.run, monitor.state, monitor.raw_status, monitor.progress, monitor.message),
        *(*monitor.flags, monitor.stop),
    )
