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
import math
import random
import re
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from enum import StrEnum
from functools import partial
from itertools import takewhile
from typing import Any, Protocol

from devhost import payload
from devhost.clock import Clock
from devhost.events import Event, EventType, event, execution_started, moment, stamp
from devhost.invocation import ask
from devhost.replay import Completed, ContinuedAsNew, Failed, OrchestrationFault, Turn, replay
from devhost.settings import HostSettings
from devhost.store import Instance, Message, Store, Task
from devhost.worker import FunctionFailed, printable

log = logging.getLogger("devhost.engine")

_GENERATIONS_A_TURN = 1_000
_CUSTOM_STATUS_KB = 16
_SHORT = timedelta(milliseconds=50)  # what a message takes from one turn to the next
_GIVEN_BACK = timedelta(seconds=10)
_LIKE_AZURE_TIMER = (1.0, 5.0)  # seconds late, as measured with ten-second polling
_LIKE_AZURE_MESSAGE = (0.05, 0.4)
_STALLS = "on the real host this stalls the hub"
_FAILED = "Orchestrator function '{}' failed"
_VERSION_MISMATCH = Failed(
    "Orchestration version did not comply with Worker Versioning", "VersionMismatch"
)


Code = Mapping[str, Callable[[str], Any]]
"""Functions of the app by lower-case name: JSON text in, JSON text out, async or not."""


