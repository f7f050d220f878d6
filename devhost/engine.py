"""The engine: gives messages to orchestrators, runs activities, keeps the store.

One dispatcher thread takes one instance after the other that has visible messages:

1. A control message (terminate, suspend, resume) is carried out alone.
2. Other messages become history events of a new episode; the orchestrator runs; `replay`
   derives what it asks for; events, activities and timers are written in one transaction.
3. Continue-as-new begins the next generation in the same transaction and runs it at once.

Activities run on a pool of threads; a result is a message. A process that is killed at any
point goes on from the last transaction: an activity whose result was not stored runs again.
"""

import json
import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from enum import StrEnum
from typing import Any, Protocol

from devhost.clock import Clock
from devhost.events import Event, EventType, event, execution_started, moment, stamp
from devhost.invocation import ask
from devhost.replay import Completed, ContinuedAsNew, Failed, OrchestrationFault, Turn, replay
from devhost.store import Instance, Message, Store, Task

log = logging.getLogger("devhost.engine")

_GENERATIONS_A_TURN = 1_000
_CUSTOM_STATUS_LIMIT = 16 * 1024


Code = Mapping[str, Callable[[str], str]]
"""Functions of the app by lower-case name: JSON text in, JSON text out."""


class Worker(Protocol):
    """What runs the app's code. An orchestrator never blocks; an activity may."""

    @property
    def orchestrators(self) -> Code:
        """The orchestrators."""

    @property
    def activities(self) -> Code:
        """The activities."""


class AlreadyExists(Exception):
    """An instance of that id is running."""


class Point(StrEnum):
    """Where a test can have the host die; see `devhost.testing`."""

    BEFORE_COMMIT = "before the turn's commit"
    AFTER_COMMIT = "after the turn's commit"
    BETWEEN_GENERATIONS = "during continue-as-new"
    AFTER_ACTIVITY = "after an activity's effect, before its result is stored"


