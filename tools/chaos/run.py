"""One run: start the parts, let all go on at once, wait for the ends, judge.

1. Azurite, the job system, the receiver of notices and the host start; callers start monitors,
   while the parts are broken.
2. Then the host starts a last time, and nothing is broken any more. The watchdog does its work at
   that start, or at another one if there was something that it could not see yet.
3. When every monitor has ended and each end is told, or at the deadline, the judge compares.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from adapters.monitor_table import MonitorTable
from demo.azurite import Azurite
from demo.stack import Host
from domain.monitors.monitor_id import monitor_id
from domain.notices.notice import Event
from tests.api import Api
from tools.chaos.breaker import Breaker, Pace
from tools.chaos.callers import Callers
from tools.chaos.job_system import JobSystem
from tools.chaos.judge import Judge, Verdict, still_live
from tools.chaos.plan import TERMINATES, Do, Plan
from tools.chaos.receiver import ALL, BAD, Receiver

_SAY_EVERY = 15.0  # seconds
_WATCHDOG_PATIENCE = 5.0  # seconds for it to do what it does at the host's start
_GRACE = 30.0  # seconds for the callers to give up
_OF_A_JOB = 0.2  # seconds that the ends of many jobs may take for each of them


@dataclass
class Result:
    """The figures of a run."""

    verdict: Verdict
    starts: int
    accepted: int
    kills: int
    restarts: int
    polls: int
    answers: dict[str, int]


def _say_nothing(_: str) -> None:
    pass


async def run(
    plan: Plan,
    folder: Path,
    pace: Pace,
    say: Callable[[str], None] = _say_nothing,
    *,
    patience: float = 300,
) -> Result:
    """Run a plan.

    Args:
        plan: What is to happen.
        folder: For data and logs.
        pace: How often parts break.
        say: Told how far it is.
        patience: Seconds for the ends to come, once nothing is broken any more; many jobs get more.
    """
    patience = max(patience, len(plan.jobs) * _OF_A_JOB)
    azurite = Azurite(folder / "azurite", folder / "azurite.log")
    host = Host(folder / "hub.db", folder / "host.log")
    host.healthy_only = False  # it is also started without a store
    with ExitStack() as started:
        async with JobSystem(plan) as jobs, Receiver(plan.random("receiver")) as receiver:
            await asyncio.to_thread(started.enter_context, azurite)
            sources = folder / "sources.toml"
            sources.write_text(jobs.sources + receiver.channels, encoding="utf-8")
            host.environment = {
                "AzureWebJobsStorage": azurite.connection_string,
                "JOB_SOURCES_FILE": str(sources),
            }
            await asyncio.to_thread(started.enter_context, host)
            table = MonitorTable.connect(connection=azurite.connection_string)
            jobs.begin = time.time()
            end = jobs.begin + plan.seconds
            callers = Callers(plan, f"{host.url}/api", jobs, end + patience)
            breaker = Breaker(plan, azurite, host, pace)
            asking = asyncio.create_task(callers.run())
            await asyncio.gather(
                _break_until(end, breaker, callers, say), receiver.break_until(end)
            )
            await asyncio.to_thread(host.start)
            calm = time.time()
            say("Nothing is broken any more; waiting for the ends")
            restarts = await asyncio.to_thread(
                _wait_for_ends, host, table, plan, patience, asking.done
            )
            await asyncio.wait_for(asking, _GRACE)
            died = {"host": [*breaker.kills, *restarts], "receiver": receiver.kills}
            judge = Judge(
                table, Api(host.url), jobs, callers, calm, restarts, receiver.arrivals, died
            )
            verdict = await asyncio.to_thread(judge.judge)
            verdict.wrong += [f"signed wrongly: {each}" for each in receiver.refused]
            # The host goes before those that it calls: nobody closes a connection that comes later.
            await asyncio.to_thread(started.close)
            return Result(
                verdict,
                starts=callers.asked,
                accepted=len(callers.accepted),
                kills=len(breaker.kills),
                restarts=breaker.restarts,
                polls=sum(map(len, jobs.polls.values())),
                answers=dict(callers.client.answers),
            )


async def _break_until(
    end: float, breaker: Breaker, callers: Callers, say: Callable[[str], None]
) -> None:
    """Have parts broken until then, and tell how far the callers are."""
    breaking = asyncio.gather(
        asyncio.to_thread(breaker.kill_hosts), asyncio.to_thread(breaker.restart_azurite)
    )
    try:
        while (left := end - time.time()) > 0 and not breaking.done():
            say(
                f"{len(callers.accepted):,} of {callers.asked:,} starts accepted, "
                f"{len(breaker.kills)} kills, {breaker.restarts} restarts of Azurite"
            )
            await asyncio.sleep(min(_SAY_EVERY, left))
    finally:
        breaker.stop.set()  # also at Ctrl-C: the threads would go on for ever
        await breaking


def _wait_for_ends(
    host: Host, table: MonitorTable, plan: Plan, patience: float, answered: Callable[[], bool]
) -> list[float]:
    """Return when all callers are answered, no monitor is said to be live, and no end waits.

    Give up after `patience` seconds. After each fifth of them start the host again, to have the
    watchdog run, which does so every five minutes otherwise.
    The watchdog finds terminated instances, wakes suspended ones that are to end, and completes the
    writes that kills cut off.

    Returns:
        When the host was started again.
    """
    by_watchdog = {
        monitor_id(job.source, job.id) for job in plan.jobs if job.has(*TERMINATES, Do.SUSPEND)
    }
    restarts: list[float] = []
    started = time.time()
    deadline = started + patience
    while time.time() < deadline and (
        (live := still_live(table)) or not answered() or _untold(table)
    ):
        others = time.time() < started + patience / 5
        if time.time() > started + _WATCHDOG_PATIENCE and (
            not others
            or (live and answered() and all(_ended(table, each) for each in live - by_watchdog))
        ):
            host.stop()
            restarts.append(time.time())  # not before, as in `Breaker`
            host.start()
            started = time.time()
        time.sleep(0.5)
    return restarts


def _untold(table: MonitorTable) -> bool:
    """Whether the end of a monitor waits for a channel.

    A writer that died may have left an entry without a notice.
    """
    outbox = table.outbox
    return any(
        filed
        and filed.notice
        and filed.told[name].state == "waiting"
        and filed.notice.event is Event.ENDED
        for name in (ALL, BAD)
        for filed in outbox.find_many(outbox.waiting(name))
    )


def _ended(table: MonitorTable, id_: str) -> bool:
    row = table.get(id_)
    return row is not None and row.state.final
