"""Whole events out of the folded ones that the management API shows.

The API leaves out task ids and the bounds of turns, and shows work that was done where it was
done. The times tell the rest:

1. Work has its id in the order in which it was asked for.
2. A timer, and work that is not done, stands where it was asked for. Work that is done was asked
   for after all that arrived before its time, yet between the work before and after it.
3. A turn is what arrived since the turn before, up to the next work; its time is that of this
   work, else that of its last arrival. Turns that asked for nothing become one with the next.

Of two pieces of work with the same time, the one that is shown first gets the lower id: which is
right by chance only. The clock of the Functions host does not give a time twice, nor keep two
turns so close together that 2 mistakes one for the other; that of devhost may.
"""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

from devhost.events import (
    ASKED_BY,
    KINDS,
    SCHEDULING,
    Event,
    EventType,
    event,
    execution_started,
    moment,
    stamp,
)

_EARLY = timedelta(seconds=1)


@dataclass
class _Work:
    """Something that was asked for.

    Attributes:
        asked: The event.
        after: How many arrivals came before it; at most that many until `_place` was there.
        done: The event that it was done with, if `after` has to be found.
    """

    asked: Event
    after: int
    done: Event | None = None


def unfold(payload: dict[str, Any]) -> list[Event]:
    """The events of a status payload, with ids and turns.

    Raises:
        LookupError: Something is missing: the payload was taken without history, results
            (`showHistoryOutput`) or input (`showInput`).
    """
    arrivals: list[Event] = []
    works: list[_Work] = []
    for shown in payload["historyEvents"]:
        kind = KINDS[shown["EventType"]]
        if kind in SCHEDULING:
            works.append(_Work(_whole(kind, shown), len(arrivals)))
            continue
        arrived = _arrival(kind, shown, payload)
        if kind in ASKED_BY:
            at, name = shown["ScheduledTime"], shown["FunctionName"]
            asked = event(ASKED_BY[kind], at, Name=name)
            works.append(_Work(asked, len(arrivals), done=arrived))
        arrivals.append(arrived)
    works.sort(key=lambda work: _ticks(work.asked["Timestamp"]))
    _place(works, arrivals)
    _number(works, arrivals)
    return list(_turns(works, arrivals))


def _whole(kind: EventType, shown: Event) -> Event:
    fields = {k: v for k, v in shown.items() if k not in ("EventType", "Timestamp")}
    return event(kind, shown["Timestamp"], **fields)


def _arrival(kind: EventType, shown: Event, payload: dict[str, Any]) -> Event:
    if kind == EventType.EXECUTION_STARTED:
        return execution_started(
            shown["Timestamp"],
            name=shown["FunctionName"],
            version="",
            instance_id=payload["instanceId"],
            execution_id="",
            input_text=shown["Input"],
        )
    whole = _whole(kind, shown)
    if kind in (EventType.TASK_COMPLETED, EventType.SUB_ORCHESTRATION_COMPLETED):
        whole["Result"] = json.dumps(shown["Result"])
    return whole


def _place(works: list[_Work], arrivals: list[Event]) -> None:
    """Find behind which arrivals the work that is done was asked for."""
    most = len(arrivals)
    for work in reversed(works):
        work.after = most = min(most, work.after)
    least = 1  # ExecutionStarted
    for work in works:
        if work.done:
            most, work.after, at = work.after, least, _ticks(work.asked["Timestamp"])
            while work.after < most and _arrived_at(arrivals[work.after]) < at:
                work.after += 1
        least = work.after


def _number(works: list[_Work], arrivals: list[Event]) -> None:
    """Give the work its ids, and the arrivals the ids of what they belong to."""
    timers: dict[str, deque[int]] = {}
    for id_, work in enumerate(works):
        work.asked["EventId"] = id_
        if work.done:
            work.done["TaskScheduledId"] = id_
        elif work.asked["EventType"] == EventType.TIMER_CREATED:
            timers.setdefault(work.asked["FireAt"], deque()).append(id_)
    for arrived in arrivals:
        if arrived["EventType"] == EventType.TIMER_FIRED:
            arrived["TimerId"] = timers[arrived["FireAt"]].popleft()


def _turns(works: list[_Work], arrivals: list[Event]) -> Iterator[Event]:
    begin, now = 0, ""
    groups = [(after, list(group)) for after, group in groupby(works, lambda work: work.after)]
    for after, group in [*groups, (len(arrivals), [])]:
        arrived, asked = arrivals[begin:after], [work.asked for work in group]
        if arrived or asked:
            times = [_ticks(asked[0]["Timestamp"])] if asked else map(_arrived_at, arrived)
            now = max(now, *times)
            yield event(EventType.ORCHESTRATOR_STARTED, now)
            yield from [*arrived, *asked]
            yield event(EventType.ORCHESTRATOR_COMPLETED, now)
        begin = after


def _arrived_at(arrived: Event) -> str:
    # A timer's event bears the time at which the timer was made; it fires up to a second early.
    at = _ticks(arrived["Timestamp"])
    if "FireAt" not in arrived:
        return at
    return max(at, stamp(moment(_ticks(arrived["FireAt"])) - _EARLY))


def _ticks(text: str) -> str:
    """The time in the form of `stamp`; .NET leaves out zeros, and writes `Z` as `+00:00` too."""
    seconds, _, fraction = text.removesuffix("Z").removesuffix("+00:00").partition(".")
    return f"{seconds}.{fraction:0<7}Z"
