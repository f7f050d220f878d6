"""A test kit: any function app on a clock that the test moves.

    @pytest.fixture
    def host(tmp_path):
        with VirtualHost(Path("my_app"), tmp_path / "hub.db") as host:
            yield host

    def test_a_day(host):
        host.start("MyOrchestrator", "one", {"n": 0})
        host.advance(hours=24)
        assert host.status("one")["runtimeStatus"] == "Completed"

Time stands still until the test moves it. Then it jumps from one due timer to the next, durable
timer or timer trigger, whenever nothing else is left to do: a day of polls takes as long as the
polls take. History timestamps and `current_utc_datetime` follow. Activities are real: what they
ask of the network takes real time, during which the clock stands still.

`crash_at` has the host die at a named point, as `kill -9` would, `crash` wherever it is; `restart`
starts it again on the same state file. `set_clock` sets the clock as somebody may set a machine's.
"""

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devhost.app import App, load
from devhost.engine import Engine, Point
from devhost.events import EventType
from devhost.rendering import status_payload
from devhost.server import Server

_START = datetime(2030, 1, 1, tzinfo=UTC)
_PATIENCE = 120.0  # seconds of real time for one movement of the clock
_apps: dict[Path, App] = {}  # an app's index can be read once in a process


def load_once(folder: Path) -> App:
    """The app in a folder, loaded at the first call for it."""
    folder = folder.resolve()
    return _apps.get(folder) or _apps.setdefault(folder, load(folder))


class Crash(BaseException):
    """The host dies here; nothing may catch it."""


class VirtualClock:
    """Jumps to the next due time when the host has nothing else to do, up to a limit."""

    def __init__(self, start: datetime) -> None:
        self._now = self._limit = start
        self._state = threading.Condition()
        self._settled = self._dead = False
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []
        self._awake = 0
        self._halt: Callable[[], bool] | None = None
        self.engine_idle: Callable[[], bool] = lambda: True
        self.wake: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        """The time that the test has come to."""
        return self._now

    def begin(self, by: timedelta, halt: Callable[[], bool] | None = None) -> None:
        """Like `move`, without waiting for the end of it."""
        with self._state:
            self._limit, self._halt, self._settled = self._now + by, halt, False
        self.wake()

    def move(self, by: timedelta, halt: Callable[[], bool] | None = None) -> None:
        """Let the host run until that much time is over, or `halt` is true between two jumps.

        Raises:
            TimeoutError: The host was not done after two minutes of real time.
        """
        self.begin(by, halt)
        with self._state:
            if not self._state.wait_for(lambda: self._settled or self._dead, _PATIENCE):
                raise TimeoutError(f"the host did not come to rest; its clock is at {self._now}")

    def set(self, by: timedelta) -> None:
        """Set the time forward or back at once; what was due in between is late."""
        self._now += by

    def reset(self) -> None:
        """Forget the sleepers of a host that is gone; the time stays."""
        with self._state:
            self._sleepers, self._awake, self._settled, self._dead = [], 0, True, False

    def settle(self, *, dead: bool = False) -> None:
        """End a `move`: the host came to rest, or died and moves no more."""
        with self._state:
            self._settled, self._dead = True, dead
            self._state.notify_all()

    def wait(self, wake: threading.Event, until: datetime | None) -> None:
        """Called by the dispatcher when no message is ready: jump, or come to rest."""
        if self.engine_idle() and not self._awake and not wake.is_set() and not self._settled:
            due = min((d for d in (until, *(d for d, _ in self._sleepers)) if d), default=None)
            if (self._halt and self._halt()) or due is None or due > self._limit:
                if not self._halt:
                    self._now = max(self._now, self._limit)
                self.settle()
            else:
                self._now = max(self._now, due)
                self._rouse()
                return
        wake.wait()

    async def sleep(self, until: datetime) -> None:
        """A timer trigger sleeps; while it is awake, the clock stands still."""
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((until, future))
        with self._state:
            self._awake = max(self._awake - 1, 0)
        self.wake()
        try:
            await future
        finally:
            self._sleepers = [s for s in self._sleepers if s[1] is not future]

    def _rouse(self) -> None:
        for due, future in [s for s in self._sleepers if s[0] <= self._now]:
            self._sleepers.remove((due, future))
            with self._state:
                self._awake += 1
            future.get_loop().call_soon_threadsafe(future.set_result, None)