class Worker(Protocol):
    """What runs the app's code."""

    @property
    def orchestrators(self) -> Code:
        """The orchestrators."""

    @property
    def activities(self) -> Code:
        """The activities."""

    @property
    def left_out(self) -> Mapping[str, str]:
        """Why a function of the app is not served, by lower-case name."""

    def call(self, name: str, code: Callable[[str], Any], text: str) -> Future[str]:
        """Begin to run one of them; the result's one exception is `FunctionFailed`."""


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
        settings: HostSettings | None = None,
        *,
        like_azure: bool = False,
        on_crash: Callable[[BaseException], None] | None = None,
        on_point: Callable[[Point, str], None] | None = None,
    ) -> None:
        """Set up; `start` begins.

        Args:
            store: The state.
            worker: What runs the app's code.
            clock: The time.
            settings: Those of host.json; default: as of an empty one.
            like_azure: Whether messages and timers take as long as they do on Azure Storage.
            on_crash: Told what the dispatcher, or the end of an activity, died of.
            on_point: Called with the point and the instance id; an exception from it kills.
        """
        self.store = store
        self._worker = worker
        self._clock = clock
        self._settings = settings or HostSettings()
        self._like_azure = like_azure
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self.dead = False
        """Whether the engine died, and does nothing more."""
        self._places = threading.Condition()
        self._running: set[Future[str]] = set()
        self._queued: deque[Task] = deque()
        self._left_alone: set[str] = set()
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
        self._queued.clear()
        with self._places:
            ended = self._places.wait_for(lambda: not self._running, grace)
        return ended and not self._dispatcher.is_alive()

    def wake(self) -> None:
        """Have the dispatcher look for work."""
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether no activity is running or waiting for a thread."""
        with self._places:
            return not self._running and not self._queued

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

    def carries(self, text: str | None) -> bool:
        """Whether a queue message can carry the text."""
        return self._settings.any_text or payload.fits_queue(text)

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
        visible_at = ""
        if self._like_azure:
            late = timedelta(seconds=random.uniform(*_LIKE_AZURE_MESSAGE))  # noqa: S311 - no secret
            visible_at = stamp(self._clock.now() + late)
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
            fresh = [m for m in messages if m.execution_id in current]
            if fresh and self._leaves_alone(instance):
                later = stamp(self._clock.now() + _GIVEN_BACK)
                self.store.postpone([m.position for m in fresh], later)
                return
            history = self.store.history(id_) if fresh else []
        if not fresh:
            return
        if _is_control(fresh[0]) and not _resumes(fresh[0]):
            self._control(instance, history, fresh[0])
            return
        # A resume runs the orchestrator on what came meanwhile; any other control message waits.
        count = 1 + len(list(takewhile(lambda m: not _is_control(m), fresh[1:])))
        if instance.status == "Suspended" and not _resumes(fresh[0]):
            self._keep(instance, history, fresh[:count])
        else:
            self._episode(instance, history, fresh[:count])

    def _leaves_alone(self, instance: Instance) -> bool:
        """Whether the instance is of a version that this host does not run, and waits."""
        wrong = _wrong_version(instance.version, self._settings)
        if not wrong or self._settings.version_failure == "Fail":
            return False
        if instance.id not in self._left_alone:
            self._left_alone.add(instance.id)
            log.warning(
                "%s has version %s, which this host (%s) does not run: it stays %s",
                *(instance.id, instance.version, self._settings.default_version, instance.status),
            )
        return True

    def _control(self, instance: Instance, history: list[Event], message: Message) -> None:
        """Carry out a terminate or suspend as an episode of its own."""
        now, control = self.now(), message.event
        events = [event(EventType.ORCHESTRATOR_STARTED, now), control]
        with self.store.transaction():
            self.store.consume([message.position])
            if control["EventType"] == EventType.EXECUTION_TERMINATED:
                reason = control.get("Input")
                events.append(_execution_completed(now, "Terminated", reason))
                self._end(instance, "Terminated", reason, now)
            else:
                instance.status, instance.output = "Suspended", control.get("Reason")
                instance.updated = now
                self.store.save(instance)
            events.append(event(EventType.ORCHESTRATOR_COMPLETED, now))
            self.store.append_history(instance.id, len(history), events)

    def _keep(self, instance: Instance, history: list[Event], messages: Sequence[Message]) -> None:
        """Take the messages of a suspended instance into its history."""
        now = self.now()
        events = [event(EventType.ORCHESTRATOR_STARTED, now), *(m.event for m in messages)]
        events.append(event(EventType.ORCHESTRATOR_COMPLETED, now))
        with self.store.transaction():
            self.store.consume(m.position for m in messages)
            self.store.append_history(instance.id, len(history), events)
            instance.updated = now
            self.store.save(instance)

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
            self._submit(task)

    def _turn(self, instance: Instance, history: list[Event]) -> Turn:
        """Call the orchestrator and derive what it asks for; a fault fails the instance."""
        if _wrong_version(instance.version, self._settings):
            return Turn(ending=_VERSION_MISMATCH)
        name = instance.name
        orchestrator = self._worker.orchestrators.get(name.lower())
        if orchestrator is None:
            return Turn(ending=Failed(_unknown("orchestrator", name, self._worker)))
        code = orchestrator
        try:
            answer = ask(lambda text: self._worker.call(name, code, text).result(), history)
            status = _custom_status(answer)
            if status is not None or not _begins_again(history):
                instance.custom_status = status
            turn = replay(history, answer)
            self._check_work(turn)
            self._check_texts(instance, turn)
        except OrchestrationFault as fault:
            return Turn(ending=Failed(str(fault)))
        except Exception as error:
            # What one orchestrator asks for must not end the host, now and at each restart.
            log.exception("%s %s asks for what can't be read", instance.name, instance.id)
            return Turn(ending=Failed(f"devhost can't read what it asks for: {error}"))
        return turn

    def _check_work(self, turn: Turn) -> None:
        """Refuse work that nobody can do; the real host leaves the instance hanging."""
        for kind, function, known in (
            (EventType.TASK_SCHEDULED, "activity", self._worker.activities),
            (EventType.SUB_ORCHESTRATION_CREATED, "orchestrator", self._worker.orchestrators),
        ):
            for scheduled in turn.scheduled:
                if scheduled["EventType"] == kind and scheduled["Name"].lower() not in known:
                    why = _unknown(function, scheduled["Name"], self._worker)
                    log.error("%s On the real host its caller stays Running for ever.", why)
                    raise OrchestrationFault(why)
        for scheduled in turn.scheduled:
            for field in ("InstanceId", "Version"):
                value = scheduled.get(field, "")
                if not isinstance(value, str) or value != printable(value):
                    raise OrchestrationFault(f"{field} {value!r} is no text")

    def _check_texts(self, instance: Instance, turn: Turn) -> None:
        """Refuse an end that no queue can carry to the parent."""
        if instance.parent is None:
            return
        ending = turn.ending
        text = ending.error if isinstance(ending, Failed) else ""
        if isinstance(ending, Completed):
            text = payload.write(ending.output)
        if not self.carries(text):
            raise OrchestrationFault(_unfit(instance.name))

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
            case Failed(error, kind):
                text = printable(f"{kind or _FAILED.format(instance.name)}: {error}")
                events.append(_execution_completed(now, "Failed", text))
                self._end(instance, "Failed", text, now, f"Message: {error}, StackTrace: ")
                log.error("%s %s: %s", instance.name, instance.id, text)
                if printable(error) != error:
                    log.error("Its text has half characters: there it stays Running for ever")
            case _:
                self.store.save(instance)
        events.append(event(EventType.ORCHESTRATOR_COMPLETED, now))
        self.store.append_history(instance.id, start, events)
        return tasks

    def _set_timer(self, instance: Instance, scheduled: Event) -> None:
        """Send a timer's message; the queue takes whole seconds, and cuts what is over.

        So a timer fires up to a second early: of one second, some time is gone when it is sent.
        """
        due, now = moment(scheduled["FireAt"]), self._clock.now()
        whole = math.ceil((due - now).total_seconds()) - 1
        visible_at = max(now + timedelta(seconds=max(whole, 0)), min(due, now + _SHORT))
        if self._like_azure:
            visible_at += timedelta(seconds=random.uniform(*_LIKE_AZURE_TIMER))  # noqa: S311
        fired = event(
            EventType.TIMER_FIRED,
            scheduled["Timestamp"],
            TimerId=scheduled["EventId"],
            FireAt=scheduled["FireAt"],
        )
        self.store.send(
            instance.id,
            fired,
            execution_id=instance.execution_id,
            visible_at=stamp(visible_at),
        )

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
            self._send(instance.id, failed, execution_id)

    def _end(
        self, instance: Instance, status: str, output: str | None, now: str, details: str = ""
    ) -> None:
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
            kind = EventType.SUB_ORCHESTRATION_FAILED
            ended = f"Sub-orchestrator '{instance.name}' {status.lower()}: {output}"
            reason = output if status == "Failed" and output else ended
            result = _failed(kind, now, task_id, reason, details)
        address = parent["OrchestrationInstance"]
        self._send(address["InstanceId"], result, address["ExecutionId"])

    # -- activities -----------------------------------------------------------------------

    def _submit(self, task: Task) -> None:
        """Have an activity run; it waits while as many run as host.json allows."""
        with self._places:
            self._queued.append(task)
        self._fill_places()

    def _fill_places(self) -> None:
        while not self._stopping.is_set():
            with self._places:
                if not self._queued or len(self._running) >= self._settings.max_activities:
                    return
                task = self._queued.popleft()
                running = self._begin(task)
                self._running.add(running)
            running.add_done_callback(partial(self._performed, task))

    def _begin(self, task: Task) -> Future[str]:
        activity = self._worker.activities.get(task.name.lower())
        if activity is not None:
            return self._worker.call(task.name, activity, task.input or "null")
        lost: Future[str] = Future()
        lost.set_exception(FunctionFailed(_unknown("activity", task.name, self._worker)))
        return lost

    def _performed(self, task: Task, running: Future[str]) -> None:
        """Send the result of an activity, and let the next one run."""
        try:
            self._finish(task, running)
        except BaseException as error:  # noqa: BLE001 - told, not hidden
            self.die(error)
        finally:
            with self._places:
                self._running.discard(running)
                self._places.notify_all()
            self._fill_places()
            self._wake.set()

    def _finish(self, task: Task, running: Future[str]) -> None:
        outcome = self._outcome(task, running)
        self._reach(Point.AFTER_ACTIVITY, task.instance_id)
        if not self.dead:
            self.store.finish_task(task, outcome)

    def _outcome(self, task: Task, running: Future[str]) -> Event:
        """The message that an activity ends with."""
        trace = ""
        try:
            result = payload.rewritten(running.result())
            failure = "" if self.carries(result) else _unfit(task.name)
        except FunctionFailed as failed:
            failure, trace = str(failed), failed.trace
            failure = failure if self.carries(failure) else _unfit(task.name)
        except (ValueError, RecursionError) as error:
            failure = f"{type(error).__name__}: its result is no JSON: {error}"
        if not failure:
            done, value = EventType.TASK_COMPLETED, None if result == "null" else result
            return event(done, self.now(), TaskScheduledId=task.task_id, Result=value)
        reason = f"Activity function '{task.name}' failed: {failure}"
        log.warning("%s: %s\n%s", task.instance_id, reason, trace)
        details = _exception_json(failure, trace)
        return _failed(EventType.TASK_FAILED, self.now(), task.task_id, reason, details)


def _is_control(message: Message) -> bool:
    return message.control


def _resumes(message: Message) -> bool:
    return bool(message.event["EventType"] == EventType.EXECUTION_RESUMED)


def _begins_again(history: list[Event]) -> bool:
    """Whether it is the first turn after a continue-as-new, which keeps the custom status."""
    first = [e for e in history if e["EventType"] == EventType.ORCHESTRATOR_STARTED]
    return len(first) == 1 and history[1]["Generation"] is None


def _wrong_version(version: str, settings: HostSettings) -> bool:
    own = settings.default_version
    if not own or settings.version_match == "None":
        return False
    if settings.version_match == "Strict":
        return version != own
    numbers = [re.fullmatch(r"\d+(\.\d+){1,3}", text) for text in (version, own)]
    if all(numbers):
        ours, theirs = ([int(part) for part in text.split(".")] for text in (own, version))
        return theirs > ours
    return version > own


def _unfit(name: str) -> str:
    """What is told of text with U+FFFE or U+FFFF."""
    log.error(
        "%s ends with U+FFFE or U+FFFF, which no queue message can carry: %s, unless host.json "
        'has storageProvider.queueClientMessageEncoding "Base64"',
        *(name, _STALLS),
    )
    return f"its text has U+FFFE or U+FFFF, which no queue message can carry: {_STALLS}"


def _exception_json(message: str, trace: str) -> str:
    """The exception of an activity as .NET writes it, without what is .NET's alone."""
    inner = {
        "$type": "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException, "
        "Microsoft.Azure.WebJobs.Script",
        "IsUserException": False,
        "RemoteStackTrace": trace,
        "RemoteMessage": message,
        "RemoteTypeName": None,
        "Message": f"Result: Failure\nException: {message}\nStack: {trace}",
    }
    outer = {
        "$type": "System.Exception, System.Private.CoreLib",
        "ClassName": "System.Exception",
        "Message": message,
        "Data": None,
        "InnerException": inner,
    }
    return payload.write(outer)


