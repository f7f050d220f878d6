"""The engine: generations that do not mix, control messages, children, kills, floods, crashes.

Orchestrators are real ones of the SDK. Most tests turn the engine by hand (by_hand.py); those of
threads and crashes let it run.
"""

import json
import threading
import time
import weakref
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import azure.durable_functions as df
import pytest

from devhost.clock import SystemClock
from devhost.engine import AlreadyExists, Engine
from devhost.events import EventType, event
from devhost.store import Instance, Store
from devhost.worker import FunctionFailed
from tests.devhost.by_hand import FakeWorker, HandEngine

Context = df.DurableOrchestrationContext
Steps = Generator[Any, Any, Any]

EARLY = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")


def after(context: Context, seconds: float) -> Any:
    return context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))


def engine_of(*generators: Any, store: Store | None = None, **activities: Any) -> HandEngine:
    """An engine whose orchestrators are named as their functions; activities take and give JSON."""
    named = {generator.__name__: generator for generator in generators}
    code = {name: _activity(function) for name, function in activities.items()}
    return HandEngine(FakeWorker(named, code), store)


def _activity(function: Any) -> Any:
    return lambda text: json.dumps(function(json.loads(text)))


def start(engine: HandEngine, name: str, given: object = None, id_: str = "i") -> Instance:
    """Start an instance as the SDK's client does; the turns are the test's business."""
    return engine.create(name, id_, json.dumps(json.dumps(given)))


def output(engine: HandEngine, id_: str = "i") -> Any:
    """The output of an instance, which must have completed."""
    instance = engine.get(id_)
    assert instance.status == "Completed", f"{instance.status}: {instance.output}"
    return json.loads(instance.output or "null")


def square(context: Context) -> Steps:
    number: Any = context.get_input()
    result = yield context.call_activity("multiply", [number, number])
    return {"square": result}


def waits(context: Context) -> Steps:
    """Waits for `Go` and for a timer of ten seconds, then returns what it got."""
    got = yield context.wait_for_external_event("Go")
    yield after(context, 10)
    return got


# -- one generation ---------------------------------------------------------------------------


def test_an_orchestrator_calls_an_activity_and_completes() -> None:
    engine = engine_of(square, multiply=lambda pair: pair[0] * pair[1])
    start(engine, "square", 7)
    assert engine.get("i").status == "Pending"
    engine.turns()
    assert engine.get("i").status == "Running"
    engine.perform()
    assert output(engine) == {"square": 49}
    assert engine.kinds("i") == [
        "EXECUTION_STARTED",
        "TASK_SCHEDULED",
        "TASK_COMPLETED",
        "EXECUTION_COMPLETED",
    ]


def test_an_activity_that_raises_reaches_the_orchestrator_as_text() -> None:
    def careful(context: Context) -> Steps:
        try:
            yield context.call_activity("fail", None)
        except Exception as error:  # noqa: BLE001 - an activity's error reaches us as this alone
            return str(error)
        return None

    engine = engine_of(careful, fail=lambda _: 1 / 0)
    start(engine, "careful")
    engine.run()
    assert "Activity function 'fail' failed: ZeroDivisionError: division" in output(engine)


def test_an_orchestrator_that_raises_fails_with_its_text() -> None:
    engine = engine_of(square, multiply=lambda _: 1 / 0)
    start(engine, "square", 7)
    engine.run()
    failed = engine.get("i")
    assert failed.status == "Failed"
    assert failed.output is not None
    assert failed.output.startswith("Orchestrator function 'square' failed: Activity function")


@pytest.mark.parametrize("call", ["call_activity", "call_sub_orchestrator"])
@pytest.mark.difference("An activity or sub-orchestrator of an unknown name")
def test_work_that_nobody_can_do_fails_the_instance_at_once(call: str) -> None:
    def hopeful(context: Context) -> Steps:
        yield getattr(context, call)("nobody")

    engine = engine_of(hopeful)
    start(engine, "hopeful")
    engine.turns()
    assert engine.get("i").status == "Failed"
    assert "The function 'nobody' doesn't exist" in str(engine.get("i").output)


