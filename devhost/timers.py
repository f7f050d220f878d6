"""Timer triggers: a task on the loop for each, woken by its NCRONTAB expression."""

import logging
import os
import re

from azure.functions.timer import TimerRequest
from croniter import CroniterError, croniter

from devhost.app import App, AppError, FunctionInfo
from devhost.clock import Clock

log = logging.getLogger("devhost.timers")

_FIELDS_WITH_SECONDS = 6


def check(app: App) -> None:
    """Refuse schedules that can't be read.

    Raises:
        AppError: A schedule is not NCRONTAB, or names a setting that is not there.
    """
    for function in app.of_kind("timerTrigger"):
        schedule = schedule_of(function)
        try:
            # A date that never comes, such as 30 February, shows only when one asks for it.
            croniter(schedule, 0, second_at_beginning=_has_seconds(schedule)).get_next()
        except CroniterError as error:
            raise AppError(
                f"Function {function.name}: {schedule!r} is not an NCRONTAB schedule"
            ) from error


def schedule_of(function: FunctionInfo) -> str:
    """The schedule of a timer function, `%NAME%` replaced by the app setting."""
    schedule = str(function.trigger.schedule)
    setting = re.fullmatch("%(.+)%", schedule)
    if setting is None:
        return schedule
    if setting[1] not in os.environ:
        raise AppError(f"Function {function.name}: there is no app setting {setting[1]}")
    return os.environ[setting[1]]


async def run(app: App, function: FunctionInfo, clock: Clock) -> None:
    """Call a timer function whenever it is due, until cancelled; one call at a time."""
    schedule = schedule_of(function)
    if function.trigger.run_on_startup:
        await clock.sleep(clock.now())  # a virtual clock then knows that this is under way
        await _fire(app, function)
    while True:
        now = clock.now()
        due = croniter(schedule, now, second_at_beginning=_has_seconds(schedule))
        await clock.sleep(due.get_next(type(now)))
        await _fire(app, function)


async def _fire(app: App, function: FunctionInfo) -> None:
    try:
        await app.invoke(function, TimerRequest(past_due=False))
    except Exception:
        # The host reports a failed function and goes on; the next time it may succeed.
        log.exception("Timer function %s failed", function.name)


def _has_seconds(schedule: str) -> bool:
    return len(schedule.split()) == _FIELDS_WITH_SECONDS