def _execution_id() -> str:
    return uuid.uuid4().hex


def _custom_status(answer: dict[str, Any]) -> str | None:
    text = _json_or_none(answer.get("customStatus"))
    size = len((text or "").encode("utf-16-le")) // 1024
    if size > _CUSTOM_STATUS_KB:
        raise OrchestrationFault(
            "The UTF-16 size of the JSON-serialized payload must not exceed "
            f"{_CUSTOM_STATUS_KB} KB. The current payload size is {size} KB."
        )
    return text


def _json_or_none(value: Any) -> str | None:
    return None if value is None else payload.write(value)


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


def _execution_completed(now: str, status: str, result: str | None) -> Event:
    return event(
        EventType.EXECUTION_COMPLETED,
        now,
        OrchestrationStatus=status,
        Result=result,
        FailureDetails=None,
    )


def _failed(
    kind: EventType, now: str, task_id: int, reason: str, details: str | None = None
) -> Event:
    return event(
        kind, now, TaskScheduledId=task_id, Reason=reason, Details=details, FailureDetails=None
    )


def _unknown(kind: str, name: str, worker: Worker) -> str:
    if name.lower() in worker.left_out:
        return worker.left_out[name.lower()]
    code = worker.activities if kind == "activity" else worker.orchestrators
    known = ", ".join(f"'{name}'" for name in sorted(code)) or "none"
    return (
        f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. "
        f"Additional info: The following are the known {kind} functions: {known}."
    )