def test_an_orchestrator_that_nobody_knows_fails() -> None:
    engine = engine_of(square)
    start(engine, "nobody")
    engine.turns()
    assert engine.get("i").status == "Failed"
    assert "known orchestrator functions: 'square'" in str(engine.get("i").output)


@EARLY
def test_a_changed_orchestrator_fails_as_non_deterministic() -> None:
    def before(context: Context) -> Steps:
        yield context.call_activity("multiply", [1, 1])

    def changed(context: Context) -> Steps:
        yield after(context, 1)

    engine = engine_of(before, multiply=lambda _: 1)
    start(engine, "before")
    engine.turns()
    engine._functions = FakeWorker({"before": changed})
    engine.raise_event("i", "anything")
    engine.turns()
    assert engine.get("i").status == "Failed"
    assert "Non-deterministic workflow detected" in str(engine.get("i").output)


def test_an_instance_that_runs_can_not_be_created_again() -> None:
    engine = engine_of(waits)
    start(engine, "waits")
    for _ in ("Pending", "Running"):
        with pytest.raises(AlreadyExists, match=engine.get("i").status):
            start(engine, "waits")
        engine.turns()


@pytest.mark.parametrize(
    ("seconds", "after_seconds"),
    [(-5, 0), (0, 0), (0.03, 0.03), (0.2, 0.05), (1, 0.05), (1.99, 1), (2.5, 2), (60, 59)],
)
def test_a_timer_fires_up_to_a_second_early(seconds: float, after_seconds: float) -> None:
    """Its delay is cut to whole seconds, and some time is gone when it is sent.

    One that is cut to nothing takes as long as any message, so that a clock that stands still
    moves on under an orchestrator that makes the timer again.
    """

    def sleeps(context: Context) -> Steps:
        yield after(context, seconds)

    engine = engine_of(sleeps)
    start(engine, "sleeps")
    engine.turns()
    if after_seconds:
        engine.sleep(after_seconds - 0.01)
        assert engine.get("i").status == "Running"
        engine.sleep(0.01)
    assert engine.get("i").status == "Completed"


def test_timers_and_events_come_in_the_order_of_their_times() -> None:
    """Also when the host was too busy to deal with each as it came."""

    def orders(context: Context) -> Steps:
        order = []
        pending = {
            after(context, 30): "timer of 30",
            after(context, 10): "timer of 10",
            context.wait_for_external_event("Go"): "event at 20",
        }
        while pending:
            done = yield context.task_any(list(pending))
            order.append(pending.pop(done))
        return order

    engine = engine_of(orders)
    start(engine, "orders")
    engine.turns()
    engine.clock.time += timedelta(seconds=20)
    engine.raise_event("i", "Go")
    engine.clock.time += timedelta(seconds=20)
    engine.turns()
    assert output(engine) == ["timer of 10", "event at 20", "timer of 30"]


def test_a_clock_that_is_set_back_does_not_change_the_order_of_what_was_sent() -> None:
    engine = engine_of(waits)
    start(engine, "waits")
    engine.clock.time -= timedelta(hours=1)
    engine.raise_event("i", "Go")
    engine.send("i", EventType.EXECUTION_TERMINATED, Input="enough")
    engine.turns()
    assert engine.kinds("i")[:2] == ["EXECUTION_STARTED", "EVENT_RAISED"]
    assert engine.get("i").status == "Terminated"


# -- generations do not mix -------------------------------------------------------------------


@pytest.mark.difference("A retry interval over six days")
def test_a_long_retry_interval_is_waited_for() -> None:
    week = 7 * 86_400

    def retries(context: Context) -> Steps:
        options = df.RetryOptions(week * 1_000, 2)
        return (yield context.call_activity_with_retry("flaky", options, None))

    answers: list[Any] = [FunctionFailed("not yet"), "now"]

    def flaky(_: object) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, FunctionFailed):
            raise answer
        return answer

    engine = engine_of(retries, flaky=flaky)
    start(engine, "retries")
    engine.run()
    engine.sleep(week - 60)
    assert not engine.waiting
    engine.sleep(60)
    engine.run()
    assert output(engine) == "now"


