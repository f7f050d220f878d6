"""DBOS: a workflow for each job, with a step for each poll and one for the end.

Usage: `dbos_workflows.py URL STATE ENDS`; each line `PREFIX COUNT` of the input begins so many
watches. A new process goes on with those that the state holds.
"""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# DBOS is in a venv of its own.

import asyncio
import sys
import time
from pathlib import Path

import aiohttp
from dbos import DBOS, DBOSConfig, SetWorkflowID

_URL, _STATE, _ENDS = sys.argv[1:]
_sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}


def _session() -> aiohttp.ClientSession:
    loop = asyncio.get_running_loop()
    if loop not in _sessions:
        _sessions[loop] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100))
    return _sessions[loop]


@DBOS.step()
async def poll(job_id: str) -> str:
    async with _session().get(f"{_URL}/jobs/{job_id}") as answer:
        return str((await answer.json())["status"])


@DBOS.step()
async def store(job_id: str) -> None:
    with Path(_ENDS).open("a") as ends:  # noqa: ASYNC230 - a line; the others do the same
        ends.write(f"{job_id} {time.time()}\n")


@DBOS.workflow()
async def watch(job_id: str) -> None:
    while await poll(job_id) != "completed":
        await DBOS.sleep_async(1)
    await store(job_id)


async def main() -> None:
    config: DBOSConfig = {
        "name": "watches",
        "system_database_url": f"sqlite:///{_STATE}/dbos.sqlite",
        "application_version": "1",
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        prefix, count = line.split()
        for number in range(int(count)):
            with SetWorkflowID(f"{prefix}-{number}"):
                await DBOS.start_workflow_async(watch, f"{prefix}-{number}")


asyncio.run(main())
