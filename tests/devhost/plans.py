"""Random orchestrations: plans as JSON values, and the one orchestrator that follows them.

A task is `{"task": kind, ...}`: `activity` and `child` with a `name` (one that begins with
`sure` succeeds in the end, one with `may` may fail) and perhaps `attempts`; `timer` with
`seconds`; `event` with a `name`; `any` and `all` with tasks in `of`.

A step is `{"do": what, ...}`:

- `await` a `task`;
- `rejoin`: race a new `task` against what earlier races left behind;
- `drain`: wait for what they left behind, one after the other;
- `cancel` the timers that they left behind.

A plan has `steps`, `then` (`return`, `raise` or `again`: continue as new with the plan `next`)
and `strict`: whether SDK and host must be in step at every turn. By the SDK's design they are
not, when

- a WhenAll fails: the SDK goes on at the first failure, the host awaits the other children;
- a WhenAny holds an empty group: the SDK leaves it out of its list, and goes on at once;
- an event came before its wait: the SDK lets it serve every later wait of that name;
- a task that was scheduled already is raced or awaited again: the SDK leaves it out of its
  list, so the host does not know of the wait;
- a timer is cancelled: from the next turn on the host takes the wait for it as over from the
  start.

The ids are the same even so, as long as none is taken out of turn at such a place; and only a
retry takes ids out of turn, when an attempt failed or its timer fired. Else the real host finds
the instance non-deterministic, and so does devhost. So plans that are not strict keep retries
away from there: in an `all` with a retry nothing may fail, beside a retry there is no empty
group, what is left of a retry is not awaited again, and a timer is not cancelled if an id was
taken out of turn since it was made. The driver does the rest (`fuzz.Drive`).
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from azure.durable_functions import DurableOrchestrationContext, RetryOptions
from azure.durable_functions.models.Task import RetryAbleTask, TaskBase, TaskState, TimerTask

Plan = dict[str, Any]
Spec = dict[str, Any]
Steps = Generator[TaskBase, Any, Any]

EVENTS = ("Go", "Stop", "Look")
RAISED = "as planned"
FAILS = "fails on purpose"
PAUSE = 5
"""Seconds between two attempts."""

_DAY = 86_400
_DEPTH = 3
_STEPS = ["await"] * 5 + ["rejoin", "drain"] + ["cancel"] * 3


# -- making plans -----------------------------------------------------------------------------


def random_plan(random: Random, generations: int = 3) -> Plan:
    """A plan that continues as new at most `generations` - 1 times."""
    strict = random.random() < 0.5
    maker = _Maker(random, strict=strict)
    steps = [maker.step() for _ in range(random.randint(1, 6))]
    if not strict and random.random() < 0.2:
        # One early event ends both for the SDK, and it is done too soon.
        steps += [{"do": "await", "task": {"task": "event", "name": random.choice(EVENTS)}}] * 2
    then = random.choice(["return", "raise", *["again"] * 2 * (generations > 1)])
    return {
        "strict": strict,
        "steps": steps,
        "then": then,
        "next": random_plan(random, generations - 1) if then == "again" else None,
    }


class _Maker:
    def __init__(self, random: Random, *, strict: bool) -> None:
        self._random = random
        self._strict = strict
        self._names = 0
        self._retries = True

    def step(self) -> dict[str, Any]:
        do = "await" if self._strict else self._random.choice(_STEPS)
        if do == "rejoin":
            return {"do": do, "task": self._leaf(retries=False)}
        if do == "await":
            self._retries = self._strict or self._random.random() < 0.7
            return {"do": do, "task": self._task(retries=self._retries)}
        return {"do": do}

    def _task(self, depth: int = 0, *, sure: bool = False, retries: bool) -> Spec:
        if depth == _DEPTH or self._random.random() < 0.4:
            return self._leaf(sure=sure, retries=retries)
        kind = self._random.choice(["any", "any", "all"])
        if kind == "all":
            # In a group nothing in it may fail: the SDK gives up on a WhenAll that failed and
            # then gets its last result. Else either nothing may fail, or nothing is retried.
            sure = sure or self._strict or depth > 0 or self._random.random() < 0.5
            retries = retries and sure
        children = [self._task(depth + 1, sure=sure, retries=retries) for _ in self._few(depth)]
        return {"task": kind, "of": children}

    def _leaf(self, *, sure: bool = False, retries: bool = True) -> Spec:
        kind = self._random.choice(["activity", "activity", "child", "timer", "event"])
        if kind == "timer":
            return {"task": kind, "seconds": self._seconds()}
        if kind == "event":
            return {"task": kind, "name": self._random.choice(EVENTS)}
        self._names += 1
        spec: Spec = {"task": kind, "name": f"{'sure' if sure else 'may'}{self._names}"}
        if retries and self._random.random() < 0.4:
            spec["attempts"] = self._random.randint(1, 4)
        return spec

    def _seconds(self) -> int:
        if not self._strict and self._random.random() < 0.2:
            return self._random.randint(6 * _DAY + 1, 20 * _DAY)  # the SDK makes several of it
        return self._random.choice([0, 1, 60, 3600, 6 * _DAY])

    def _few(self, depth: int) -> range:
        least = 1 if depth and self._retries else 0
        return range(max(least, self._random.choice([0, 1, 2, 2, 2, 3, 3, 4])))


# -- following them ---------------------------------------------------------------------------


class WrongResult(Exception):
    """A task got what is not its result."""


def follow(context: DurableOrchestrationContext) -> Steps:
    """The orchestrator; its input is a plan."""
    plan: Any = context.get_input()
    follower = _Follower(context)
    for step in plan["steps"]:
        yield from follower.take(step)
    if plan["then"] == "raise":
        raise ValueError(RAISED)
    if plan["then"] == "again":
        context.continue_as_new(plan["next"])
    return "done"


@dataclass
class _Leaf:
    spec: Spec
    task: Any
    out_of_turn: int = 0


class _Follower:
    def __init__(self, context: DurableOrchestrationContext) -> None:
        self._context = context
        self._leaves: list[_Leaf] = []
        self._new: list[_Leaf] = []
        self._in_turn = 0

    def take(self, step: dict[str, Any]) -> Steps:
        match step["do"]:
            case "await":
                yield from self._await(self._task(step["task"]))
            case "rejoin":
                new = self._task(step["task"])
                yield from self._await(self._context.task_any([new, *self._left()]))
            case "drain":
                while left := self._left():
                    yield from self._await(self._context.task_any(left))
            case "cancel":
                self._cancel()

    def _await(self, task: TaskBase) -> Steps:
        out_of_turn = self._context._sequence_number - self._in_turn
        for leaf in self._new:
            leaf.out_of_turn = out_of_turn
            self._in_turn += leaf.spec["task"] != "event"
        self._leaves += self._new
        self._new = []
        try:
            yield task
        except Exception as error:
            if FAILS not in str(error):
                raise
        for leaf in self._leaves:
            _check_result(leaf)

    def _task(self, spec: Spec) -> TaskBase:
        kind = spec["task"]
        if kind in ("any", "all"):
            children = [self._task(child) for child in spec["of"]]
            group = self._context.task_any if kind == "any" else self._context.task_all
            return group(children)
        task = self._leaf(spec)
        self._new.append(_Leaf(spec, task))
        return task

    def _leaf(self, spec: Spec) -> TaskBase:
        context = self._context
        if spec["task"] == "timer":
            return context.create_timer(
                context.current_utc_datetime + timedelta(seconds=spec["seconds"])
            )
        name = spec["name"]
        if spec["task"] == "event":
            return context.wait_for_external_event(name)
        is_activity, attempts = spec["task"] == "activity", spec.get("attempts")
        if attempts is None:
            call = context.call_activity if is_activity else context.call_sub_orchestrator
            return call(name, name)
        options = RetryOptions(PAUSE * 1000, attempts)
        retry = context.call_activity_with_retry if is_activity else _retry_child(context)
        return retry(name, options, name)

    def _left(self) -> list[TaskBase]:
        """What was scheduled and did not end, without retries and cancelled timers."""
        return [
            leaf.task
            for leaf in self._leaves
            if not leaf.task.is_completed
            and not isinstance(leaf.task, RetryAbleTask)
            and not (isinstance(leaf.task, TimerTask) and leaf.task.is_cancelled)
        ]

    def _cancel(self) -> None:
        out_of_turn = self._context._sequence_number - self._in_turn
        for leaf in self._leaves:
            is_open = isinstance(leaf.task, TimerTask) and not leaf.task.is_completed
            if is_open and leaf.out_of_turn == out_of_turn:
                leaf.task.cancel()


def _retry_child(context: DurableOrchestrationContext) -> Any:
    return context.call_sub_orchestrator_with_retry


def _check_result(leaf: _Leaf) -> None:
    task, spec = leaf.task, leaf.spec
    if task.state is TaskState.RUNNING or spec["task"] == "timer":
        return
    name, result = spec["name"], task.result
    if task.state is TaskState.FAILED:
        right = str(result).startswith(f"{name} {FAILS}")
    else:
        right = result == name
    if not right:
        raise WrongResult(f"{spec} got {result!r}")