@pytest.mark.difference("A cancelled timer")
def test_a_timer_of_an_earlier_generation_does_not_fire_into_the_next() -> None:
    def generations(context: Context) -> Steps:
        number: Any = context.get_input()
        timer = after(context, 10 if number == 1 else 1_000)
        yield context.task_any([timer, context.call_activity("quick", None)])
        if number == 1:
            timer.cancel()
            context.continue_as_new(2)
            return None
        yield timer
        return "slept"

    engine = engine_of(generations, quick=lambda _: None)
    start(engine, "generations", 1)
    engine.run()
    assert engine.get("i").input == '"2"'
    due = engine.store.next_due()
    assert due is not None
    assert due.startswith("2030-01-01T00:00:09"), "the cancelled timer is still in the inbox"
    engine.sleep(9)
    assert engine.get("i").status == "Running"
    assert "TIMER_FIRED" not in engine.kinds("i")
    engine.sleep(990)
    assert output(engine) == "slept"


@pytest.mark.parametrize("ends", ["terminated", "completed"])
def test_an_activity_of_an_earlier_run_does_not_answer_a_later_one(ends: str) -> None:
    def racing(context: Context) -> Steps:
        timer = after(context, 5)
        slow = context.call_activity("slow", context.get_input())
        winner = yield context.task_any([timer, slow])
        return slow.result if winner is slow else "too slow"

    engine = engine_of(racing, slow=lambda run: f"result of {run}")
    start(engine, "racing", "first")
    engine.turns()
    (late,) = engine.waiting
    engine.waiting.clear()
    if ends == "terminated":
        engine.send("i", EventType.EXECUTION_TERMINATED, Input="")
        engine.turns()
    else:
        # The other way round: the result is on its way when the run ends.
        engine._perform(late)
        engine.send("i", EventType.EXECUTION_TERMINATED, Input="")
        engine.turns()
    start(engine, "racing", "second")
    engine.turns()
    engine._perform(late)
    engine.turns()
    assert engine.get("i").status == "Running", "the late result has the same task id"
    engine.perform()
    engine.sleep(5)
    assert output(engine) == "result of second"


def test_nothing_is_kept_of_a_purged_instance_whose_activity_ends_later() -> None:
    engine = engine_of(square, multiply=lambda pair: pair[0] * pair[1])
    start(engine, "square", 7)
    engine.turns()
    terminate(engine)
    engine.store.delete("i")
    engine.perform()
    for table in ("instances", "history", "inbox", "tasks"):
        assert not engine.store._rows(f"SELECT * FROM {table}")  # noqa: S608 - one of these


@pytest.mark.parametrize(
    "stale",
    [
        event(EventType.TASK_COMPLETED, "", TaskScheduledId=0, Result='"stale"'),
        event(EventType.TASK_FAILED, "", TaskScheduledId=0, Reason="stale", Details=None),
        event(EventType.TIMER_FIRED, "", TimerId=0, FireAt=""),
        event(EventType.SUB_ORCHESTRATION_COMPLETED, "", TaskScheduledId=0, Result='"stale"'),
    ],
)
def test_whatever_carries_another_execution_id_is_dropped(stale: dict[str, Any]) -> None:
    engine = engine_of(square, multiply=lambda pair: pair[0] * pair[1])
    start(engine, "square", 7)
    engine.turns()
    engine.store.send("i", stale, execution_id="of another generation")
    engine.turns()
    assert engine.kinds("i") == ["EXECUTION_STARTED", "TASK_SCHEDULED"]
    assert not engine.store.messages("i", engine.now())
    engine.perform()
    assert output(engine) == {"square": 49}


