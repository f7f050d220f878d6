"""Recorded histories: an instance's history in a file, replayed on the orchestrators of today.

A file is what a status query with `showHistory` answers, with its `historyEvents` in one of two
forms:

- whole: the events as an orchestrator gets them, with task ids and the bounds of turns. The state
  file of devhost and the tables of a hub give them so.
- folded: as the management API of any host shows them. `unfold` makes whole ones of them, by
  their times. That is right as long as the times tell the turns apart; where they may not, a
  mismatch is to be looked at again in a history from the hub's tables.

`check` goes through a history turn by turn. It gives the orchestrator what it got then, and
compares what it asks for now (kinds, ids and names, and whether and how it ends) with what the
history says that it asked for then. Inputs and due times may differ: they break no replay.

A generation that continued as new is recorded with the status `ContinuedAsNew` and, last, the
turn in which it did so, which has no OrchestratorCompleted.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from devhost.events import NAMES, SCHEDULING, Event, EventType
from devhost.invocation import ask
from devhost.replay import Completed, ContinuedAsNew, Failed, OrchestrationFault, replay
from devhost.unfold import unfold
from devhost.worker import Code

NEEDED = {"showHistory": "true", "showHistoryOutput": "true", "showInput": "true"}
"""The query of a status that can be recorded."""

_CONTINUED = "ContinuedAsNew"
_ENDS = {Completed: "Completed", Failed: "Failed", ContinuedAsNew: _CONTINUED}
_NOT_ARRIVED = SCHEDULING | {EventType.ORCHESTRATOR_COMPLETED, EventType.EXECUTION_COMPLETED}


class NotAHistory(Exception):
    """What was given is not a history that can be replayed; says why."""


class Mismatch(Exception):
    """Today's orchestrator does not fit the history; says where."""


@dataclass(frozen=True)
class History:
    """A recorded history.

    Attributes:
        name: The orchestrator's name.
        status: The instance's runtime status.
        events: Whole events, in order.
        folded: Whether the turns were derived from the times.
    """

    name: str
    status: str
    events: list[Event]
    folded: bool = False


def parse(text: str) -> History:
    """Read a file's text, in either form.

    Raises:
        NotAHistory: It is something else, or lacks what a replay needs.
    """
    try:
        payload = json.loads(text)
        shown = payload["historyEvents"]
        folded = not isinstance(shown[0]["EventType"], int)
        events = unfold(payload) if folded else shown
        history = History(payload["name"], payload["runtimeStatus"], events, folded)
    except (ValueError, TypeError) as error:
        raise NotAHistory(f"it is not a status as JSON: {error}") from error
    except LookupError as error:
        raise NotAHistory(f"it lacks {error}; query with {', '.join(NEEDED)}") from error
    begin = [e["EventType"] for e in events[:2]]
    if any(e["EventType"] == EventType.GENERIC_EVENT for e in events):
        raise NotAHistory("it was rewound, and its history no longer tells what was asked for")
    if begin != [EventType.ORCHESTRATOR_STARTED, EventType.EXECUTION_STARTED]:
        raise NotAHistory("its history does not begin with ExecutionStarted")
    return history


def check(history: History, orchestrators: Code) -> int:
    """Replay every turn of a history.

    Returns:
        The number of turns.

    Raises:
        Mismatch: What the orchestrator asks for now is not what it asked for then.
    """
    orchestrator = orchestrators.get(history.name.lower())
    if orchestrator is None:
        raise Mismatch(f"there is no orchestrator {history.name}")
    begins = [
        position
        for position, entry in enumerate(history.events)
        if entry["EventType"] == EventType.ORCHESTRATOR_STARTED
    ]
    bounds = pairwise([*begins, len(history.events)])
    for number, (begin, end) in enumerate(bounds, start=1):
        before, episode = history.events[:begin], history.events[begin:end]
        try:
            _check_turn(before, episode, history.status, orchestrator)
        except (Mismatch, OrchestrationFault) as error:
            raise Mismatch(f"turn {number} of {len(begins)}: {error}") from error
    return len(begins)


def _check_turn(
    before: list[Event], episode: list[Event], status: str, orchestrator: Callable[[str], str]
) -> None:
    given = [*before, *(e for e in episode if e["EventType"] not in _NOT_ARRIVED)]
    with warnings.catch_warnings():
        # The SDK's word for an event that comes before its wait, which is no fault.
        warnings.filterwarnings("ignore", "Potential duplicate Task completion")
        turn = replay(given, ask(orchestrator, given))
    closed = any(e["EventType"] == EventType.ORCHESTRATOR_COMPLETED for e in episode)
    if not closed and status != _CONTINUED:
        return  # it was under way: what came of it is not recorded
    then = [_describe(e) for e in episode if e["EventType"] in SCHEDULING]
    now = [_describe(e) for e in turn.scheduled]
    why = f": {turn.ending.error}" if isinstance(turn.ending, Failed) else ""
    if [text.lower() for text in now] != [text.lower() for text in then]:
        raise Mismatch(f"it asked for {_list(then)}, and now asks for {_list(now)}{why}")
    ended = next((e["OrchestrationStatus"] for e in episode if "OrchestrationStatus" in e), None)
    end_then = ended if closed else _CONTINUED
    end_now = _ENDS[type(turn.ending)] if turn.ending else None
    if end_then not in (end_now, "Terminated"):
        raise Mismatch(
            f"it was {end_then or 'Running'} then, and is {end_now or 'Running'} now{why}"
        )


def _describe(asked: Event) -> str:
    parts = NAMES[EventType(asked["EventType"])], asked.get("Name"), f"({asked['EventId']})"
    return " ".join(filter(None, parts))


def _list(texts: list[str]) -> str:
    return ", ".join(texts) or "nothing"
