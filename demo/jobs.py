"""The jobs of the demo's job service: each is a child process, as many at once as there are slots.

A request chooses a workload by name; the command is always the same. Jobs live in memory and
end with the service.
"""

import asyncio
import json
import secrets
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_ROOT = Path(__file__).parent.parent


class Status(StrEnum):
    """The life of a job."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_ENDED = {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


@dataclass
class Job:
    """One job and what is known of it."""

    id: str
    workload: str
    seconds: float
    status: Status = Status.QUEUED
    progress: int = 0
    message: str = "waiting for a free slot"

    @property
    def ended(self) -> bool:
        """Whether the job is over."""
        return self.status in _ENDED

    def to_wire(self) -> dict[str, object]:
        """The job as the HTTP API shows it."""
        return {
            "id": self.id,
            "status": self.status.value,
            "progress": self.progress,
            "message": self.message,
        }


class JobRunner:
    """Runs jobs; keeps the last `keep` that ended."""

    def __init__(self, slots: int, keep: int = 1_000) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._keep = keep
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def submit(self, workload: str, seconds: float) -> Job:
        """Take a job in; it starts when a slot is free."""
        job = Job(f"job-{secrets.token_hex(4)}", workload, seconds)
        self._jobs[job.id] = job
        task = asyncio.create_task(self._run(job))
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tidy(job.id))
        return job

    def find(self, job_id: str) -> Job | None:
        """The job with that id."""
        return self._jobs.get(job_id)

    def newest_first(self) -> list[Job]:
        """All jobs that are known."""
        return list(reversed(self._jobs.values()))

    async def cancel(self, job: Job) -> None:
        """End a job that hasn't ended, and return when its process is gone."""
        job.status = Status.CANCELLED
        job.message = f"cancelled at {job.progress} percent"
        task = self._tasks[job.id]
        task.cancel()
        await asyncio.wait([task])

    async def close(self) -> None:
        """End everything that runs or waits."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        async with self._slots:
            job.status, job.message = Status.PROCESSING, "starting"
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "demo.workloads", job.workload),
                *("--seconds", str(job.seconds)),
                cwd=_ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # Ctrl-C in a terminal reaches the service only, which then ends its jobs.
                start_new_session=True,
            )
            try:
                _, errors = await asyncio.gather(_follow(process, job), _read_errors(process))
                code = await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            if code == 0:
                job.status, job.progress = Status.COMPLETED, 100
            else:
                job.status = Status.FAILED
                job.message = errors[-1] if errors else f"ended with code {code}"

    def _tidy(self, job_id: str) -> None:
        del self._tasks[job_id]
        ended = [job.id for job in self._jobs.values() if job.ended]
        for old in ended[: max(0, len(ended) - self._keep)]:
            del self._jobs[old]


async def _follow(process: asyncio.subprocess.Process, job: Job) -> None:
    assert process.stdout is not None  # noqa: S101 - asked for above; mypy can't know
    async for line in process.stdout:
        report = json.loads(line)
        job.progress, job.message = report["progress"], report["message"]


async def _read_errors(process: asyncio.subprocess.Process) -> list[str]:
    assert process.stderr is not None  # noqa: S101
    return (await process.stderr.read()).decode(errors="replace").strip().splitlines()
