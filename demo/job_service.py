"""A small job system over HTTP, for the demo and the tests to watch.

`python -m demo.job_service --port 8077` serves, on 127.0.0.1 only:

- `POST /jobs` with `{"workload": "primes", "seconds": 15}`: 201 and the job
- `GET /jobs`, `GET /jobs/{id}`: the jobs, newest first; one job
- `POST /jobs/{id}/cancel`: 200 and the job, 409 when it has ended already

A job is `{"id", "status", "progress", "message"}`; an error is `{"error", "faults"}`.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from demo.jobs import Job, JobRunner
from demo.workloads import DEFAULT_SECONDS, MAX_SECONDS, MIN_SECONDS, WORKLOADS
from devhost.loopback import foreign

_HOST = "127.0.0.1"
_RUNNER = web.AppKey("runner", JobRunner)


class JobRequest(BaseModel):
    """The body of `POST /jobs`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    workload: str
    seconds: float = Field(DEFAULT_SECONDS, ge=MIN_SECONDS, le=MAX_SECONDS)

    @field_validator("workload")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in WORKLOADS:
            raise ValueError(f"must be one of {', '.join(WORKLOADS)}")
        return name


def _error(status: int, text: str, faults: list[str] | None = None) -> web.Response:
    return web.json_response({"error": text, "faults": faults or []}, status=status)


def _faults(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()
    ]


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if refusal := foreign(request):
        return _error(403, refusal)
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _error(error.status, error.reason)


def _job(request: web.Request) -> Job:
    job = request.app[_RUNNER].find(request.match_info["id"])
    if job is None:
        raise web.HTTPNotFound(reason="There is no such job.")
    return job


async def submit(request: web.Request) -> web.Response:
    """Start a job."""
    try:
        wanted = JobRequest.model_validate_json(await request.read())
    except ValidationError as error:
        return _error(400, "The job is not valid.", _faults(error))
    job = request.app[_RUNNER].submit(wanted.workload, wanted.seconds)
    return web.json_response(job.to_wire(), status=201, headers={"Location": f"/jobs/{job.id}"})


async def show(request: web.Request) -> web.Response:
    """One job."""
    return web.json_response(_job(request).to_wire())


async def show_all(request: web.Request) -> web.Response:
    """All jobs, newest first."""
    jobs = request.app[_RUNNER].newest_first()
    return web.json_response({"jobs": [job.to_wire() for job in jobs]})


async def cancel(request: web.Request) -> web.Response:
    """End a job."""
    job = _job(request)
    if job.ended:
        return _error(409, f"The job is {job.status} already.")
    await request.app[_RUNNER].cancel(job)
    return web.json_response(job.to_wire())


def make_app(slots: int) -> web.Application:
    """The service as an aiohttp application."""
    app = web.Application(middlewares=[_errors_as_json], client_max_size=64 * 1024)

    async def run_jobs(app: web.Application) -> AsyncIterator[None]:
        app[_RUNNER] = runner = JobRunner(slots)
        yield
        await runner.close()

    app.cleanup_ctx.append(run_jobs)
    app.add_routes(
        [
            web.post("/jobs", submit),
            web.get("/jobs", show_all),
            web.get("/jobs/{id}", show),
            web.post("/jobs/{id}/cancel", cancel),
        ]
    )
    return app


async def serve(port: int, slots: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_app(slots), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, _HOST, port)
        await site.start()
        print(f"Job service: http://{_HOST}:{runner.addresses[0][1]}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> int:
    """Serve on the port of the command line; 0 takes a free one."""
    parser = argparse.ArgumentParser(prog="python -m demo.job_service")
    parser.add_argument("--port", type=int, default=8077)
    parser.add_argument("--slots", type=int, choices=range(1, 65), default=4, metavar="1..64")
    args = parser.parse_args()
    try:
        asyncio.run(serve(args.port, args.slots))
    except OSError as error:
        print(f"The job service can't listen on port {args.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
