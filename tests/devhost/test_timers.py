"""Timer triggers on a clock that jumps: what a call is given, missed runs, retries."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from devhost import timers
from devhost.app import App, FunctionInfo
from devhost.store import Store

START = datetime(2030, 1, 1, tzinfo=UTC)
HOURLY = "0 0 * * * *"


class JumpingClock:
    """Each sleep is over at once; so many times, then whoever sleeps is cancelled."""

    def __init__(self, sleeps: int) -> None:
        self.time, self.left = START, sleeps

    def now(self) -> datetime:
        return self.time

    def wait(self, *_: object) -> None:
        raise NotImplementedError

    async def sleep(self, until: datetime) -> None:
        if not self.left:
            raise asyncio.CancelledError
        self.left -= 1
        self.time = max(self.time, until)


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store(":memory:")) as store:
        yield store


def run(
    store: Store,
    clock: JumpingClock,
    call: Callable[..., Any],
    schedule: str = HOURLY,
    *,
    run_on_startup: bool = False,
    use_monitor: bool = True,
    **info: Any,
) -> None:
    """Run the timer until the clock's sleeps are used up."""
    trigger = SimpleNamespace(
        name="timer",
        schedule=schedule,
        run_on_startup=run_on_startup,
        use_monitor=use_monitor,
    )
    function = FunctionInfo("Tick", "timerTrigger", trigger, call, takes_result=False, **info)
    app = App(Path(), [function])

    async def serve() -> None:
        app.worker.loop = asyncio.get_running_loop()
        with pytest.raises(asyncio.CancelledError):
            await timers.run(app, function, clock, store)

    asyncio.run(serve())


def test_a_call_is_given_its_schedule_and_the_times(store: Store) -> None:
    seen: list[Any] = []

    def note(timer: Any) -> None:
        seen.append(timer)

    run(store, JumpingClock(2), note)
    run(store, JumpingClock(1), note, "00:30", use_monitor=False)
    first, second, third = seen
    assert (first.past_due, first.schedule) == (False, {"AdjustForDST": True})
    assert first.schedule_status["Last"] == "0001-01-01T00:00:00+00:00"
    assert first.schedule_status["Next"] == "2030-01-01T01:00:00+00:00"
    assert second.schedule_status["Last"] == "2030-01-01T01:00:00+00:00"
    assert second.schedule_status["Next"] == "2030-01-01T02:00:00+00:00"
    assert (third.schedule, third.schedule_status) == ({"AdjustForDST": False}, {})


def test_a_time_span_is_an_interval(store: Store) -> None:
    times: list[datetime] = []
    clock = JumpingClock(3)
    run(store, clock, lambda timer: times.append(clock.time), "00:05:00")
    assert times == [START + timedelta(minutes=5 * n) for n in (1, 2, 3)]


def later(**by: float) -> JumpingClock:
    clock = JumpingClock(2)
    clock.time += timedelta(**by)
    return clock


@pytest.mark.parametrize(
    ("schedule", "use_monitor", "past_due"),
    [
        (HOURLY, True, [True, False]),
        (HOURLY, False, [False, False]),
        ("*/30 * * * * *", True, [False, False]),
    ],
)
def test_missed_runs_are_made_up_once(
    store: Store, schedule: str, use_monitor: bool, past_due: list[bool]
) -> None:
    """Unless the timer comes more often than once a minute, or is not monitored."""
    run(store, JumpingClock(1), lambda timer: None, schedule, use_monitor=use_monitor)
    seen: list[bool] = []
    run(
        store,
        later(days=1),
        lambda timer: seen.append(timer.past_due),
        schedule,
        use_monitor=use_monitor,
    )
    assert seen == past_due


def test_another_schedule_begins_anew(store: Store) -> None:
    run(store, JumpingClock(1), lambda timer: None)
    seen: list[bool] = []
    run(store, later(days=1), lambda timer: seen.append(timer.past_due), "0 30 * * * *")
    assert seen == [False, False]


def test_a_run_at_the_start_is_not_past_due(store: Store) -> None:
    seen: list[bool] = []
    clock = JumpingClock(1)
    run(store, clock, lambda timer: seen.append(timer.past_due), run_on_startup=True)
    assert (seen, clock.time) == ([False], START)


@pytest.mark.parametrize(
    ("retry", "delays"),
    [
        (
            {"strategy": "fixed_delay", "max_retry_count": "2", "delay_interval": "00:00:10"},
            [10, 10],
        ),
        (
            {
                "strategy": "exponential_backoff",
                "max_retry_count": "3",
                "minimum_interval": "00:00:10",
                "maximum_interval": "00:00:30",
            },
            [10, 20, 30],
        ),
    ],
)
def test_a_retry_policy_is_honoured(store: Store, retry: dict[str, str], delays: list[int]) -> None:
    """The context tells which retry it is."""
    times: list[datetime] = []
    contexts: list[Any] = []
    clock = JumpingClock(1 + len(delays))

    def fails(timer: Any, context: Any) -> None:
        times.append(clock.time)
        contexts.append(context.retry_context)
        raise SystemExit(3)

    run(store, clock, fails, retry=retry, wants_context=True)
    began = START + timedelta(hours=1)
    assert times == [began + timedelta(seconds=sum(delays[:n])) for n in range(len(delays) + 1)]
    assert contexts[0] is None
    assert [c.retry_count for c in contexts[1:]] == list(range(1, len(delays) + 1))
    assert contexts[1].exception == "SystemExit: 3"


def test_a_timer_function_that_returns_something_is_told(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    run(store, JumpingClock(1), lambda timer: True)
    assert "Function Tick without a $return binding returned a non-None value" in caplog.text


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("0 0 9 13 * Fri", "2030-09-13T09:00:00+00:00"),
        ("0 0 0 1 January tuesday", "2036-01-01T00:00:00+00:00"),
        ("0 30 9 * Feb-Mar Mon,Wednes", "2030-02-04T09:30:00+00:00"),
        ("30 9 * * 1-5", "2030-01-02T09:30:00+00:00"),
        ("0 0 */6 * * *", "2030-01-01T18:00:00+00:00"),
    ],
)
def test_a_schedule_is_read_as_ncrontab(text: str, due: str) -> None:
    """A day fits the day of the month and that of the week; names may be cut short."""
    moment = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert timers.Schedule(text).after(moment) == datetime.fromisoformat(due)
