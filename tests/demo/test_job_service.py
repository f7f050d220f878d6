import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.jobs import JobRunner, Status
from demo.stack import JobService
from tests.demo.processes import children, is_gone, wait_until

LONG = 60.0

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def submit(service: JobService, workload: str, seconds: float) -> dict[str, Any]:
    body = {"workload": workload, "seconds": seconds}
    answer = requests.post(f"{service.url}/jobs", json=body, timeout=60)
    assert answer.status_code == 201
    job: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/jobs/{job['id']}"
    return job


def job(service: JobService, job_id: str) -> dict[str, Any]:
    answer = requests.get(f"{service.url}/jobs/{job_id}", timeout=60)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def cancel(service: JobService, job_id: str) -> requests.Response:
    return requests.post(f"{service.url}/jobs/{job_id}/cancel", timeout=60)


def wait_for_status(service: JobService, job_id: str, status: str) -> dict[str, Any]:
    wait_until(lambda: job(service, job_id)["status"] == status)
    return job(service, job_id)


def test_a_job_runs_to_its_result(job_service: JobService) -> None:
    started = submit(job_service, "primes", 0.5)
    done = wait_for_status(job_service, started["id"], "completed")

    assert started["status"] in {"queued", "processing"}
    assert done["progress"] == 100
    assert "primes below" in done["message"]


def test_a_job_at_work_shows_its_progress(job_service: JobService) -> None:
    job_id = submit(job_service, "checksum", 10)["id"]
    wait_until(lambda: job(job_service, job_id)["progress"] > 0)

    seen = job(job_service, job_id)
    assert cancel(job_service, job_id).status_code == 200
    assert seen["status"] == "processing"
    assert "MiB hashed" in seen["message"]


def test_a_job_that_fails_says_why(job_service: JobService) -> None:
    job_id = submit(job_service, "crash", 0.5)["id"]

    failed = wait_for_status(job_service, job_id, "failed")
    assert failed["message"].startswith("gave up at ")
    assert failed["progress"] < 100


def test_a_cancelled_job_is_over(job_service: JobService) -> None:
    job_id = submit(job_service, "primes", LONG)["id"]
    wait_for_status(job_service, job_id, "processing")

    answer = cancel(job_service, job_id)
    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    assert cancel(job_service, job_id).status_code == 409
    assert job(job_service, job_id)["status"] == "cancelled"


def test_a_job_waits_for_a_slot(job_service: JobService) -> None:
    busy = [submit(job_service, "primes", LONG)["id"] for _ in range(4)]
    for each in busy:
        wait_for_status(job_service, each, "processing")
    waiting = submit(job_service, "primes", 0.1)["id"]

    assert job(job_service, waiting)["status"] == "queued"
    for each in busy:
        cancel(job_service, each)
    wait_for_status(job_service, waiting, "completed")


def test_jobs_are_listed_newest_first(job_service: JobService) -> None:
    ids = [submit(job_service, "primes", 0.1)["id"] for _ in range(3)]

    listed = requests.get(f"{job_service.url}/jobs", timeout=60).json()["jobs"]
    assert [each["id"] for each in listed[:3]] == ids[::-1]


@pytest.mark.parametrize(
    ("body", "faulty"),
    [
        (b"", ["body"]),
        (b"{", ["body"]),
        (b"\xff", ["body"]),
        (b"[]", ["body"]),
        (b"{}", ["workload"]),
        (b'{"workload": "rm -rf"}', ["workload"]),
        (b'{"workload": "primes", "seconds": 0.09}', ["seconds"]),
        (b'{"workload": "primes", "seconds": 601}', ["seconds"]),
        (b'{"workload": "primes", "seconds": NaN}', ["seconds"]),
        (b'{"workload": "primes", "seconds": true}', ["seconds"]),
        (b'{"workload": 1, "seconds": "1", "command": "ls"}', ["workload", "seconds", "command"]),
    ],
)
def test_every_fault_of_a_request_is_named(
    job_service: JobService, body: bytes, faulty: list[str]
) -> None:
    answer = requests.post(f"{job_service.url}/jobs", data=body, timeout=60)

    assert answer.status_code == 400
    assert [fault.split(":")[0] for fault in answer.json()["faults"]] == faulty


def test_an_unknown_job_is_not_found(job_service: JobService) -> None:
    answer = requests.get(f"{job_service.url}/jobs/job-00000000", timeout=60)

    assert answer.status_code == 404
    assert answer.json()["error"]
    assert cancel(job_service, "job-00000000").status_code == 404


@linux_only
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_jobs_end_with_the_service(tmp_path: Path, number: signal.Signals) -> None:
    with JobService(tmp_path / "jobs.log") as service:
        submit(service, "primes", LONG)
        wait_until(lambda: bool(children(service.pid)))
        working = children(service.pid)
        service.signal(number)
        wait_until(lambda: not service.running)

        wait_until(lambda: all(map(is_gone, working)))
        assert "Traceback" not in service.log.read_text()


async def test_only_the_last_ended_jobs_are_kept() -> None:
    runner = JobRunner(slots=1, keep=2)
    jobs = [runner.submit("primes", LONG) for _ in range(4)]
    for each in jobs:
        await runner.cancel(each)

    assert runner.newest_first() == [jobs[3], jobs[2]]
    assert runner.find(jobs[0].id) is None
    assert jobs[0].status is Status.CANCELLED
    await runner.close()