@EARLY
def test_events_after_continue_as_new_go_to_the_next_generation_in_order() -> None:
    def collects(context: Context) -> Steps:
        got: Any = context.get_input() or []
        if len(got) < 3:
            got.append((yield context.wait_for_external_event("Go")))
            context.continue_as_new(got)
            return None
        return got

    engine = engine_of(collects)
    start(engine, "collects")
    engine.turns()
    for number in (1, 2, 3):
        engine.raise_event("i", "Go", str(number))
    engine.turns()
    assert output(engine) == [1, 2, 3]


def test_a_generation_waits_for_its_open_activity_before_the_next_begins() -> None:
    def leaves_behind(context: Context) -> Steps:
        if context.get_input() == 2:
            return "second"
        yield context.task_any([context.call_activity("slow", None), after(context, 1)])
        context.continue_as_new(2)
        return None

    engine = engine_of(leaves_behind, slow=lambda _: None)
    start(engine, "leaves_behind", 1)
    engine.turns()
    engine.sleep(1)
    assert engine.get("i").input == '"1"'
    engine.perform()
    assert output(engine) == "second"


def test_a_runaway_fails() -> None:
    calls = []

    def runaway(context: Context) -> Steps:
        calls.append(context)
        context.continue_as_new(None)
        yield context.task_all([])

    engine = engine_of(runaway)
    start(engine, "runaway")
    engine.turns()
    assert engine.get("i").status == "Failed"
    assert len(calls) == 1_000
    assert "continued as new 1000 times without awaiting" in str(engine.get("i").output)


# -- suspend, resume, terminate ---------------------------------------------------------------


def suspend(engine: HandEngine, reason: str | None = "hold", id_: str = "i") -> None:
    engine.send(id_, EventType.EXECUTION_SUSPENDED, Reason=reason)
    engine.turns()


def resume(engine: HandEngine, reason: str | None = "go on", id_: str = "i") -> None:
    engine.send(id_, EventType.EXECUTION_RESUMED, Reason=reason)
    engine.turns()


def terminate(engine: HandEngine, reason: str = "enough", id_: str = "i") -> None:
    engine.send(id_, EventType.EXECUTION_TERMINATED, Input=reason)
    engine.turns()


@pytest.mark.difference("A message to a suspended instance")
def test_a_suspended_instance_holds_results_events_and_timers_until_it_is_resumed() -> None:
    def holds(context: Context) -> Steps:
        order = []
        pending = {
            context.call_activity("quick", None): "activity",
            context.wait_for_external_event("Go"): "event",
            after(context, 10): "timer",
        }
        while pending:
            done = yield context.task_any(list(pending))
            order.append(pending.pop(done))
        return order

    engine = engine_of(holds, quick=lambda _: None)
    start(engine, "holds")
    engine.turns()
    suspend(engine)
    engine.raise_event("i", "Go")
    engine.perform()
    engine.sleep(60)
    assert (engine.get("i").status, engine.get("i").output) == ("Suspended", "hold")
    held = ["EVENT_RAISED", "TASK_COMPLETED", "TIMER_FIRED"]
    assert engine.kinds("i")[-4:] == ["EXECUTION_SUSPENDED", *held]
    resume(engine)
    assert output(engine) == ["event", "activity", "timer"]
    assert engine.kinds("i")[-5:] == [*held, "EXECUTION_RESUMED", "EXECUTION_COMPLETED"]


def test_suspend_and_resume_leave_their_reasons_as_output_and_their_events() -> None:
    engine = engine_of(waits)
    start(engine, "waits")
    engine.turns()
    suspend(engine, "hold")
    resume(engine, "go on")
    assert (engine.get("i").status, engine.get("i").output) == ("Running", "go on")
    assert engine.kinds("i") == ["EXECUTION_STARTED", "EXECUTION_SUSPENDED", "EXECUTION_RESUMED"]


