"""The floor: an asyncio loop with a task for each job and one session. It keeps nothing on disk.

Usage: `bare_loop.py URL STATE ENDS`; each line `PREFIX COUNT` of the input begins so many watches.
"""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp

_URL, _, _ENDS = sys.argv[1:]


def _store(job_id: str) -> None:
    """The line that stands for the database of results."""
    with Path(_ENDS).open("a") as ends:
        ends.write(f"{job_id} {time.time()}\n")


async def _watch(session: aiohttp.ClientSession, job_id: str) -> None:
    due = time.monotonic()
    while True:
        async with session.get(f"{_URL}/jobs/{job_id}") as answer:
            status = (await answer.json())["status"]
        if status == "completed":
            break
        due = max(due + 1, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
    _store(job_id)


async def main() -> None:
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:
        watches = []
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            prefix, count = line.split()
            watches += [
                asyncio.create_task(_watch(session, f"{prefix}-{number}"))
                for number in range(int(count))
            ]


asyncio.run(main())
