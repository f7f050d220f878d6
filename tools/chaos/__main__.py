"""`make chaos`: 1,000 monitors while host, store and receiver die at random; nothing may be lost.

The seed is printed first; with `--seed` the same jobs, callers and kills come again, though not at
the same instants. The exit code is 0 if nothing was lost, doubled, wrong or untold.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from random import SystemRandom

from rich.console import Console
from rich.table import Table

from tools.bench.figures import percentile
from tools.chaos.breaker import Pace
from tools.chaos.kinds import make_plan
from tools.chaos.run import Result, run

_SHOWN = 20


def main() -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--monitors", type=int, default=1_000)
    parser.add_argument("--swept", type=float, default=0.5, help="the share that is swept (0.5)")
    parser.add_argument("--minutes", type=float, default=4.0, help="how long things break (4)")
    parser.add_argument("--keep", type=Path, help="a folder for data and logs, which stay there")
    options = parser.parse_args()
    console = Console(width=120)
    console.print(f"Seed {options.seed}")
    began = time.monotonic()

    def say(text: str) -> None:
        console.out(f"{time.monotonic() - began:5.0f} s  {text}", highlight=False)

    plan = make_plan(options.seed, options.monitors, options.minutes * 60, options.swept)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        result = asyncio.run(run(plan, options.keep or Path(name), Pace(), say))
    _show(result, console)
    return 1 if result.verdict.faults else 0


def _show(result: Result, console: Console) -> None:
    verdict = result.verdict
    for fault in verdict.faults[:_SHOWN]:
        console.print(fault, style="red", highlight=False, markup=False)
    answers = ", ".join(f"{name} {count:,}" for name, count in sorted(result.answers.items()))
    console.print(f"Answers to those who insist: {answers}", highlight=False)
    told = verdict.told
    again = ", ".join(f"{count:,} as {why}" for why, count in sorted(told.repeats.items()))
    console.print(
        f"Ends told: {told.told:,} in {told.messages:,} messages, {len(told.untold):,} untold; "
        f"told again: {again or 'none'}, {len(told.unexplained):,} without a reason",
        highlight=False,
    )
    table = Table("", "Starts", "Accepted", "Kills", "Restarts", "Polls")
    for name in ("Lost", "Doubled", "Wrong", "Lag p50", "p95", "max"):
        table.add_column(name)
    table.columns[0].min_width = len("undisturbed")
    for column in table.columns[1:]:
        column.justify = "right"
    counts = (result.starts, result.accepted, result.kills, result.restarts, result.polls)
    faults = (len(verdict.lost), len(verdict.doubled), len(verdict.wrong))
    lags = _lags(verdict.lags)
    table.add_row("all", *(f"{count:,}" for count in (*counts, *faults)), *lags)
    table.add_row("undisturbed", *[""] * 8, *_lags(verdict.calm_lags))
    console.print(table)


def _lags(seconds: list[float]) -> list[str]:
    ordered = sorted(seconds)
    return [f"{percentile(ordered, each):.1f} s" for each in (50, 95, 100)] if ordered else []


if __name__ == "__main__":
    sys.exit(main())