def test_an_instance_suspended_before_its_first_turn_begins_first() -> None:
    engine = engine_of(waits)
    start(engine, "waits")
    suspend(engine)
    assert engine.get("i").status == "Suspended"
    assert engine.kinds("i") == ["EXECUTION_STARTED", "EXECUTION_SUSPENDED"]


@pytest.mark.parametrize("suspended", [False, True])
def test_a_terminated_instance_takes_nothing_more(suspended: bool) -> None:
    engine = engine_of(square, multiply=lambda pair: pair[0] * pair[1])
    start(engine, "square", 7)
    engine.turns()
    if suspended:
        suspend(engine)
        engine.raise_event("i", "held")
    terminate(engine, "enough")
    assert (engine.get("i").status, engine.get("i").output) == ("Terminated", "enough")
    history = engine.kinds("i")
    assert history[-2:] == ["EXECUTION_TERMINATED", "EXECUTION_COMPLETED"]
    engine.raise_event("i", "Go")
    engine.perform()
    assert engine.kinds("i") == history
    assert engine.get("i").status == "Terminated"


def test_what_comes_before_a_terminate_is_dealt_with_and_what_comes_after_is_not() -> None:
    engine = engine_of(waits)
    start(engine, "waits")
    engine.turns()
    engine.raise_event("i", "Go")
    engine.send("i", EventType.EXECUTION_TERMINATED, Input="enough")
    engine.raise_event("i", "Stop")
    engine.turns()
    assert engine.kinds("i") == [
        "EXECUTION_STARTED",
        "EVENT_RAISED",
        "TIMER_CREATED",
        "EXECUTION_TERMINATED",
        "EXECUTION_COMPLETED",
    ]


# -- children ---------------------------------------------------------------------------------


def parent(context: Context) -> Steps:
    try:
        return (yield context.call_sub_orchestrator("child", {"n": 3}, instance_id="c"))
    except Exception as error:  # noqa: BLE001 - a child's error reaches us as this alone
        return f"caught: {error}"


def test_a_child_gets_its_input_and_its_output_comes_back() -> None:
    def child(context: Context) -> Steps:
        given: Any = context.get_input()
        yield after(context, 5)
        return [given, context.parent_instance_id]

    engine = engine_of(parent, child)
    start(engine, "parent")
    engine.turns()
    assert engine.get("c").status == "Running"
    engine.sleep(5)
    assert output(engine) == [{"n": 3}, "i"]
    assert output(engine, "c") == output(engine)


def test_a_child_that_fails_raises_in_its_parent() -> None:
    def child(context: Context) -> Steps:
        yield after(context, 0)
        raise ValueError("broken")

    engine = engine_of(parent, child)
    start(engine, "parent")
    engine.turns()
    assert engine.get("c").status == "Failed"
    assert "Orchestrator function 'child' failed: broken" in output(engine)


def test_a_child_that_is_terminated_raises_in_its_parent() -> None:
    def child(context: Context) -> Steps:
        yield context.wait_for_external_event("never")

    engine = engine_of(parent, child)
    start(engine, "parent")
    engine.turns()
    terminate(engine, "enough", "c")
    assert "terminated: enough" in output(engine)


def test_a_child_answers_once_after_all_its_generations() -> None:
    def child(context: Context) -> Steps:
        given: Any = context.get_input()
        yield after(context, 1)
        if given["n"]:
            context.continue_as_new({"n": given["n"] - 1})
            return None
        return "at last"

    engine = engine_of(parent, child)
    start(engine, "parent")
    engine.turns()
    for _ in range(4):
        assert engine.get("i").status == "Running"
        engine.sleep(1)
    assert output(engine) == "at last"


def test_a_child_whose_id_is_taken_fails_at_once() -> None:
    engine = engine_of(parent, waits, child=None)
    engine._functions = FakeWorker({"parent": parent, "waits": waits, "child": waits})
    start(engine, "waits", id_="c")
    start(engine, "parent")
    engine.turns()
    assert "with the status Running already exists" in output(engine)
    assert engine.get("c").name == "waits", "the one that had the id goes on"


