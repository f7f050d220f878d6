"""The engine: gives messages to orchestrators, has activities run, keeps the store.

One dispatcher thread takes one instance after the other that has visible messages:

1. A control message (terminate, suspend) is carried out alone.
2. Other messages become history events of a new episode; the orchestrator runs; `replay`
   derives what it asks for; events, activities and timers are written in one transaction.
3. Continue-as-new begins the next generation in the same transaction and runs it at once.
4. A suspended instance takes its messages into its history, and runs when it is resumed.
5. An instance of a newer version than the host's is left alone, as the real host does.

The worker runs activities; a result is a message. A process that is killed at any point goes on
from the last transaction: an activity whose result was not stored runs again.
"""

import json
import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Any

from devhost import activities, delays, payload
from devhost.clock import Clock
from devhost.events import (
    Event,
    EventType,
    event,
    execution_started,
    failure,
    moment,
    stamp,
)
from devhost.replay import Completed, ContinuedAsNew, Failed, Turn
from devhost.store import Instance, Message, Store, Task
from devhost.turns import turn_of
from devhost.worker import Functions, printable

log = logging.getLogger("devhost.engine")

_GENERATIONS_A_TURN = 1_000
_GIVEN_BACK = timedelta(seconds=10)
_FAILED = "Orchestrator function '{}' failed"


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
        functions: Functions,
        clock: Clock,
        *,
        like_azure: bool = False,
        on_crash: Callable[[BaseException], None] | None = None,
        on_point: Callable[[Point, str], None] | None = None,
    ) -> None:
        """Set up; `start` begins.

        Args:
            store: The state.
            functions: The app.
            clock: The time.
            like_azure: Whether messages and timers take as long as they do on Azure Storage.
            on_crash: Told what the dispatcher, or the end of an activity, died of.
            on_point: Called with the point and the instance id; an exception from it kills.
        """
        self.store = store
        self._functions = functions
        self._clock = clock
        self._settings = functions.settings
        self._like_azure = like_azure
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self.dead = False
        """Whether the engine died, and does nothing more."""
        self._activities = activities.Activities(
            functions, self._settings.max_activities, self._performed, self._wake.set
        )
        self._left_alone: set[str] = set()
        self._reach = on_point or (lambda _point, _id: None)
        self._on_crash = on_crash or (lambda _error: None)
        self._dispatcher = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to work; activities that were cut off by a kill start again."""
        for task in self.store.tasks():
            self._activities.submit(task)
        self._dispatcher.start()

    def stop(self, grace: float = 5.0) -> bool:
        """Finish the turn at hand and give running activities `grace` seconds to end.

        Returns:
            Whether all ended; those that did not run again at the next start.
        """
        self._end_work()
        if self._dispatcher.ident:
            self._dispatcher.join(grace)
        return self._activities.join(grace) and not self._dispatcher.is_alive()

    def wake(self) -> None:
        """Have the dispatcher look for work."""
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether no activity is running or waiting for its place."""
        return self._activities.idle

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
            if known and not known.ended and (parent or not self._settings.replaces_live):
                raise AlreadyExists(
                    f"An Orchestration instance with the status {known.status} already exists."
                )
            self.store.clear(id_)
            instance = Instance(
                id_,
                name,
                version or self._settings.default_version,
                "Pending",
                _execution_id(),
                now,
                now,
                input_text,
                parent=parent or None,
            )
            self.store.save(instance)
            started = _started(instance, now, generation=0)
            self._send(id_, started, execution_id=instance.execution_id)
        self._wake.set()
        return instance

    def send(self, id_: str, kind: EventType, **fields: Any) -> None:
        """Send a message to an instance: an external event, terminate, suspend, resume."""
        self._send(id_, event(kind, self.now(), **fields))
        self._wake.set()

    def rewind(self, instance: Instance, reason: str | None) -> None:
        """Have a failed instance run again as if its failed work had not been asked for yet."""
        now = self.now()
        with self.store.transaction():
            history = self.store.history(instance.id)
            kinds = (EventType.TASK_FAILED, EventType.SUB_ORCHESTRATION_FAILED)
            failed = {e["TaskScheduledId"] for e in history if e["EventType"] in kinds}
            undone = (*kinds, EventType.EXECUTION_COMPLETED)
            for position, entry in enumerate(history):
                asked = entry["EventId"] in failed
                if asked and entry["EventType"] == EventType.SUB_ORCHESTRATION_CREATED:
                    child = self.store.instance(entry["InstanceId"])
                    if child and child.status == "Failed":
                        self.rewind(child, reason)
                elif entry["EventType"] in undone or (
                    asked and entry["EventType"] == EventType.TASK_SCHEDULED
                ):
                    at = entry["Timestamp"]
                    history[position] = event(EventType.GENERIC_EVENT, at, Data=None)
            instance.status, instance.output, instance.updated = "Pending", None, now
            self.store.save(instance)
            self.store.append_history(instance.id, 0, history)
            self._send(instance.id, event(EventType.GENERIC_EVENT, now, Data=reason))
        self._wake.set()

    def _send(self, id_: str, message: Event, execution_id: str | None = None) -> None:
        """Put a message into an inbox, to be seen at once, or as late as on Azure Storage."""
        visible_at = stamp(delays.message_at(self._clock.now())) if self._like_azure else ""
        self.store.send(id_, message, execution_id=execution_id, visible_at=visible_at)

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
        self.dead = True
        self._end_work()
        self._on_crash(error)

    def _end_work(self) -> None:
        self._stopping.set()
        self._activities.close()
        self._wake.set()

    def _serve(self, id_: str) -> None:
        """Deal with what waits for one instance: one control message, or one episode."""
        with self.store.transaction():
            instance = self.store.instance(id_)
            messages = self.store.messages(id_, self.now())
            if instance is None:
                return
            current = () if instance.ended else (None, instance.execution_id)
            self.store.consume(m.position for m in messages if m.execution_id not in current)
            fresh = [m for m in messages if m.execution_id in current]
            if fresh and self._leaves_alone(instance):
                later = stamp(self._clock.now() + _GIVEN_BACK)
                self.store.postpone([m.position for m in fresh], later)
                return
            history = self.store.history(id_) if fresh else []
        if not fresh:
            return
        # A resume runs the orchestrator on what came meanwhile; any other control is taken alone.
        resumes = fresh[0].event["EventType"] == EventType.EXECUTION_RESUMED
        if fresh[0].control and not resumes:
            self._keep(instance, history, fresh[:1])
            return
        batch = [fresh[0], *takewhile(lambda m: not m.control, fresh[1:])]
        if instance.status == "Suspended" and not resumes:
            self._keep(instance, history, batch)
        else:
            self._episode(instance, history, batch)

    def _leaves_alone(self, instance: Instance) -> bool:
        """Whether the instance is of a version that this host does not run, and waits."""
        if self._settings.runs(instance.version) or self._settings.version_failure == "Fail":
            return False
        if instance.id not in self._left_alone:
            self._left_alone.add(instance.id)
            log.warning(
                "%s has version %s, which this host (%s) does not run: it stays %s",
                *(instance.id, instance.version, self._settings.default_version, instance.status),
            )
        return True

    def _keep(self, instance: Instance, history: list[Event], messages: Sequence[Message]) -> None:
        """Take messages into the history without a call: a terminate, or what a suspend holds."""
        now, first = self.now(), messages[0].event
        events = [event(EventType.ORCHESTRATOR_STARTED, now), *(m.event for m in messages)]
        with self.store.transaction():
            self.store.consume(m.position for m in messages)
            instance.updated = now
            if first["EventType"] == EventType.EXECUTION_TERMINATED:
                events.append(self._end(instance, "Terminated", first.get("Input"), now))
            elif first["EventType"] == EventType.EXECUTION_SUSPENDED:
                instance.status, instance.output = "Suspended", first.get("Reason")
            self.store.save(instance)
            events.append(event(EventType.ORCHESTRATOR_COMPLETED, now))
            self.store.append_history(instance.id, len(history), events)

    def _episode(
        self, instance: Instance, history: list[Event], messages: Sequence[Message]
    ) -> None:
        """Run the orchestrator on new events, and write what it asks for."""
        now = self.now()
        arrived = [m.event for m in messages]
        if arrived[0]["EventType"] == EventType.EXECUTION_RESUMED:
            instance.output = arrived[0].get("Reason")
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
            self._activities.submit(task)

    def _turn(self, instance: Instance, history: list[Event]) -> Turn:
        return turn_of(self._functions, instance, history)

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
                events.append(self._end(instance, "Completed", payload.or_none(output), now))
            case Failed(error, kind):
                text = printable(f"{kind or _FAILED.format(instance.name)}: {error}")
                details = f"Message: {error}, StackTrace: "
                events.append(self._end(instance, "Failed", text, now, details))
                log.error("%s %s: %s", instance.name, instance.id, text)
                if printable(error) != error:
                    log.error("Its text has half characters: there it stays Running for ever")
        self.store.save(instance)
        events.append(event(EventType.ORCHESTRATOR_COMPLETED, now))
        self.store.append_history(instance.id, start, events)
        return tasks

    def _set_timer(self, instance: Instance, scheduled: Event) -> None:
        """Send a timer's message, to be seen when the timer is due."""
        due = moment(scheduled["FireAt"])
        visible_at = delays.timer_at(due, self._clock.now(), like_azure=self._like_azure)
        fired = event(
            EventType.TIMER_FIRED,
            scheduled["Timestamp"],
            TimerId=scheduled["EventId"],
            FireAt=scheduled["FireAt"],
        )
        execution_id, at = instance.execution_id, stamp(visible_at)
        self.store.send(instance.id, fired, execution_id=execution_id, visible_at=at)

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
            failed = failure(EventType.SUB_ORCHESTRATION_FAILED, now, task_id, str(error))
            self._send(instance.id, failed, execution_id)

    def _end(
        self, instance: Instance, status: str, output: str | None, now: str, details: str = ""
    ) -> Event:
        """Bring an instance to its end, and tell the parent of a sub-orchestration."""
        instance.status, instance.output = status, output
        if instance.parent is not None:
            self._tell_parent(instance, now, details)
        return event(
            EventType.EXECUTION_COMPLETED,
            now,
            OrchestrationStatus=status,
            Result=output,
            FailureDetails=None,
        )

    def _tell_parent(self, instance: Instance, now: str, details: str) -> None:
        parent, status, output = json.loads(instance.parent or ""), instance.status, instance.output
        task_id = parent["TaskScheduleId"]
        if status == "Completed":
            result = event(
                EventType.SUB_ORCHESTRATION_COMPLETED, now, TaskScheduledId=task_id, Result=output
            )
        else:
            kind = EventType.SUB_ORCHESTRATION_FAILED
            ended = f"Sub-orchestrator '{instance.name}' {status.lower()}: {output}"
            reason = output if status == "Failed" and output else ended
            result = failure(kind, now, task_id, reason, details)
        address = parent["OrchestrationInstance"]
        self._send(address["InstanceId"], result, address["ExecutionId"])

    def _performed(self, task: Task, running: Future[str]) -> None:
        """Send the result of an activity."""
        try:
            result = activities.outcome(task, running, self._settings.carries, self.now())
            self._reach(Point.AFTER_ACTIVITY, task.instance_id)
            if not self.dead:
                self.store.finish_task(task, result)
        except BaseException as error:  # noqa: BLE001 - told, not hidden
            self.die(error)


def _execution_id() -> str:
    return uuid.uuid4().hex


def _started(instance: Instance, now: str, generation: int | None = None) -> Event:
    return execution_started(
        now,
        name=instance.name,
        version=instance.version,
        instance_id=instance.id,
        execution_id=instance.execution_id,
        input_text=instance.input,
        parent=json.loads(instance.parent) if instance.parent else None,
        generation=generation,
    )
