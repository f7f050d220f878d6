"""An engine without threads: a test runs its turns and its activities, on a clock that it sets."""

import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df

from devhost.activities import begin
from devhost.engine import Engine
from devhost.events import Event, EventType, moment
from devhost.settings import HostSettings
from devhost.store import Instance, Store, Task
from devhost.worker import Code, FunctionFailed

START = datetime(2030, 1, 1, tzinfo=UTC)

Generator = Callable[[df.DurableOrchestrationContext], Any]


class HandClock:
    """Stands still until it is moved, or moves by a tick whenever it is looked at."""

    def __init__(self) -> None:
        self.time = START
        self.tick = timedelta()

    def now(self) -> datetime:
        self.time += self.tick
        return self.time

    def wait(self, wake: threading.Event, until: datetime | None) -> None:
        raise NotImplementedError("an engine by hand does not wait")

    async def sleep(self, until: datetime) -> None:
        raise NotImplementedError("an engine by hand does not sleep")


@dataclass
class FakeWorker:
    """Real SDK orchestrators made of generator functions; activities from JSON to JSON text."""

    generators: Mapping[str, Generator] = field(default_factory=dict)
    activities: Code = field(default_factory=dict)
    orchestrators: Code = field(init=False)
    left_out: dict[str, str] = field(default_factory=dict)
    settings: HostSettings = field(default_factory=HostSettings)
    pool: ThreadPoolExecutor | None = None

    def call(self, name: str, code: Callable[[str], str], text: str) -> Future[str]:
        """Run at once on the caller's thread, or on the pool if there is one."""
        if self.pool:
            return self.pool.submit(_run, code, text)
        result: Future[str] = Future()
        try:
            result.set_result(_run(code, text))
        except FunctionFailed as failed:
            result.set_exception(failed)
        return result

    def __post_init__(self) -> None:
        self.orchestrators = {
            name.lower(): df.Orchestrator.create(code) for name, code in self.generators.items()
        }


def _run(code: Callable[[str], str], text: str) -> str:
    try:
        return code(text)
    except BaseException as error:  # noqa: BLE001 - as the worker does
        raise FunctionFailed(error) from None


class HandEngine(Engine):
    """Nothing moves but what the test moves."""

    def __init__(self, worker: Any, store: Store | None = None) -> None:
        self.clock = HandClock()
        super().__init__(store or Store(":memory:"), worker, self.clock)
        # Python 3.13 warns of connections that nobody closed.
        weakref.finalize(self, self.store.close)
        # What the store has to run when the process starts; see `Engine.start`.
        self.waiting: list[Task] = self.store.tasks()
        self._activities.submit = self.waiting.append  # type: ignore[assignment, method-assign]

    def _perform(self, task: Task) -> None:
        self._performed(task, begin(task, self._functions))

    def die(self, error: BaseException) -> None:
        raise error

    def turns(self) -> None:
        """Run turns until no instance has something to do now."""
        while ready := self.store.ready(self.now()):
            for id_ in ready:
                self._serve(id_)

    def perform(self, *names: str) -> None:
        """Run the waiting activities of these names, or all; then the turns that they cause."""
        chosen = [task for task in self.waiting if not names or task.name in names]
        for task in chosen:
            self.waiting.remove(task)
            self._perform(task)
        self.turns()

    def run(self) -> None:
        """Run turns and activities until all that is left is waiting."""
        self.turns()
        while self.waiting:
            self.perform()

    def sleep(self, seconds: float) -> None:
        """Move the clock, then run the turns that are due."""
        self.clock.time += timedelta(seconds=seconds)
        self.turns()

    def sleep_until_due(self) -> None:
        """Move the clock to the next timer, then run the turns that are due."""
        due = self.store.next_due()
        assert due, "there is no timer"
        self.clock.time = max(self.clock.time, moment(due))
        self.turns()

    def raise_event(self, id_: str, name: str, input_text: str = "null") -> None:
        """Send an event; the next turn brings it."""
        self.send(id_, EventType.EVENT_RAISED, Name=name, Input=input_text)

    def get(self, id_: str) -> Instance:
        """The instance, which must be there."""
        instance = self.store.instance(id_)
        assert instance is not None
        return instance

    def kinds(self, id_: str) -> list[str]:
        """The history of the generation as names, without the bounds of turns."""
        bounds = (EventType.ORCHESTRATOR_STARTED, EventType.ORCHESTRATOR_COMPLETED)
        return [kind.name for kind in map(_kind, self.store.history(id_)) if kind not in bounds]


def _kind(entry: Event) -> EventType:
    return EventType(entry["EventType"])
