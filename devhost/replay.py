"""What one turn of an orchestrator asks for: its action list, replayed against its history.

The SDK answers each turn with the whole list of actions since the generation began, and the
list holds no ids. The host derives them, as the .NET shim does for out-of-process workers:

1. Go through the history in order. At ExecutionStarted invoke the first action; after every
   event go on as far as the awaited actions are complete.
2. Actions are invoked and awaited strictly one after the other. WhenAll and WhenAny invoke
   their children depth first, then wait for all of them or for one.
3. An activity, timer or sub-orchestration takes the next integer id as it is invoked. If the
   history holds that id, kind and name must be the same; if not, it is new work.
4. A retry is attempt, timer, attempt, ... with one timer more after the last failure, due at
   once. A cancelled timer counts as complete. An event goes to the newest waiter, or waits
   in a queue. After continue-as-new, events are carried over to the next generation.
5. While suspended, all that arrives and all that is asked for is held until the resume.
6. The end is decided only when every action was awaited and no task or timer is open.

Everything here is pure: history and answer in, `Turn` out.
"""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from devhost.events import NAMES, SCHEDULING, Event, EventType, event, moment, stamp

Action = dict[str, Any]

_CALL_ACTIVITY, _ACTIVITY_RETRY, _CALL_SUB, _SUB_RETRY = 0, 1, 2, 3
_CONTINUE_AS_NEW, _TIMER, _WAIT, _WHEN_ANY, _WHEN_ALL = 4, 5, 6, 11, 12
_UNTRACED = {"ParentTraceContext": None, "Tags": None}
_NOT_SERVED = {7: "call_entity", 8: "call_http", 9: "signal_entity", 10: "signal_entity"}


class OrchestrationFault(Exception):
    """The turn can't be carried out; the instance fails with this text."""


@dataclass(frozen=True)
class Completed:
    """The orchestrator returned; `output` is its JSON value."""

    output: Any


@dataclass(frozen=True)
class Failed:
    """The orchestrator raised; `error` is the text of the exception, `kind` of another failure."""

    error: str
    kind: str = ""


@dataclass(frozen=True)
class ContinuedAsNew:
    """A new generation begins; `input_` is a JSON text, as the SDK encodes it."""

    input_: str | None


@dataclass
class Turn:
    """What a turn asks for.

    Attributes:
        scheduled: New events of `SCHEDULING` kinds, in order.
        inputs: The input of each new activity, by task id, as the SDK encodes it.
        cancelled: Ids of timers that need not fire any more.
        ending: How the generation ended; `None` while it waits.
        carried: EventRaised events for the next generation.
    """

    scheduled: list[Event] = field(default_factory=list)
    inputs: dict[int, str | None] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    ending: Completed | Failed | ContinuedAsNew | None = None
    carried: list[Event] = field(default_factory=list)


def replay(history: list[Event], answer: dict[str, Any]) -> Turn:
    """Derive what the SDK's `answer` to `history` asks for.

    Raises:
        OrchestrationFault: The actions do not fit the history, or one is not served here.
    """
    return _Replay(history, answer).run()


@dataclass(eq=False)
class _Node:
    """An invoked action: a leaf, or a group that is done when enough children are."""

    children: tuple["_Node", ...] = ()
    needed: int = 1
    finished: bool = False

    @property
    def done(self) -> bool:
        return self.finished or (
            bool(self.children) and sum(child.done for child in self.children) >= self.needed
        )


