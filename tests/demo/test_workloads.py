import json
import subprocess
import sys

import pytest

from demo.part import ROOT
from demo.workloads import WORKLOADS, primes_in


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo.workloads", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("start", "stop", "count"),
    [(2, 3, 1), (4, 5, 0), (2, 11, 4), (11, 12, 1), (2, 10_000, 1_229), (10_000, 100_000, 8_363)],
)
def test_primes_are_counted(start: int, stop: int, count: int) -> None:
    assert primes_in(start, stop) == count


@pytest.mark.parametrize("name", ["primes", "checksum"])
def test_a_workload_reports_progress_and_its_result(name: str) -> None:
    done = run(name, "--seconds", "0.6")

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    progress = [line["progress"] for line in lines]
    assert (done.returncode, done.stderr) == (0, "")
    assert len(progress) >= 2
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert any(digit in lines[-1]["message"] for digit in "123456789")


def test_the_crash_fails_on_the_way_with_its_reason() -> None:
    done = run("crash", "--seconds", "0.5")

    assert done.returncode == 1
    assert done.stderr.startswith("gave up at ")
    assert '"progress": 100' not in done.stdout


@pytest.mark.parametrize("seconds", ["0", "0.09", "600.1", "nan", "soon"])
def test_seconds_out_of_range_are_refused(seconds: str) -> None:
    done = run("primes", "--seconds", seconds)

    assert done.returncode == 2
    assert "--seconds" in done.stderr


def test_there_is_a_fixed_choice() -> None:
    assert run("rm").returncode == 2
    assert set(WORKLOADS) == {"primes", "checksum", "crash"}
