"""The way through a call, without I/O: requests and pauses go out, answers come in.

A client runs the steps. It sends each `Send` and hands in the `Answer`, or `Failed` if none came.
It waits for each `Pause` and hands in None.

1. `perform` sends a call, and repeats what may be repeated: a request that never reached the
   server; any repeatable one that got no answer; an answer that says "later" (429, 503; 409 of a
   start whose first request is still under way); an error that a proxy or the platform gave. It
   waits as the server asks (Retry-After), else longer each time. `patience` bounds it.
2. `start_many` sends many starts at once, and those again whose answer says "later".
3. `next_look` waits until there is news of a monitor. The server says in `nextPollAt` when it looks
   at the job; a look before has nothing new to see.
"""

import logging
import secrets
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import count, islice
from typing import Any, TypeVar, cast

from job_monitor.core import calls
from job_monitor.core.answer import Answer
from job_monitor.core.calls import Call
from job_monitor.core.errors import ApiError, NoAnswer
from job_monitor.core.models import Monitor, Started

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
_BATCH_PAUSE = 10.0  # what the server asks for with a 503, which a batch has in its midst
_OF_THE_FRAME = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
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


def batches(starts: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Starts in lists of as many as one request takes."""
    rest = iter(starts)
    while some := list(islice(rest, calls.BATCH)):
        yield some


def start_many(
    starts: Sequence[Mapping[str, Any]], patience: float
) -> Steps[list[Started | ApiError]]:
    """Start watches, `calls.BATCH` at the most; a result for each, in order.

    Starts whose answer says "later" are sent again with their keys, as single ones are. A server
    that refuses the batch as a whole gets its starts one by one: an older one knows no batches, and
    a start that can't be read must not stop the others.

    Raises:
        ApiError: The server lets nobody in, or is not ready, for longer than `patience`.
        NoAnswer: None came.
    """
    waiting = dict(enumerate(map(calls.keyed, starts)))
    results: dict[int, Started | ApiError] = {}
    spent = 0.0
    while waiting:
        numbers = list(waiting)
        try:
            seconds, came = yield from perform(calls.start_batch(waiting.values()), patience)
        except ApiError as error:
            if error.status not in _OF_THE_FRAME:
                raise
            seconds, came = 0.0, []
            for each in waiting.values():
                came.append((yield from _alone(each, patience)))
        results |= zip(numbers, came, strict=True)
        spent += seconds + _BATCH_PAUSE
        if not seconds or spent > patience:
            break
        waiting = {number: waiting[number] for number in numbers if _is_later(results[number])}
        if waiting:
            yield Pause(_BATCH_PAUSE)
    return [results[number] for number in sorted(results)]


def _alone(start: calls.Keyed, patience: float) -> Steps[Started | ApiError]:
    try:
        return (yield from perform(calls.start(*start), patience))
    except ApiError as error:
        return error


def _is_later(came: Started | ApiError) -> bool:
    return isinstance(came, ApiError) and came.status in _LATER


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
