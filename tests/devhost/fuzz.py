"""Replay fuzz: the ids that `devhost.replay` derives against those of the SDK, at every turn.

1. Make a random plan (tests/devhost/plans.py).
2. Run its orchestrator in the SDK on the history so far, and look at the tasks that the SDK
   made: their ids, kinds, names, and which of them are open.
3. `replay` the SDK's answer, and compare.
4. Play the host: complete some of what is open, in any order; raise events, early ones too;
   suspend and resume; begin the next generation. Then from 2 on, until the plan has ended.

    python -m tests.devhost.fuzz --plans 5000 --seed 1
"""

import argparse
import functools
import json
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from unittest import mock

from azure.durable_functions import DurableOrchestrationContext
from azure.durable_functions.models.actions.NoOpAction import NoOpAction
from azure.durable_functions.models.history import HistoryEvent
from azure.durable_functions.models.Task import LongTimerTask, RetryAbleTask, TimerTask
from azure.durable_functions.models.TaskOrchestrationExecutor import TaskOrchestrationExecutor

from devhost.events import Event, EventType, event, execution_started, moment, stamp
from devhost.invocation import ask
from devhost.replay import Completed, ContinuedAsNew, Failed, Turn, _Replay
from tests.devhost.plans import EVENTS, FAILS, PAUSE, RAISED, Plan, follow, random_plan

_MOST_TURNS = 500
_HISTORY_EVENT = sys.modules[HistoryEvent.__module__]
_DUPLICATE = "Potential duplicate Task completion for TaskId: "

Work = tuple[EventType, str | None]
"""What an id stands for: the kind of the scheduling event and the function's name."""


class Divergence(AssertionError):
    """SDK and host disagree, or the plan does not come to its end."""


# -- the SDK's side ---------------------------------------------------------------------------


class _Ledger(defaultdict[int | str, Any]):
    """The SDK's open tasks; remembers every task that got an id."""

    def __init__(self) -> None:
        super().__init__(list)
        self.numbered: dict[int, Any] = {}

    def __setitem__(self, key: int | str, value: Any) -> None:
        if isinstance(key, int):
            self.numbered[key] = value
        super().__setitem__(key, value)


