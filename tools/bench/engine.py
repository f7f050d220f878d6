"""The cost of the local host alone: a day of polls, and thousands of waiting monitors."""

import asyncio
import json
import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from devhost.app import App
from devhost.server import Server
from devhost.testing import VirtualHost, load_once
from tools.bench.figures import Figure, cpu_and_wall, spread
from tools.bench.processes import memory_of

_APP = Path(__file__).parent / "app"


def _virtual_day(folder: Path) -> list[Figure]:
    with VirtualHost(_APP, folder / "day.db") as host:
        due = host.now.isoformat()
        host.start("watch", "one", {"polls": 0, "interval": 60, "due": due})
        with cpu_and_wall() as spent:
            host.advance(hours=24)
        polls = host.status("one")["customStatus"]["polls"]
    return [
        Figure("24 virtual hours of one-minute polls, the host alone", spent.wall, "s"),
        Figure("  CPU per poll cycle (3 turns)", spent.cpu / polls * 1e3, "ms"),
        Figure("  poll cycles a second", polls / spent.wall, "/s"),
    ]


def _held(app: App, state: Path, count: int, interval: int, rounds: int) -> list[Figure]:
    figures = asyncio.run(_hold(app, state, count, interval, rounds))
    size = state.stat().st_size / count / 1024
    return [*figures, Figure("  state file per waiting monitor", size, "KiB")]


async def _hold(app: App, state: Path, count: int, interval: int, rounds: int) -> list[Figure]:
    """`count` monitors at their real interval, spread evenly over it."""
    late: list[float] = sys.modules["function_app"].late
    server = Server(app, state)
    await server.start(0)
    empty = memory_of(os.getpid())
    begin = datetime.now(UTC) + timedelta(seconds=count / 400)  # after the last start
    for number in range(count):
        due = (begin + timedelta(seconds=interval * number / count)).isoformat()
        input_ = {"polls": 0, "interval": interval, "due": due}
        server.engine.create("watch", f"m-{number}", json.dumps(json.dumps(input_)))
    await asyncio.sleep((begin - datetime.now(UTC)).total_seconds())
    waiting = memory_of(os.getpid()) - empty
    await asyncio.sleep(interval)  # the first round is for warming up
    late.clear()
    with cpu_and_wall() as spent:
        await asyncio.sleep(interval * rounds)
    seen = list(late)
    await server.stop()
    return [
        Figure(
            f"{count:,} monitors every {interval} s: polls made of those due",
            len(seen) / (count * rounds) * 100,
            "%",
        ),
        *spread("  late by", seen),
        Figure("  share of one core", spent.cpu / spent.wall * 100, "%"),
        Figure("  memory per waiting monitor", waiting / count, "KiB"),
    ]


def run() -> list[Figure]:
    """Take the figures; about two minutes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = _virtual_day(folder)
        app = load_once(_APP)
        for count, interval, rounds in ((1_000, 10, 3), (5_000, 30, 1)):
            state = folder / f"{count}.db"
            figures += _held(app, state, count, interval, rounds)
    return figures