class VirtualHost:
    """A host with its app in this process, on a virtual clock and a loop of its own."""

    def __init__(self, app: Path, state: Path, start: datetime = _START) -> None:
        """Load the app; entering the context starts it. `start` is the time it begins at."""
        self._app = load_once(app)
        self._state = state
        self._crash_points: list[tuple[Point, Callable[[str], bool]]] = []
        self.clock = VirtualClock(start)
        self.crashed = False
        self.url = ""

    # -- life -----------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="host")
        self._thread.start()
        self._boot()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def restart(self, *, lose_state: bool = False) -> None:
        """Stop, in order if the host did not crash, and start again on the same state file.

        With `lose_state` the task hub is gone, as if its storage had been deleted.
        """
        self._run(self._server.stop())
        if lose_state:
            for file in self._state.parent.glob(f"{self._state.name}*"):
                file.unlink()
        self._boot()

    def crash_at(self, point: Point, matching: Callable[[str], bool] = lambda _id: True) -> None:
        """Have the host die when it next comes to a point with an instance that matches."""
        self._crash_points.append((point, matching))

    def crash(self) -> Crash:
        """Have the host die now. What is under way raises what this returns, and does no more."""
        self.crashed = True
        crash = Crash("here")
        self._engine.die(crash)
        self.clock.settle(dead=True)
        return crash

    def _boot(self) -> None:
        self.crashed = False
        self.clock.reset()
        self._server = Server(self._app, self._state, self.clock, on_point=self._reached)
        self.clock.engine_idle = lambda: self._engine.idle
        self.clock.wake = self._engine.wake
        self.url = self._run(self._server.start(0))

    def _reached(self, point: Point, id_: str) -> None:
        for entry in self._crash_points:
            if entry[0] is point and entry[1](id_):
                self._crash_points.remove(entry)
                self.crashed = True
                self.clock.settle(dead=True)
                raise Crash(point)

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_PATIENCE)

    # -- what a test does -----------------------------------------------------------------

    @property
    def _engine(self) -> Engine:
        return self._server.engine

    @property
    def now(self) -> datetime:
        """The host's time."""
        return self.clock.now()

    def advance(self, **by: float) -> None:
        """Move the clock by `hours=...`, `minutes=...`, ... as `timedelta` takes them."""
        self.clock.move(timedelta(**by))

    def set_clock(self, **by: float) -> None:
        """Set the clock forward, or back with a negative number, at once."""
        self.clock.set(timedelta(**by))

    def run_until(self, condition: Callable[[], bool], **within: float) -> None:
        """Move the clock until `condition` holds, looked at whenever the host is at rest.

        Args:
            condition: What to wait for.
            within: The virtual time it may take, as for `advance`; default two days.

        Raises:
            AssertionError: It did not come true in time.
        """
        self.clock.move(timedelta(**(within or {"days": 2})), halt=condition)
        if not self.crashed and not condition():
            raise AssertionError(f"still not so at {self.now}")

    def wait_for(self, id_: str, *statuses: str, **within: float) -> dict[str, Any]:
        """Move the clock until an instance has one of the statuses; default: it ended."""
        wanted = statuses or ("Completed", "Failed", "Terminated")

        def reached() -> bool:
            instance = self._server.store.instance(id_)
            return instance is not None and instance.status in wanted

        self.run_until(reached, **within)
        return self.status(id_)

    def start(self, name: str, id_: str, input_: object = None) -> None:
        """Start an orchestration, as the SDK's client does."""
        self._engine.create(name, id_, json.dumps(json.dumps(input_)))

    def raise_event(self, id_: str, name: str, data: object = None) -> None:
        """Send an external event, as a plain HTTP caller does."""
        self._engine.send(id_, EventType.EVENT_RAISED, Name=name, Input=json.dumps(data))

    def terminate(self, id_: str, reason: str = "") -> None:
        """Terminate an instance, as the management API does."""
        self._engine.send(id_, EventType.EXECUTION_TERMINATED, Input=reason)

    def suspend(self, id_: str) -> None:
        """Suspend an instance, as the management API does."""
        self._engine.send(id_, EventType.EXECUTION_SUSPENDED, Reason=None)

    def resume(self, id_: str) -> None:
        """Resume an instance, as the management API does."""
        self._engine.send(id_, EventType.EXECUTION_RESUMED, Reason=None)

    def status(self, id_: str) -> dict[str, Any]:
        """The status payload of an instance, with its history; KeyError if there is none."""
        instance = self._server.store.instance(id_)
        if instance is None:
            raise KeyError(id_)
        history = self._server.store.history(id_)
        return status_payload(instance, history=history, show_output=True)