def test_a_parent_that_was_started_anew_does_not_get_the_old_childs_answer() -> None:
    def child(context: Context) -> Steps:
        return (yield context.wait_for_external_event("Go"))

    def caller(context: Context) -> Steps:
        return (yield context.call_sub_orchestrator("child"))

    engine = engine_of(caller, child)
    first = start(engine, "caller")
    engine.turns()
    terminate(engine)
    second = start(engine, "caller")
    engine.turns()
    engine.raise_event(f"{UUID(first.execution_id)}:0", "Go", '"old"')
    engine.turns()
    assert engine.get("i").status == "Running"
    engine.raise_event(f"{UUID(second.execution_id)}:0", "Go", '"new"')
    engine.turns()
    assert output(engine) == "new"


# -- kills ------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone."""


class FragileStore(Store):
    """Kills the process at one of its transactions: before the commit, or right after it."""

    def __init__(self, path: Path, kill_at: int, *, after_commit: bool) -> None:
        self._left: float = float("inf")
        super().__init__(path)
        self._left, self._after_commit = kill_at, after_commit

    @contextmanager
    def transaction(self) -> Iterator[None]:
        outermost = not self._db.in_transaction
        self._left -= outermost
        kill = outermost and self._left == 0
        with super().transaction():
            yield
            if kill and not self._after_commit:
                raise Killed
        if kill:
            raise Killed


def journey(context: Context) -> Steps:
    """Two generations with all kinds of work."""
    given: Any = context.get_input()
    retried = yield context.call_activity_with_retry("flaky", df.RetryOptions(2_000, 5), given)
    timer, hint = after(context, 1_000), context.wait_for_external_event("Hint")
    context.set_custom_status("waits for a hint")
    yield context.task_any([timer, hint])
    context.set_custom_status("goes on")
    timer.cancel()
    both = yield context.task_all(
        [context.call_activity("log", [given, "a"]), context.call_activity("log", [given, "b"])]
    )
    halved = yield context.call_sub_orchestrator("half", given, instance_id=f"half of {given}")
    if given == 4:
        yield after(context, 60)
        context.continue_as_new(halved)
        return None
    return [retried, both, halved, given]


def half(context: Context) -> Steps:
    given: Any = context.get_input()
    yield after(context, 30)
    return (yield context.call_activity("divide", given))


class Notes:
    """The effects of the activities; they outlive the process."""

    def __init__(self) -> None:
        self.logged: list[Any] = []
        self.tries = 0

    def flaky(self, given: int) -> str:
        self.tries += 1
        if self.tries % 3:
            raise OSError("try again")
        return f"tried for {given}"

    def log(self, line: Any) -> Any:
        self.logged.append(line)
        return line

    def divide(self, given: int) -> int:
        return given // 2

    def engine(self, store: Store) -> HandEngine:
        return engine_of(
            journey, half, store=store, flaky=self.flaky, log=self.log, divide=self.divide
        )


def travel(engine: HandEngine) -> None:
    """Bring the instance on until it has ended, from wherever it is."""
    engine.run()
    while not engine.get("i").ended:
        if engine.get("i").custom_status == '"waits for a hint"':
            engine.raise_event("i", "Hint")
        else:
            engine.sleep_until_due()
        engine.run()


def test_the_journey_without_a_kill(tmp_path: Path) -> None:
    notes = Notes()
    engine = notes.engine(Store(tmp_path / "hub.db"))
    start(engine, "journey", 4)
    travel(engine)
    assert output(engine) == ["tried for 2", [[2, "a"], [2, "b"]], 1, 2]
    assert notes.logged == [[4, "a"], [4, "b"], [2, "a"], [2, "b"]]
    engine.store.close()


