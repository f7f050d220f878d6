"""Work for the demo's jobs: `python -m demo.workloads primes --seconds 15`.

1. A workload is an endless generator; each step does a few milliseconds of real work and
   yields what the work has come to so far.
2. `work` takes steps until the time is over and rests three times as long as it worked, so
   that several jobs run side by side on a small machine.
3. Progress goes to stdout, one JSON object a line: `{"progress": 42, "message": "..."}`. The
   last line has progress 100 and the result.
4. A workload that fails writes the reason to stderr and exits with code 1.
"""

import argparse
import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

DEFAULT_SECONDS = 15.0
MIN_SECONDS = 0.1
MAX_SECONDS = 600.0

_DONE = 100  # percent
_REST_FACTOR = 3
_LINE_INTERVAL = 0.2  # seconds between two progress lines
_MAX_RANGE = 250_000  # numbers sieved in one step
_BLOCK = 1024 * 1024  # bytes hashed in one step


class WorkFailed(Exception):
    """The work met an error that it cannot carry on from."""


@dataclass(frozen=True)
class Workload:
    """The steps of a workload, and the percentage at which it fails, if it does."""

    steps: Callable[[], Iterator[str]]
    fails_at: int | None = None


def primes_in(start: int, stop: int) -> int:
    """How many primes there are from `start` (2 or more) up to, not including, `stop`."""
    root = math.isqrt(stop) + 1
    small = bytearray([1]) * root
    marks = bytearray([1]) * (stop - start)
    for number in range(2, root):
        if not small[number]:
            continue
        small[number * number :: number] = bytes(len(range(number * number, root, number)))
        first = max(number * number, -(-start // number) * number)
        marks[first - start :: number] = bytes(len(range(first, stop, number)))
    return sum(marks)


def count_primes() -> Iterator[str]:
    """Count primes, range after range, each larger than the one before."""
    total, start, size = 0, 2, 1_000
    while True:
        total += primes_in(start, start + size)
        start += size
        size = min(size * 2, _MAX_RANGE)
        yield f"{total:,} primes below {start:,}"


def hash_stream() -> Iterator[str]:
    """Hash an endless stream of bytes, one block a step."""
    digest, block, size = hashlib.sha256(), bytes(range(256)) * (_BLOCK // 256), 0
    while True:
        digest.update(block)
        size += 1
        yield f"{size:,} MiB hashed, SHA-256 {digest.hexdigest()[:16]}"


WORKLOADS = {
    "primes": Workload(count_primes),
    "checksum": Workload(hash_stream),
    "crash": Workload(hash_stream, fails_at=60),
}


def work(workload: Workload, seconds: float, report: Callable[[int, str], None]) -> None:
    """Work for about `seconds` and report the progress (0 to 100).

    Raises:
        WorkFailed: The workload is one that fails.
    """
    start = time.monotonic()
    steps = workload.steps()
    reported = -math.inf
    while True:
        before = time.monotonic()
        message = next(steps)
        now = time.monotonic()
        time.sleep(max(0.0, min(_REST_FACTOR * (now - before), start + seconds - now)))
        elapsed = time.monotonic() - start
        progress = min(_DONE, int(_DONE * elapsed / seconds))
        if workload.fails_at is not None and progress >= workload.fails_at:
            raise WorkFailed(f"gave up at {progress} percent: {message}")
        if progress == _DONE or elapsed - reported >= _LINE_INTERVAL:
            report(progress, message)
            reported = elapsed
        if progress == _DONE:
            return


def duration(text: str) -> float:
    """The seconds of the command line, 0.1 to 600."""
    seconds = float(text)
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"must be {MIN_SECONDS:g} to {MAX_SECONDS:g}")
    return seconds


def _print_line(progress: int, message: str) -> None:
    print(json.dumps({"progress": progress, "message": message}), flush=True)


def main() -> int:
    """Run the workload that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m demo.workloads")
    parser.add_argument("name", choices=WORKLOADS)
    parser.add_argument("--seconds", type=duration, default=DEFAULT_SECONDS)
    args = parser.parse_args()
    try:
        work(WORKLOADS[args.name], args.seconds, _print_line)
    except WorkFailed as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of the progress is gone, so the result has no use. This is also how a job
        # ends when its job service is killed. stdout goes to nowhere from here on, or Python
        # complains when it flushes it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