class _Replay:
    def __init__(self, history: list[Event], answer: dict[str, Any]) -> None:
        self.history = history
        self.answer = answer
        self.now = ""
        self.began = next(
            e["Timestamp"]
            for e in reversed(history)
            if e["EventType"] == EventType.ORCHESTRATOR_STARTED
        )
        self.actions: Iterator[Action] = iter(answer["actions"][0])
        self.awaited: _Node | None = None
        self.exhausted = False
        self.continuing: ContinuedAsNew | None = None
        self.next_id = 0
        self.recorded = {e["EventId"]: e for e in history if e["EventType"] in SCHEDULING}
        self.open: dict[int, Callable[[bool], None]] = {}
        self.waiters: dict[str, list[_Node]] = defaultdict(list)
        self.buffered: dict[str, deque[Event]] = defaultdict(deque)
        self.held: list[Event] | None = None
        self.turn = Turn()

    def run(self) -> Turn:
        self.execution_id = ""
        for entry in self.history:
            self._apply(entry)
        missing = [entry for id_, entry in self.recorded.items() if id_ >= self.next_id]
        if missing:
            raise _mismatch(missing[0], "the code no longer asks for it")
        if self.held is not None:
            return Turn()
        if self.exhausted and not self.open:
            self.turn.ending = self._ending()
        return self.turn

    def _ending(self) -> Completed | Failed | ContinuedAsNew | None:
        if "error" in self.answer:
            return Failed(self.answer["error"])
        if self.continuing:
            return self.continuing
        return Completed(self.answer.get("output")) if self.answer["isDone"] else None

    # -- events ---------------------------------------------------------------------------

    def _apply(self, entry: Event) -> None:
        match entry["EventType"]:
            case EventType.ORCHESTRATOR_STARTED:
                self.now = entry["Timestamp"]
                return
            case EventType.EXECUTION_SUSPENDED:
                self.held = []
                return
            case EventType.EXECUTION_RESUMED:
                held, self.held = self.held or [], None
                for event_held in held:
                    self._apply(event_held)
                return
            case _ if self.held is not None:
                self.held.append(entry)
                return
            case EventType.EXECUTION_STARTED:
                self.execution_id = entry["OrchestrationInstance"]["ExecutionId"]
            case EventType.TASK_COMPLETED | EventType.SUB_ORCHESTRATION_COMPLETED:
                self._complete(entry["TaskScheduledId"], ok=True)
            case EventType.TASK_FAILED | EventType.SUB_ORCHESTRATION_FAILED:
                self._complete(entry["TaskScheduledId"], ok=False)
            case EventType.TIMER_FIRED:
                self._complete(entry["TimerId"], ok=True)
            case EventType.EVENT_RAISED:
                self._raise(entry)
            case _:
                return
        self._advance()

    def _complete(self, id_: int, *, ok: bool) -> None:
        on_result = self.open.pop(id_, None)
        if on_result:
            on_result(ok)

    def _raise(self, entry: Event) -> None:
        name = entry["Name"].lower()
        if self.continuing:
            self.turn.carried.append(entry)
        elif self.waiters[name]:
            self.waiters[name].pop().finished = True
        else:
            self.buffered[name].append(entry)

    # -- actions --------------------------------------------------------------------------

    def _advance(self) -> None:
        while not self.exhausted and (self.awaited is None or self.awaited.done):
            action = next(self.actions, None)
            if action is None:
                self.exhausted = True
            else:
                self.awaited = self._invoke(action)

    def _invoke(self, action: Action) -> _Node:
        kind = action["actionType"]
        if kind in (_WHEN_ANY, _WHEN_ALL):
            children = tuple(self._invoke(child) for child in action["compoundActions"])
            needed = 1 if kind == _WHEN_ANY else len(children)
            return _Node(children, needed, finished=not children)
        node = _Node()
        if kind in (_CALL_ACTIVITY, _CALL_SUB):
            self._call(action, lambda _ok: _finish(node))
        elif kind in (_ACTIVITY_RETRY, _SUB_RETRY):
            self._attempt(action, node, 1)
        elif kind == _TIMER:
            self._timer(action["fireAt"], node, cancelled=action["isCanceled"])
        elif kind == _WAIT:
            self._wait(action["externalEventName"].lower(), node)
        elif kind == _CONTINUE_AS_NEW:
            self.continuing = ContinuedAsNew(action["input"])
            node.finished = True
        else:
            api = _NOT_SERVED.get(kind, f"action type {kind}")
            raise OrchestrationFault(f"devhost does not serve {api}; see devhost/README.md")
        return node

    def _call(self, action: Action, on_result: Callable[[bool], None]) -> None:
        """Invoke an activity or a sub-orchestration."""
        name, input_ = action["functionName"], action["input"]
        if action["actionType"] in (_CALL_ACTIVITY, _ACTIVITY_RETRY):
            id_ = self._schedule(
                EventType.TASK_SCHEDULED, name, Version="", Input=None, **_UNTRACED
            )
            if id_ not in self.recorded:
                self.turn.inputs[id_] = input_
        else:
            child = action.get("instanceId") or self._child_id()
            id_ = self._schedule(
                EventType.SUB_ORCHESTRATION_CREATED,
                name,
                Version=action.get("version") or "",
                InstanceId=child,
                Input=input_,
                **_UNTRACED,
            )
        self.open[id_] = on_result

    def _child_id(self) -> str:
        """The id of the generation, as a GUID is written, and the number of the task."""
        grouped = re.sub(
            r"^(\w{8})(\w{4})(\w{4})(\w{4})(\w{12})$", r"\1-\2-\3-\4-\5", self.execution_id
        )
        return f"{grouped}:{self.next_id}"

    def _attempt(self, action: Action, node: _Node, number: int) -> None:
        """Invoke an attempt; on failure a timer, then the next attempt or the end."""
        options = action["retryOptions"]
        last = number >= options["maxNumberOfAttempts"]
        milliseconds = 0 if last else options["firstRetryIntervalInMilliseconds"]

        def on_result(ok: bool) -> None:
            if ok:
                _finish(node)
                return
            due = moment(self.now) + timedelta(milliseconds=milliseconds)
            id_ = self._schedule(EventType.TIMER_CREATED, None, FireAt=stamp(due))
            self.open[id_] = lambda _ok: (
                _finish(node) if last else self._attempt(action, node, number + 1)
            )

        self._call(action, on_result)

    def _timer(self, fire_at: str, node: _Node, *, cancelled: bool) -> None:
        if not re.match(r"\d{4}-", fire_at):
            raise OrchestrationFault(f"Could not convert string to DateTime: {fire_at}.")
        id_ = self._schedule(EventType.TIMER_CREATED, None, FireAt=stamp(moment(fire_at)))
        if cancelled:
            node.finished = True
            self.turn.cancelled.add(id_)
        else:
            self.open[id_] = lambda _ok: _finish(node)

    def _wait(self, name: str, node: _Node) -> None:
        if self.buffered[name]:
            self.buffered[name].popleft()
            node.finished = True
        else:
            self.waiters[name].append(node)

    def _schedule(self, kind: EventType, name: str | None, **fields: Any) -> int:
        """Give the next id to a piece of work; check it against the history or add it."""
        id_, self.next_id = self.next_id, self.next_id + 1
        recorded = self.recorded.get(id_)
        named = {} if name is None else {"Name": name}
        if recorded is None:
            # Not `self.now`: a cancelled timer lets the code go on earlier than it did.
            self.turn.scheduled.append(event(kind, self.began, id_, **named, **fields))
        elif recorded["EventType"] != kind or (
            name is not None and recorded["Name"].lower() != name.lower()
        ):
            raise _mismatch(recorded, f"the code asks for {NAMES[kind]} {name or ''}".rstrip())
        return id_


def _finish(node: _Node) -> None:
    node.finished = True


def _mismatch(recorded: Event, why: str) -> OrchestrationFault:
    what = f"{NAMES[EventType(recorded['EventType'])]} {recorded.get('Name') or ''}".rstrip()
    return OrchestrationFault(
        f"Non-deterministic workflow detected: the history has {what} as task "
        f"{recorded['EventId']}, but {why}. Was the orchestrator changed while it ran?"
    )
