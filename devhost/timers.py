"""Timer triggers: a task on the loop for each, woken by its schedule.

A schedule is an NCRONTAB expression or a TimeSpan, `%NAME%` taken from the app settings. As on
the real host, the last and the next time are stored, unless the timer comes more often than once
a minute or has `use_monitor=False`: a run that was missed while the host was down is made up
once, with `past_due`. `@app.retry` is honoured.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from azure.functions.timer import TimerRequest
from croniter import CroniterError, croniter

from devhost.app import App, FunctionInfo, RetryContext
from devhost.clock import Clock
from devhost.settings import AppError, time_span, with_settings
from devhost.store import Store
from devhost.worker import FunctionFailed

log = logging.getLogger("devhost.timers")

_FIELDS_WITH_SECONDS = 6
_MONITORED = timedelta(minutes=1)
_FOR_EVER = -1
_MONTHS = (
    *("", "january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


@dataclass(frozen=True)
class Schedule:
    """When a timer function is due; `text` with app settings in place."""

    text: str

    @property
    def interval(self) -> timedelta | None:
        """The interval of a TimeSpan; `None` for an NCRONTAB expression."""
        return time_span(self.text)

    def after(self, moment: datetime) -> datetime:
        """The next time after a moment."""
        if self.interval:
            return moment + self.interval
        fields = self.text.split()
        fields[-2:] = map(_in_numbers, fields[-2:], (_MONTHS, _WEEKDAYS))
        seconds_first = len(fields) == _FIELDS_WITH_SECONDS
        # In NCRONTAB a day fits both of its fields; in cron it fits one of them.
        due = croniter(" ".join(fields), moment, second_at_beginning=seconds_first, day_or=False)
        return datetime.fromtimestamp(due.get_next(), moment.tzinfo)


def _in_numbers(field: str, names: tuple[str, ...]) -> str:
    """A field of an NCRONTAB expression with numbers for names, which may be cut short."""

    def number(word: re.Match[str]) -> str:
        found = (n for n, name in enumerate(names) if name.startswith(word[0].lower()))
        return str(next(found, word[0]))

    return re.sub("[A-Za-z]+", number, field)


@dataclass(frozen=True)
class Retry:
    """The policy of `@app.retry`: `most` retries, -1 is without end, and how long between them."""

    most: int
    least: timedelta
    longest: timedelta | None

    def delay(self, number: int) -> timedelta:
        """The time before a retry, 1 is the first: fixed, or twice as long each time."""
        if self.longest is None:
            return self.least
        doubled: timedelta = self.least * 2 ** min(number - 1, 30)
        return min(doubled, self.longest)


def check(app: App) -> None:
    """Refuse schedules and retry policies that can't be read.

    Raises:
        AppError: A schedule is neither, names a setting that is not there, or never comes.
    """
    for function in app.of_kind("timerTrigger"):
        schedule = Schedule(schedule_of(function))
        try:
            # A date that never comes, such as 30 February, shows only when one asks for it.
            schedule.after(datetime.now().astimezone())
        except (CroniterError, OverflowError) as error:
            raise AppError(
                f"Function {function.name}: {schedule.text!r} is not an NCRONTAB schedule"
            ) from error
        _retry_of(function)


def schedule_of(function: FunctionInfo) -> str:
    """The schedule of a timer function, `%NAME%` replaced by the app setting.

    Raises:
        AppError: There is no such setting.
    """
    return with_settings(str(function.trigger.schedule), f"Function {function.name}")


def _retry_of(function: FunctionInfo) -> Retry:
    given = function.retry
    if given is None:
        return Retry(0, timedelta(), None)
    fixed = given.get("strategy") == "fixed_delay"
    least, longest = (
        (time_span(given.get("delay_interval") or ""), None)
        if fixed
        else (
            time_span(given.get("minimum_interval") or ""),
            time_span(given.get("maximum_interval") or ""),
        )
    )
    try:
        most = int(given.get("max_retry_count", ""))
    except ValueError:
        most = _FOR_EVER - 1
    if most < _FOR_EVER or least is None or (longest is None) != fixed:
        raise AppError(f"Function {function.name}: its retry policy {given} can't be read")
    return Retry(most, least, longest)


async def run(app: App, function: FunctionInfo, clock: Clock, store: Store) -> None:
    """Call a timer function whenever it is due, until cancelled; one call at a time."""
    timer = _Timer(app, function, clock, store)
    due = timer.first_due()
    if due < clock.now() or getattr(function.trigger, "run_on_startup", False):
        past_due = due < clock.now()
        await clock.sleep(clock.now())  # a virtual clock then knows that this is under way
        await timer.fire(past_due=past_due)
        due = timer.schedule.after(clock.now())
    while True:
        await clock.sleep(due)
        await timer.fire(past_due=False)
        due = timer.schedule.after(clock.now())


class _Timer:
    def __init__(self, app: App, function: FunctionInfo, clock: Clock, store: Store) -> None:
        self._app, self._function, self._clock, self._store = app, function, clock, store
        self.schedule = Schedule(schedule_of(function))
        self._retry = _retry_of(function)
        now = clock.now()
        first = self.schedule.after(now)
        often = self.schedule.after(first) - first < _MONITORED
        self._monitored = not often and getattr(function.trigger, "use_monitor", None) is not False

    def first_due(self) -> datetime:
        """The time that was stored, which may have passed, or the next one."""
        now = self._clock.now()
        known = self._store.timer(self._function.name) if self._monitored else None
        if known and known["Schedule"] == self.schedule.text:
            return datetime.fromisoformat(known["Next"])
        due = self.schedule.after(now)
        self._save("0001-01-01T00:00:00+00:00", due, now)
        return due

    def _save(self, last: str, due: datetime, now: datetime) -> None:
        if self._monitored:
            times = {"Last": last, "Next": due.isoformat(), "LastUpdated": now.isoformat()}
            self._store.save_timer(self._function.name, {"Schedule": self.schedule.text, **times})

    async def fire(self, *, past_due: bool) -> None:
        """Call the function, and again as its retry policy says; store that it ran."""
        began = self._clock.now()
        status = self._store.timer(self._function.name) if self._monitored else None
        request = TimerRequest(
            past_due=past_due,
            schedule={"AdjustForDST": self.schedule.interval is None},
            schedule_status=status and {k: status[k] for k in ("Last", "Next", "LastUpdated")},
        )
        number, failure = 0, await self._call(request, None)
        while failure and (number < self._retry.most or self._retry.most == _FOR_EVER):
            number += 1
            await self._clock.sleep(self._clock.now() + self._retry.delay(number))
            context = RetryContext(number, self._retry.most, failure)
            failure = await self._call(request, context)
        now = self._clock.now()
        self._save(began.isoformat(), self.schedule.after(now), now)

    async def _call(self, request: TimerRequest, retry: RetryContext | None) -> str:
        """Why the call failed; empty if it did not."""
        name = self._function.name
        try:
            result = await asyncio.wrap_future(self._app.invoke(self._function, request, retry))
        except FunctionFailed as failed:
            # The host reports a failed function and goes on; the next time it may succeed.
            log.error("Timer function %s failed: %s\n%s", name, failed, failed.trace)  # noqa: TRY400
            return str(failed)
        if result is not None and not self._function.takes_result:
            log.error("Function %s without a $return binding returned a non-None value", name)
            return "it returned a value"
        return ""