@pytest.mark.parametrize("after_commit", [False, True])
def test_killed_at_any_transaction_it_goes_on_to_the_same_end(
    after_commit: bool, tmp_path: Path
) -> None:
    """Every activity runs at least once, and at most once more for each kill."""
    kill_at, killed, run_again = 0, True, 0
    while killed:
        kill_at += 1
        notes, path = Notes(), tmp_path / f"{kill_at}.db"
        store: Store = FragileStore(path, kill_at, after_commit=after_commit)
        engine = notes.engine(store)
        try:
            start(engine, "journey", 4)
            travel(engine)
            killed = False
        except Killed:
            store.close()
            store, now = Store(path), engine.clock.time
            engine = notes.engine(store)
            engine.clock.time = now
            if store.instance("i") is None:
                start(engine, "journey", 4)
            travel(engine)
        result = output(engine)
        assert result == ["tried for 2", [[2, "a"], [2, "b"]], 1, 2], f"killed at {kill_at}"
        assert len(notes.logged) <= 4 + killed
        assert {tuple(line) for line in notes.logged} == {(4, "a"), (4, "b"), (2, "a"), (2, "b")}
        assert not store.tasks()
        run_again += len(notes.logged) > 4
        store.close()
    assert kill_at > 40, "the journey has that many transactions"
    # Killed after the effect, before its result was stored.
    assert run_again == (0 if after_commit else 4)


def reopened(engine: HandEngine, path: Path, **later: float) -> HandEngine:
    """The engine of the next process, some time later, on the same file."""
    engine.store.close()
    again = HandEngine(engine._functions, Store(path))
    again.clock.time = engine.clock.time + timedelta(**later)
    return again


def test_timers_that_fell_due_while_the_host_was_down_fire_at_its_start(tmp_path: Path) -> None:
    engine = engine_of(waits, store=Store(tmp_path / "hub.db"))
    start(engine, "waits")
    engine.turns()
    engine.raise_event("i", "Go", '"kept"')
    engine = reopened(engine, tmp_path / "hub.db")
    engine.turns()
    engine = reopened(engine, tmp_path / "hub.db", days=3)
    engine.turns()
    assert output(engine) == "kept"
    engine.store.close()


def test_a_suspended_instance_is_suspended_after_a_restart_and_keeps_its_messages(
    tmp_path: Path,
) -> None:
    engine = engine_of(waits, store=Store(tmp_path / "hub.db"))
    start(engine, "waits")
    engine.turns()
    suspend(engine)
    engine.raise_event("i", "Go", '"held"')
    engine.turns()
    engine = reopened(engine, tmp_path / "hub.db")
    engine.turns()
    assert engine.get("i").status == "Suspended"
    resume(engine)
    engine.sleep(10)
    assert output(engine) == "held"
    engine.store.close()


# -- floods -----------------------------------------------------------------------------------


def test_a_thousand_events_are_kept_while_suspended_and_come_in_order() -> None:
    def collects(context: Context) -> Steps:
        got = []
        for _ in range(1_000):
            got.append((yield context.wait_for_external_event("Go")))  # noqa: PERF401 - a yield
        return got

    engine = engine_of(collects)
    start(engine, "collects")
    engine.turns()
    suspend(engine)
    for number in range(1_000):
        engine.raise_event("i", "Go", str(number))
    engine.turns()
    kept = ["EVENT_RAISED"] * 1_000
    assert engine.kinds("i") == ["EXECUTION_STARTED", "EXECUTION_SUSPENDED", *kept]
    resume(engine)
    assert output(engine) == list(range(1_000))


@EARLY
def test_events_before_the_first_wait_are_all_kept() -> None:
    """One for each wait, though the SDK takes the last one for all of them.

    It does so by recursion, and would fail the orchestrator at a thousand.
    """

    def late(context: Context) -> Steps:
        yield after(context, 10)
        for _ in range(101):
            yield context.wait_for_external_event("Go")
        yield context.call_activity("reached", None)

    engine = engine_of(late, reached=lambda _: None)
    start(engine, "late")
    engine.turns()
    for number in range(100):
        engine.raise_event("i", "Go", str(number))
    engine.turns()
    engine.sleep(10)
    assert not engine.waiting
    engine.raise_event("i", "Go")
    engine.turns()
    assert [task.name for task in engine.waiting] == ["reached"]