class _Executor(TaskOrchestrationExecutor):
    """Counts the events that it took in; the SDK stops at the end of the orchestrator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.taken = 0

    def process_event(self, event: HistoryEvent) -> None:
        self.taken += 1
        super().process_event(event)


@dataclass
class Sdk:
    """What the SDK made of a history.

    Attributes:
        answer: What it sends to the host.
        tasks: Every task that got an id.
        open: Ids of those that did not end.
        waits: How many waits are open for each event name.
        ended: Whether the orchestrator returned, raised or continued as new.
        rest: Events that came after that; the SDK does not look at them.
        warned: Ids and event names for which it found no open task.
    """

    answer: dict[str, Any]
    tasks: dict[int, Any]
    open: set[int]
    waits: dict[str, int]
    ended: bool
    rest: list[Event]
    warned: list[str]

    @property
    def work(self) -> dict[int, Work]:
        return {id_: _work(task) for id_, task in self.tasks.items()}

    def retry(self, id_: int) -> RetryAbleTask | None:
        """The retry that a task is an attempt or a timer of."""
        parent = self.tasks[id_].parent if id_ in self.tasks else None
        return parent if isinstance(parent, RetryAbleTask) else None


def _work(task: Any) -> Work:
    action = task.action_repr
    if isinstance(task, TimerTask):
        return EventType.TIMER_CREATED, None
    if isinstance(action, NoOpAction):
        if "timer" in (action.metadata or ""):
            return EventType.TIMER_CREATED, None
        action = task.parent.actions
    is_child = "SubOrchestrator" in type(action).__name__
    kind = EventType.SUB_ORCHESTRATION_CREATED if is_child else EventType.TASK_SCHEDULED
    return kind, action.function_name


def run_sdk(history: list[Event]) -> Sdk:
    """Have the SDK replay a history of the plan orchestrator."""
    ledger, executor = _Ledger(), _Executor()

    def orchestrator(body: str) -> str:
        context = DurableOrchestrationContext.from_json(body)
        context.open_tasks = ledger
        return str(executor.execute(context, context.histories, follow))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = ask(orchestrator, history)
    return Sdk(
        answer=answer,
        tasks=ledger.numbered,
        open={key for key in ledger if isinstance(key, int)},
        waits={
            key: len(waits) if isinstance(waits, list) else 1
            for key, waits in ledger.items()
            if isinstance(key, str)
        },
        ended=bool(executor.has_execution_completed),
        rest=history[executor.taken :],
        warned=[str(warning.message).removeprefix(_DUPLICATE) for warning in caught],
    )


# -- the comparison ---------------------------------------------------------------------------


class _Host(_Replay):
    """A replay whose inside is looked at."""

    @property
    def all_invoked(self) -> bool:
        """Whether the host has come to the end of the action list."""
        rest = list(self.actions)
        self.actions = iter(rest)
        return not rest

    @property
    def waits(self) -> Counter[str]:
        """How many waits are open for each event name in lower case."""
        return Counter({name: len(nodes) for name, nodes in self.waiters.items() if nodes})


def compare(sdk: Sdk, host: _Host, *, strict: bool) -> None:
    """Hold the SDK's tasks against the host's; see plans.py for what `strict` leaves out."""
    recorded = {**host.recorded, **{e["EventId"]: e for e in host.turn.scheduled}}
    derived = {
        id_: (EventType(entry["EventType"]), entry.get("Name")) for id_, entry in recorded.items()
    }
    made = sdk.work
    _same("ids without a gap", sorted(derived), list(range(host.next_id)))
    common = made.keys() & derived.keys()
    _same("what the ids stand for", {i: derived[i] for i in common}, {i: made[i] for i in common})
    if sdk.ended:
        # Only a retry goes on without the SDK.
        _same(
            "made by the SDK alone",
            made.keys() - derived.keys() if host.all_invoked else set(),
            set(),
        )
        return
    _same("made by the host alone", derived.keys() - made.keys(), set())
    cancelled = {
        id_
        for id_ in common
        if isinstance(sdk.tasks[id_], TimerTask) and sdk.tasks[id_].is_cancelled
    }
    _same("cancelled timers", host.turn.cancelled, cancelled)
    _same("open tasks", set(host.open), (sdk.open & common) - cancelled)
    if host.all_invoked:
        _same("made by the SDK alone", made.keys() - derived.keys(), set())
        _same("open waits", host.waits, _open_waits(sdk.answer["actions"][0], host))
    elif strict:
        raise Divergence("the host lags behind the SDK")
    if strict and host.exhausted:
        raise Divergence("the host has nothing to await, but the SDK has")


def _open_waits(actions: list[Any], host: _Host) -> Counter[str]:
    """As many as there are more waits than events, whatever their order."""
    events = [e["Name"].lower() for e in host.history if e["EventType"] == EventType.EVENT_RAISED]
    return Counter(_waits(actions)) - Counter(events)


def _waits(actions: list[Any]) -> Iterator[str]:
    for action in actions:
        if "externalEventName" in action:
            yield action["externalEventName"].lower()
        yield from _waits(action.get("compoundActions", []))


def _same(what: str, host: object, sdk: object) -> None:
    if host != sdk:
        raise Divergence(f"{what}: host {host}, SDK {sdk}")


# -- the driver -------------------------------------------------------------------------------


@dataclass
class Drive:
    """Plays the host for one plan, by the rules of `devhost.engine`."""

    random: Random
    plan: Plan
    counts: Counter[str]
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)
    strict: bool = False
    generation: int = 0
    history: list[Event] = field(default_factory=list)
    open: dict[int, Event] = field(default_factory=dict)
    cancelled: dict[int, Event] = field(default_factory=dict)
    free: bool = True
    """Whether ids may be taken out of turn now; plans.py says why not always."""

    def run(self) -> None:
        """Drive the plan to its end."""
        arrivals = self._begin(json.dumps(self.plan), [])
        for _ in range(_MOST_TURNS):
            turn = self._turn(arrivals)
            if isinstance(turn.ending, ContinuedAsNew):
                self.plan = self.plan["next"]
                arrivals = self._begin(json.dumps(turn.ending.input_), turn.carried)
                continue
            if turn.ending:
                _same("the end", turn.ending, _expected_end(self.plan))
                return
            if self.random.random() < 0.05:
                self._suspend_and_resume()
            arrivals = self._arrivals()
        raise Divergence(f"no end after {_MOST_TURNS} turns")

    def _begin(self, input_text: str, carried: list[Event]) -> list[Event]:
        self.generation += 1
        self.counts["generations"] += 1
        self.strict = self.plan["strict"] and not carried
        self.history, self.open, self.cancelled = [], {}, {}
        started = execution_started(
            stamp(self.now),
            name="Follow",
            version="",
            instance_id="plan",
            execution_id=f"generation{self.generation}",
            input_text=input_text,
        )
        return [started, *carried]

    def _turn(self, arrivals: list[Event]) -> Turn:
        """One episode: ask the SDK, replay, compare, write the history."""
        self.history += [event(EventType.ORCHESTRATOR_STARTED, stamp(self.now)), *arrivals]
        self.sdk = run_sdk(self.history)
        self.host = _Host(self.history, self.sdk.answer)
        turn = self.host.run()
        self._count(turn)
        self._check_warnings()
        compare(self.sdk, self.host, strict=self.strict)
        for scheduled in turn.scheduled:
            self._check_scheduled(scheduled, turn)
            self.open[scheduled["EventId"]] = scheduled
        for id_ in turn.cancelled & self.open.keys():
            self.cancelled[id_] = self.open.pop(id_)
        self._check_ending(turn)
        self.history += [
            *turn.scheduled,
            event(EventType.ORCHESTRATOR_COMPLETED, stamp(self.now)),
        ]
        self.free = self.host.all_invoked and self.host.exhausted == self.sdk.ended
        return turn

    def _count(self, turn: Turn) -> None:
        self.counts["turns"] += 1
        self.counts["strict turns"] += self.strict
        self.counts["ids compared"] += self.host.next_id
        self.counts["ids"] += len(turn.scheduled)
        self.counts["retries' ids"] += sum(
            self.sdk.retry(entry["EventId"]) is not None for entry in turn.scheduled
        )
        self.counts["turns with cancelled timers"] += bool(turn.cancelled)
        self.counts["carried events"] += len(turn.carried) * bool(turn.ending)
        self.counts["turns with the host behind"] += not self.host.all_invoked
        self.counts["turns with the host ahead"] += self.host.exhausted and not self.sdk.ended

    # -- checks ---------------------------------------------------------------------------

    def _check_warnings(self) -> None:
        """A result always finds its task; an event may come before its wait."""
        early = {warned for warned in self.sdk.warned if warned.lower() in _LOWER}
        self.counts["turns with early events"] += bool(early)
        _same("results without a task", set(self.sdk.warned) - early, set())
        if self.strict:
            _same("early events", early, set())

    def _check_scheduled(self, scheduled: Event, turn: Turn) -> None:
        id_, name = scheduled["EventId"], scheduled.get("Name")
        match scheduled["EventType"]:
            case EventType.TASK_SCHEDULED:
                _same(f"input of {id_}", turn.inputs[id_], json.dumps(name))
            case EventType.TIMER_CREATED if retry := self.sdk.retry(id_):
                last = retry.num_attempts >= retry.retry_options.max_number_of_attempts
                due = self.now + timedelta(seconds=0 if last else PAUSE)
                _same(f"due time of the retry timer {id_}", scheduled["FireAt"], stamp(due))
            case EventType.SUB_ORCHESTRATION_CREATED:
                _same(f"input of {id_}", scheduled["Input"], json.dumps(name))
                child = f"generation{self.generation}:{id_}"
                _same("id of the child", scheduled["InstanceId"], child)

    def _check_ending(self, turn: Turn) -> None:
        """It ends when the orchestrator has, all was awaited, and nothing is open; not before."""
        over = self.sdk.ended and self.host.exhausted and not self.open
        _same("whether it ends", turn.ending is not None, over)
        if self.strict and isinstance(turn.ending, ContinuedAsNew):
            rest = [e for e in self.sdk.rest if e["EventType"] == EventType.EVENT_RAISED]
            _same("carried events", turn.carried, rest)

    # -- moves ----------------------------------------------------------------------------

    def _arrivals(self) -> list[Event]:
        """What the next turn brings; moves the clock."""
        self.now += timedelta(seconds=self.random.choice([0.001, 1, 100]))
        picked = self._sample(self.open, self.random.randint(0, 3))
        arrivals = self._completions(picked) + self._events() + self._late_timers()
        if not arrivals:
            arrivals = self._completions(self._sample(self.open, len(self.open)), most=1)
        if not arrivals:
            names = [*self.sdk.waits, *(n for n in EVENTS if n.lower() in self.host.waits)]
            if not names:
                raise Divergence("nothing is left to do, but the plan has not ended")
            arrivals = [_raised(self.random.choice(names), self.now)]
        return arrivals

    def _sample(self, ids: dict[int, Event], count: int) -> list[int]:
        return self.random.sample(sorted(ids), min(count, len(ids)))

    def _completions(self, ids: list[int], most: int = 3) -> list[Event]:
        arrivals: list[Event] = []
        # After anything but an id taken out of turn, host and SDK may be out of step.
        free = self.free
        for id_ in ids:
            if arrivals and self._is_piece(id_):
                continue
            takes_id, arrival = self._completion(id_, free=free)
            if arrival and len(arrivals) < most:
                arrivals.append(arrival)
                del self.open[id_]
                free = free and (takes_id or self.sdk.ended)
        return arrivals

    def _completion(self, id_: int, *, free: bool) -> tuple[bool, Event | None]:
        """A result of a piece of work, and whether it makes a retry take an id."""
        scheduled, retry = self.open[id_], self.sdk.retry(id_)
        more = bool(retry and retry.num_attempts < retry.retry_options.max_number_of_attempts)
        if scheduled["EventType"] == EventType.TIMER_CREATED:
            held = (more and not free) or (self._is_piece(id_) and self._retry_waits())
            return more, None if held else self._fired(scheduled)
        name = scheduled["Name"]
        fails = (
            (more or name.startswith("may"))
            and (free or retry is None)
            and self.random.random() < (0.7 if retry else 0.4)
        )
        return fails and retry is not None, self._result(scheduled, fails=fails)

    def _is_piece(self, id_: int) -> bool:
        """Whether it is a piece of a long timer: as it fires the SDK lists the next one."""
        task = self.sdk.tasks.get(id_)
        return task is not None and isinstance(task.parent, LongTimerTask)

    def _retry_waits(self) -> bool:
        """Whether the host awaits a retry that could not go on with more to do in the list."""
        awaits = self.host.all_invoked and not self.host.exhausted and not self.sdk.ended
        return awaits and any(
            self.sdk.retry(id_) and scheduled["EventType"] == EventType.TIMER_CREATED
            for id_, scheduled in self.open.items()
        )

    def _fired(self, scheduled: Event) -> Event:
        due = scheduled["FireAt"]
        self.now = max(self.now, moment(due))
        return event(EventType.TIMER_FIRED, due, TimerId=scheduled["EventId"], FireAt=due)

    def _result(self, scheduled: Event, *, fails: bool) -> Event:
        is_task = scheduled["EventType"] == EventType.TASK_SCHEDULED
        task_id, name = scheduled["EventId"], scheduled["Name"]
        if fails:
            kind = EventType.TASK_FAILED if is_task else EventType.SUB_ORCHESTRATION_FAILED
            reason = f"{name} {FAILS}"
            return event(
                kind, stamp(self.now), TaskScheduledId=task_id, Reason=reason, Details=None
            )
        kind = EventType.TASK_COMPLETED if is_task else EventType.SUB_ORCHESTRATION_COMPLETED
        return event(kind, stamp(self.now), TaskScheduledId=task_id, Result=json.dumps(name))

    def _late_timers(self) -> list[Event]:
        """Cancelled timers that fire all the same."""
        late = [id_ for id_ in sorted(self.cancelled) if self.random.random() < 0.1]
        return [self._fired(self.cancelled.pop(id_)) for id_ in late]

    def _events(self) -> list[Event]:
        """Events that are waited for, and if the plan is not strict, others."""
        names = [
            name
            for name, count in self.sdk.waits.items()
            for _ in range(count)
            if self.random.random() < 0.25
        ]
        if not self.strict and self.random.random() < 0.3:
            name = self.random.choice(EVENTS)
            names.append(name.upper() if self.random.random() < 0.2 else name)
        self.random.shuffle(names)
        return [_raised(name, self.now) for name in names]

    def _suspend_and_resume(self) -> None:
        """Two control episodes; the orchestrator is not asked."""
        for kind in (EventType.EXECUTION_SUSPENDED, EventType.EXECUTION_RESUMED):
            now = stamp(self.now)
            self.history += [
                event(EventType.ORCHESTRATOR_STARTED, now),
                event(kind, now, Reason=None),
                event(EventType.ORCHESTRATOR_COMPLETED, now),
            ]
            self.now += timedelta(seconds=1)


_LOWER = {name.lower() for name in EVENTS}


def _raised(name: str, now: datetime) -> Event:
    return event(EventType.EVENT_RAISED, stamp(now), Name=name, Input=json.dumps(name))


def _expected_end(plan: Plan) -> Completed | Failed:
    return Failed(RAISED) if plan["then"] == "raise" else Completed("done")


# -- runs -------------------------------------------------------------------------------------


def run_plan(seed: int, counts: Counter[str]) -> None:
    """Make the plan of a seed and drive it to its end.

    Raises:
        Divergence: SDK and host do not agree; the text says how to see it again.
    """
    random = Random(seed)  # noqa: S311 - nothing secret
    drive = Drive(random, random_plan(random), counts)
    try:
        drive.run()
    except Exception as error:
        raise Divergence(
            f"{type(error).__name__}: {error}\n"
            f"in generation {drive.generation}, whose plan is {json.dumps(drive.plan)}\n"
            f"Again: python -m tests.devhost.fuzz --plans 1 --seed {seed}"
        ) from error
    counts["plans"] += 1


def run(plans: int, seed: int) -> Counter[str]:
    """Drive that many plans, with the seeds from `seed` on; what was counted."""
    counts: Counter[str] = Counter()
    # The SDK parses every timestamp again in every turn: that is most of its time.
    parse = functools.lru_cache(4096)(_HISTORY_EVENT.dt_parse)
    with mock.patch.object(_HISTORY_EVENT, "dt_parse", parse):
        for number in range(plans):
            run_plan(seed + number, counts)
    return counts


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.devhost.fuzz")
    parser.add_argument("--plans", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the first plan (1)")
    arguments = parser.parse_args()
    begin = time.monotonic()
    try:
        counts = run(arguments.plans, arguments.seed)
    except Divergence as divergence:
        print(divergence, file=sys.stderr)  # noqa: T201
        return 1
    lines = [f"{count:>9,} {what}" for what, count in sorted(counts.items())]
    print("\n".join([*lines, f"{time.monotonic() - begin:>9.1f} seconds"]))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