class Engine:
    """Runs the orchestrations of one task hub."""

    def __init__(
        self,
        store: Store,
        worker: Worker,
        clock: Clock,
        *,
        activity_threads: int = 10,
        default_version: str = "",
        on_crash: Callable[[BaseException], None] | None = None,
        on_point: Callable[[Point, str], None] | None = None,
    ) -> None:
        """Set up; `start` begins.

        Args:
            store: The state.
            worker: What runs the app's code.
            clock: The time.
            activity_threads: How many activities run at once.
            default_version: The version of instances that are started without one.
            on_crash: Told what the dispatcher, or a thread that runs activities, died of.
            on_point: Called with the point and the instance id; an exception from it kills.
        """
        self.store = store
        self._worker = worker
        self._clock = clock
        self._default_version = default_version
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._dead = False
        self._pool = ThreadPoolExecutor(activity_threads, thread_name_prefix="activity")
        self._running: set[Future[None]] = set()
        self._reach = on_point or (lambda _point, _id: None)
        self._on_crash = on_crash or (lambda _error: None)
        self._dispatcher = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to work; activities that were cut off by a kill start again."""
        for task in self.store.tasks():
            self._submit(task)
        self._dispatcher.start()

    def stop(self, grace: float = 5.0) -> bool:
        """Finish the turn at hand and give running activities `grace` seconds to end.

        Returns:
            Whether all ended; those that did not run again at the next start.
        """
        self._stopping.set()
        self._wake.set()
        if self._dispatcher.ident:
            self._dispatcher.join(grace)
        self._pool.shutdown(wait=False, cancel_futures=True)
        ended = not wait(tuple(self._running), timeout=grace).not_done
        return ended and not self._dispatcher.is_alive()

    def wake(self) -> None:
        """Have the dispatcher look for work."""
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether no activity is running or waiting for a thread."""
        return not self._running

    def now(self) -> str:
        """The time in the form of `events.stamp`."""
        return stamp(self._clock.now())

    # -- requests of clients --------------------------------------------------------------

    def create(
        self,
        name: str,
        id_: str,
        input_text: str | None,
        *,
        version: str | None = None,
        parent: str = "",
    ) -> Instance:
        """Start an instance; one of the same id that has ended is replaced.

        Args:
            name: The orchestrator's name.
            id_: The instance id.
            input_text: The input as JSON text.
            version: The version to stamp the instance with; none is the default one.
            parent: The ParentInstance JSON of a sub-orchestration.

        Raises:
            AlreadyExists: An instance of that id has not ended.
        """
        now = self.now()
        with self.store.transaction():
            known = self.store.instance(id_)
            if known and not known.ended:
                raise AlreadyExists(
                    f"An Orchestration instance with the status {known.status} already exists."
                )
            self.store.clear(id_)
            instance = Instance(
                id_,
                name,
                version or self._default_version,
                "Pending",
                _execution_id(),
                now,
                now,
                input_text,
                parent=parent or None,
            )
            self.store.save(instance)
            self.store.send(id_, _started(instance, now), execution_id=instance.execution_id)
        self._wake.set()
        return instance

    def send(self, id_: str, kind: EventType, **fields: Any) -> None:
        """Send a message to an instance: an external event, terminate, suspend, resume."""
        self.store.send(id_, event(kind, self.now(), **fields))
        self._wake.set()

    # -- the dispatcher -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                ready = self.store.ready(self.now())
                for id_ in ready:
                    if self._stopping.is_set():
                        return
                    self._serve(id_)
                if not ready:
                    due = self.store.next_due()
                    self._clock.wait(self._wake, moment(due) if due else None)
        except BaseException as error:  # noqa: BLE001 - told, not hidden
            self.die(error)

    def die(self, error: BaseException) -> None:
        """Do nothing more, as if killed; the owner ends the process."""
        log.critical("The engine died; the host can't go on", exc_info=error)
        self._dead = True
        self._stopping.set()
        self._wake.set()
        self._on_crash(error)

    def _serve(self, id_: str) -> None:
        """Deal with what waits for one instance: one control message, or one episode."""
        with self.store.transaction():
            instance = self.store.instance(id_)
            messages = self.store.messages(id_, self.now())
            if instance is None:
                return
            current = () if instance.ended else (None, instance.execution_id)
            self.store.consume(m.position for m in messages if m.execution_id not in current)
            suspended = instance.status == "Suspended"
            fresh = [
                m for m in messages if m.execution_id in current and (m.control or not suspended)
            ]
            history = self.store.history(id_) if fresh else []
        if not fresh:
            return
        if fresh[0].control:
            self._control(instance, history, fresh[0])
            return
        until_control = next((n for n, m in enumerate(fresh) if m.control), len(fresh))
        self._episode(instance, history, fresh[:until_control])

    def _control(self, instance: Instance, history: list[Event], message: Message) -> None:
        """Carry out a terminate, suspend or resume as an episode of its own."""
        now, control = self.now(), message.event
        events = [event(EventType.ORCHESTRATOR_STARTED, now), control]
        reason = control.get("Reason") if "Reason" in control else control.get("Input")
        with self.store.transaction():
            self.store.consume([message.position])
            if control["EventType"] == EventType.EXECUTION_TERMINATED:
                events.append(_execution_completed(now, "Terminated", reason))
                self._end(instance, "Terminated", reason, now)
            else:
                suspend = control["EventType"] == EventType.EXECUTION_SUSPENDED
                instance.status = "Suspended" if suspend else "Running"
                instance.output, instance.updated = reason, now
                self.store.save(instance)
            events.append(event(EventType.ORCHESTRATOR_COMPLETED, now))
            self.store.append_history(instance.id, len(history), events)

    def _episode(
        self, instance: Instance, history: list[Event], messages: Sequence[Message]
    ) -> None:
        """Run the orchestrator on new events, and write what it asks for."""
        now = self.now()
        arrived = [m.event for m in messages]
        start = len(history)
        # The store keeps a generation's history; a new generation's replaces it from 0 on.
        for _ in range(_GENERATIONS_A_TURN):
            history = [*history, event(EventType.ORCHESTRATOR_STARTED, now), *arrived]
            turn = self._turn(instance, history)
            if not isinstance(turn.ending, ContinuedAsNew):
                break
            instance.execution_id, instance.created = _execution_id(), now
            instance.input = json.dumps(turn.ending.input_)
            arrived = [_started(instance, now), *turn.carried]
            history, start = [], 0
            self._reach(Point.BETWEEN_GENERATIONS, instance.id)
        else:
            why = f"it continued as new {_GENERATIONS_A_TURN} times without awaiting anything"
            turn = Turn(ending=Failed(why))
        with self.store.transaction():
            tasks = self._commit(instance, history, start, turn, now)
            self.store.consume(m.position for m in messages)
            self._reach(Point.BEFORE_COMMIT, instance.id)
        self._reach(Point.AFTER_COMMIT, instance.id)
        for task in tasks:
            self._submit(task)

    def _turn(self, instance: Instance, history: list[Event]) -> Turn:
        """Call the orchestrator and derive what it asks for; a fault fails the instance."""
        orchestrator = self._worker.orchestrators.get(instance.name.lower())
        if orchestrator is None:
            return Turn(ending=Failed(_unknown("orchestrator", instance, self._worker)))
        try:
            answer = ask(orchestrator, history)
            instance.custom_status = _custom_status(answer)
            turn = replay(history, answer)
            self._check_work(turn)
        except OrchestrationFault as fault:
            return Turn(ending=Failed(str(fault)))
        except Exception as error:
            # What one orchestrator asks for must not end the host, now and at each restart.
            log.exception("%s %s asks for what can't be read", instance.name, instance.id)
            return Turn(ending=Failed(f"devhost can't read what it asks for: {error}"))
        return turn

    def _check_work(self, turn: Turn) -> None:
        """Refuse work that nobody can do; the real host leaves the instance hanging."""
        for kind, known in (
            (EventType.TASK_SCHEDULED, self._worker.activities),
            (EventType.SUB_ORCHESTRATION_CREATED, self._worker.orchestrators),
        ):
            for scheduled in turn.scheduled:
                if scheduled["EventType"] == kind and scheduled["Name"].lower() not in known:
                    names = ", ".join(sorted(known)) or "none"
                    raise OrchestrationFault(
                        f"The function '{scheduled['Name']}' doesn't exist. Known here: {names}."
                    )
        for scheduled in turn.scheduled:
            for field in ("InstanceId", "Version"):
                value = scheduled.get(field, "")
                if not isinstance(value, str) or value != _storable(value):
                    raise OrchestrationFault(f"{field} {value!r} is no text")

    def _commit(
        self, instance: Instance, history: list[Event], start: int, turn: Turn, now: str
    ) -> list[Task]:
        """Write an episode: the history from `start` on, new work, the end."""
        instance.status, instance.updated = "Running", now
        events = [*history[start:], *turn.scheduled]
        self.store.cancel_timers(instance.id, instance.execution_id, turn.cancelled)
        tasks = [
            self.store.add_task(
                instance.id,
                instance.execution_id,
                scheduled["EventId"],
                scheduled["Name"],
                turn.inputs[scheduled["EventId"]],
            )
            for scheduled in turn.scheduled
            if scheduled["EventType"] == EventType.TASK_SCHEDULED
        ]
        for scheduled in turn.scheduled:
            if scheduled["EventType"] == EventType.SUB_ORCHESTRATION_CREATED:
                self._begin_child(instance, scheduled, now)
            elif scheduled["EventId"] not in turn.cancelled | turn.inputs.keys():
                self._set_timer(instance, scheduled)
        match turn.ending:
            case Completed(output):
                text = _json_or_none(output)
                events.append(_execution_completed(now, "Completed", text))
                self._end(instance, "Completed", text, now)
            case Failed(error):
                text = _storable(f"Orchestrator function '{instance.name}' failed: {error}")
                events.append(_execution_completed(now, "Failed", text))
                self._end(instance, "Failed", text, now)
                log.error("%s %s: %s", instance.name, instance.id, text)
            case _:
                self.store.save(instance)
        events.append(event(EventType.ORCHESTRATOR_COMPLETED, now))
        self.store.append_history(instance.id, start, events)
        return tasks

    def _set_timer(self, instance: Instance, scheduled: Event) -> None:
        due, timer_id = scheduled["FireAt"], scheduled["EventId"]
        fired = event(EventType.TIMER_FIRED, due, TimerId=timer_id, FireAt=due)
        self.store.send(instance.id, fired, execution_id=instance.execution_id, visible_at=due)

    def _begin_child(self, instance: Instance, scheduled: Event, now: str) -> None:
        """Start a sub-orchestration; one whose id is taken fails at once."""
        task_id, execution_id = scheduled["EventId"], instance.execution_id
        parent = {
            "Name": instance.name,
            "OrchestrationInstance": {"InstanceId": instance.id, "ExecutionId": execution_id},
            "TaskScheduleId": task_id,
            "Version": instance.version,
        }
        try:
            self.create(
                scheduled["Name"],
                scheduled["InstanceId"],
                json.dumps(scheduled["Input"]),
                version=scheduled["Version"],
                parent=json.dumps(parent),
            )
        except AlreadyExists as error:
            failed = _failed(EventType.SUB_ORCHESTRATION_FAILED, now, task_id, str(error))
            self.store.send(instance.id, failed, execution_id=execution_id)

    def _end(self, instance: Instance, status: str, output: str | None, now: str) -> None:
        """Write the end of an instance, and tell the parent of a sub-orchestration."""
        instance.status, instance.output, instance.updated = status, output, now
        self.store.save(instance)
        if instance.parent is None:
            return
        parent = json.loads(instance.parent)
        task_id = parent["TaskScheduleId"]
        if status == "Completed":
            result = event(
                EventType.SUB_ORCHESTRATION_COMPLETED, now, TaskScheduledId=task_id, Result=output
            )
        else:
            reason = f"Sub-orchestrator '{instance.name}' {status.lower()}: {output}"
            result = _failed(EventType.SUB_ORCHESTRATION_FAILED, now, task_id, reason)
        address = parent["OrchestrationInstance"]
        self.store.send(address["InstanceId"], result, execution_id=address["ExecutionId"])

    # -- activities -----------------------------------------------------------------------

    def _submit(self, task: Task) -> None:
        if not self._stopping.is_set():
            running = self._pool.submit(self._perform, task)
            self._running.add(running)
            running.add_done_callback(self._performed)

    def _performed(self, running: Future[None]) -> None:
        self._running.discard(running)
        self._wake.set()

    def _perform(self, task: Task) -> None:
        """Run an activity on a thread of the pool, and send its result."""
        try:
            try:
                # The app may have lost the activity since it was called.
                activity = self._worker.activities[task.name.lower()]
                result = activity(task.input or "null")
            except (Exception, SystemExit) as error:
                reason = f"Activity function '{task.name}' failed:  {type(error).__name__}: {error}"
                log.warning("%s: %s", task.instance_id, reason, exc_info=error)
                outcome = _failed(EventType.TASK_FAILED, self.now(), task.task_id, reason)
            else:
                outcome = event(
                    EventType.TASK_COMPLETED,
                    self.now(),
                    TaskScheduledId=task.task_id,
                    Result=result,
                )
            self._reach(Point.AFTER_ACTIVITY, task.instance_id)
            if not self._dead:
                self.store.finish_task(task, outcome)
        except BaseException as error:  # noqa: BLE001 - told, not hidden
            self.die(error)


