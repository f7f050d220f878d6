"""`make systems`: install real job systems, watch jobs of theirs, show how that went.

1. Install what is missing, each system apart from the project's own packages.
2. One system after the other: start it, start the app with it as its source, watch its jobs, end
   all of it. A receiver of messages gets some, and shows them.
3. Print the table. The exit code is 0 if all was as it must be.

Servers listen on 127.0.0.1 only. Their logs are in .local/systems/logs.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo.part import PartFailed
from tools.systems.airflow import Airflow
from tools.systems.dagster import Dagster
from tools.systems.installing import NotInstalled
from tools.systems.leftovers import end_what_killed_runs_left, folder_of_this_run
from tools.systems.matrix import Matrix
from tools.systems.prefect import Prefect
from tools.systems.ray import Ray
from tools.systems.rq import Rq
from tools.systems.slurm import Slurm
from tools.systems.system import Receiver, System
from tools.systems.telling import told
from tools.systems.watching import Line, watched

_SYSTEMS: dict[str, type[System | Receiver]] = {
    each.name: each for each in (Ray, Prefect, Airflow, Slurm, Dagster, Rq, Matrix)
}
_DEADLINE = 600  # seconds for all systems, once they are installed

Say = Callable[[str], None]


class OutOfTime(BaseException):
    """The run took too long. Not an Exception, so that no handler on the way catches it."""


def _out_of_time(_: int, __: FrameType | None) -> None:
    raise OutOfTime


def main() -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.systems", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_SYSTEMS)}")
    names = parser.parse_args().names or [*_SYSTEMS]
    if unknown := {*names} - {*_SYSTEMS}:
        parser.error(f"no such system: {', '.join(sorted(unknown))}")
    # Every way to end this command stops its servers in order.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    signal.signal(signal.SIGALRM, _out_of_time)

    console = Console(width=110)
    began = time.monotonic()

    def say(text: str) -> None:
        console.out(f"{time.monotonic() - began:5.0f} s  {text}", highlight=False)

    end_what_killed_runs_left()
    lines: list[Line] = []
    try:
        with ExitStack() as folders:
            systems = [
                _SYSTEMS[name](folders.enter_context(folder_of_this_run())) for name in names
            ]
            ready = [*_installed(systems, lines, say)]
            signal.alarm(_DEADLINE)
            for system in ready:
                _watch(system, lines, say)
            signal.alarm(0)
    except OutOfTime:
        lines.append(Line("all", "", "", problems=[f"not done after {_DEADLINE} s"]))
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    _show(lines, console)
    return 1 if any(line.problems for line in lines) else 0


def _installed(
    systems: list[System | Receiver], lines: list[Line], say: Say
) -> Iterator[System | Receiver]:
    for system in systems:
        say(f"{system.name}: installing, unless it is there")
        try:
            system.install()
        except NotInstalled as error:
            lines.append(Line(system.name, "", "install", problems=[str(error)]))
        else:
            yield system


def _watch(system: System | Receiver, lines: list[Line], say: Say) -> None:
    say(f"{system.name}: starting")
    with ExitStack() as started, folder_of_this_run() as folder:
        try:
            system.start(started)
            if isinstance(system, Receiver):
                lines.append(told(system))
                return
            app = started.enter_context(watched(system, folder))
        except PartFailed as error:
            lines.append(Line(system.name, "", "start", problems=[str(error)]))
            return
        say(f"{system.name}: {app.version} serves at {system.url}, the app at {app.api.base_url}")
        for line in app.lines():
            lines.append(line)
            say(f"{line.system}: {line.job}: {', '.join(line.problems) or line.verdict}")
        say(f"{system.name}: stopping")


def _show(lines: list[Line], console: Console) -> None:
    table = Table("System", "Version", "Job", "Verdict")
    table.add_column("Seconds from job end to stored row", justify="right", max_width=18)
    for line in lines:
        seconds = "" if line.seconds is None else f"{line.seconds:.1f}"
        verdict = "[red]" + escape("\n".join(line.problems)) if line.problems else line.verdict
        table.add_row(line.system, line.version, line.job, verdict, seconds)
    console.print(table)


if __name__ == "__main__":
    # Every request here goes to this machine.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    sys.exit(main())