# -- threads ----------------------------------------------------------------------------------


def wait_until(condition: Any, deadline: float = 60.0) -> None:
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not so after {deadline} seconds"
        time.sleep(0.005)


class Running(Engine):
    """An engine with its threads; keeps what it died of."""

    def __init__(self, worker: Any, store: Store | None = None) -> None:
        self.died: list[BaseException] = []
        worker.pool = ThreadPoolExecutor(4)
        super().__init__(
            store or Store(":memory:"), worker, SystemClock(), on_crash=self.died.append
        )
        weakref.finalize(self, self.store.close)

    def ends(self, id_: str) -> None:
        wait_until(lambda: (instance := self.store.instance(id_)) and instance.ended)


def test_many_instances_at_once() -> None:
    worker = FakeWorker({"square": square}, {"multiply": _activity(lambda pair: pair[0] * pair[1])})
    engine = Running(worker)
    engine.start()
    for number in range(50):
        engine.create("square", f"i{number}", json.dumps(str(number)))
    for number in range(50):
        engine.ends(f"i{number}")
        instance = engine.store.instance(f"i{number}")
        assert instance is not None
        assert json.loads(instance.output or "") == {"square": number * number}
    assert engine.stop()
    assert engine.idle
    assert not engine.died


@pytest.mark.difference("Orchestrators")
def test_orchestrators_run_one_after_the_other() -> None:
    """Where several run at once, one that blocks holds up less; none may rely on that."""
    running, most = [], []

    def alone(context: Context) -> Steps:
        running.append(context.instance_id)
        most.append(len(running))
        time.sleep(0.005)  # long enough to meet another, were there one
        running.remove(context.instance_id)
        yield context.call_activity("quick", None)

    engine = Running(FakeWorker({"alone": alone}, {"quick": _activity(lambda _: None)}))
    engine.start()
    for number in range(8):
        engine.create("alone", f"i{number}", json.dumps("null"))
    for number in range(8):
        engine.ends(f"i{number}")
    assert engine.stop()
    assert set(most) == {1}
    assert len(most) == 16


def test_a_stop_tells_of_an_activity_that_does_not_end_and_the_next_start_runs_it_again(
    tmp_path: Path,
) -> None:
    gate, runs = threading.Event(), []

    def multiply(pair: list[int]) -> int:
        runs.append(pair)
        gate.wait()
        return pair[0] * pair[1]

    worker = FakeWorker({"square": square}, {"multiply": _activity(multiply)})
    engine = Running(worker, Store(tmp_path / "hub.db"))
    engine.start()
    engine.create("square", "i", '"7"')
    wait_until(lambda: runs)
    assert not engine.stop(grace=0.05)
    engine.store.close()
    again = Running(worker, Store(tmp_path / "hub.db"))
    again.start()
    wait_until(lambda: len(runs) == 2)
    gate.set()
    again.ends("i")
    assert again.stop()
    again.store.close()


def test_a_dispatcher_that_dies_is_not_silent() -> None:
    class Broken(FakeWorker):
        @property
        def orchestrators(self) -> Any:
            raise MemoryError("the dispatcher's own trouble")

        @orchestrators.setter
        def orchestrators(self, value: Any) -> None:
            pass

    engine = Running(Broken())
    engine.start()
    engine.create("square", "i", None)
    wait_until(lambda: engine.died)
    assert isinstance(engine.died[0], MemoryError)
    engine.stop()


def test_an_activity_whose_result_can_not_be_stored_is_not_silent() -> None:
    class Full(Store):
        def finish_task(self, *_: Any) -> None:
            raise OSError("no space left")

    worker = FakeWorker({"square": square}, {"multiply": _activity(lambda _: 0)})
    engine = Running(worker, Full(":memory:"))
    engine.start()
    engine.create("square", "i", '"7"')
    wait_until(lambda: engine.died)
    assert str(engine.died[0]) == "no space left"
    engine.stop()
