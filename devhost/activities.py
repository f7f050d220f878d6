"""Activities: as many at once as host.json allows, and what the orchestrator hears of each."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from devhost import payload
from devhost.events import Event, EventType, event, failure
from devhost.store import Task
from devhost.worker import FunctionFailed, Functions, unknown

log = logging.getLogger("devhost.activities")


class Activities:
    """Has the activities of an engine run. What `performed` raises is for `performed` to tell."""

    def __init__(
        self,
        functions: Functions,
        most: int,
        performed: Callable[[Task, Future[str]], None],
        wake: Callable[[], None],
    ) -> None:
        """Set up.

        Args:
            functions: The app's code.
            most: How many run at once; the others wait.
            performed: Called with each that ended.
            wake: Called after `performed`, when the activity counts no more.
        """
        self._functions = functions
        self._most = most
        self._performed = performed
        self._wake = wake
        self._places = threading.Condition()
        self._running: set[Future[str]] = set()
        self._queued: deque[Task] = deque()
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether none is running or waiting for its place."""
        with self._places:
            return not self._running and not self._queued

    def submit(self, task: Task) -> None:
        """Have an activity run, now or when there is a place."""
        with self._places:
            if not self._closed:
                self._queued.append(task)
        self._fill_places()

    def close(self) -> None:
        """Begin no more."""
        with self._places:
            self._closed = True
            self._queued.clear()

    def join(self, seconds: float) -> bool:
        """Wait that long for those that run, and say whether all ended."""
        with self._places:
            return self._places.wait_for(lambda: not self._running, seconds)

    def _fill_places(self) -> None:
        while True:
            with self._places:
                if self._closed or not self._queued or len(self._running) >= self._most:
                    return
                task = self._queued.popleft()
                running = begin(task, self._functions)
                self._running.add(running)
            running.add_done_callback(partial(self._ended, task))

    def _ended(self, task: Task, running: Future[str]) -> None:
        try:
            self._performed(task, running)
        finally:
            with self._places:
                self._running.discard(running)
                self._places.notify_all()
            self._fill_places()
            self._wake()


def begin(task: Task, functions: Functions) -> Future[str]:
    """Begin an activity; one that is not there any more has failed."""
    activity = functions.activities.get(task.name.lower())
    if activity is not None:
        return functions.call(task.name, activity, task.input or "null")
    lost: Future[str] = Future()
    lost.set_exception(FunctionFailed(unknown("activity", task.name, functions)))
    return lost


def outcome(task: Task, running: Future[str], carries: Callable[[str], bool], at: str) -> Event:
    """The message that an activity ends with; `carries` says whether a queue takes a text."""
    trace = ""
    try:
        result = payload.rewritten(running.result())
        failed = "" if carries(result) else payload.UNFIT
    except FunctionFailed as error:
        failed, trace = str(error), error.trace
        failed = failed if carries(failed) else payload.UNFIT
    except (ValueError, RecursionError) as error:
        failed = f"{type(error).__name__}: its result is no JSON: {error}"
    if not failed:
        value = None if result == "null" else result
        return event(EventType.TASK_COMPLETED, at, TaskScheduledId=task.task_id, Result=value)
    reason = f"Activity function '{task.name}' failed: {failed}"
    log.warning("%s: %s\n%s", task.instance_id, reason, trace)
    details = _exception_json(failed, trace)
    return failure(EventType.TASK_FAILED, at, task.task_id, reason, details)


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