def _storable(text: str) -> str:
    """The text with half characters, which no database takes, written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _execution_id() -> str:
    return uuid.uuid4().hex


def _custom_status(answer: dict[str, Any]) -> str | None:
    value = answer.get("customStatus")
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode("utf-16-le", "surrogatepass")) > _CUSTOM_STATUS_LIMIT:
        raise OrchestrationFault("The custom status is larger than 16 KB of UTF-16 text.")
    return _json_or_none(value)


def _json_or_none(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def _started(instance: Instance, now: str) -> Event:
    return execution_started(
        now,
        name=instance.name,
        version=instance.version,
        instance_id=instance.id,
        execution_id=instance.execution_id,
        input_text=instance.input,
        parent=json.loads(instance.parent) if instance.parent else None,
    )


def _execution_completed(now: str, status: str, result: str | None) -> Event:
    return event(
        EventType.EXECUTION_COMPLETED,
        now,
        OrchestrationStatus=status,
        Result=result,
        FailureDetails=None,
    )


def _failed(kind: EventType, now: str, task_id: int, reason: str) -> Event:
    return event(
        kind, now, TaskScheduledId=task_id, Reason=reason, Details=None, FailureDetails=None
    )


def _unknown(kind: str, instance: Instance, worker: Worker) -> str:
    known = ", ".join(f"'{name}'" for name in sorted(worker.orchestrators)) or "none"
    return (
        f"The function '{instance.name}' doesn't exist, is disabled, or is not an {kind} "
        f"function. Additional info: The following are the known {kind} functions: {known}."
    )
