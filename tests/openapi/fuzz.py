"""Random requests to the app, sound and broken, whose answers are held against its description.

    python -m tests.openapi.fuzz [--requests 10000] [--minutes 30] [--seed 1]

schemathesis makes the requests. It finds an answer that is not described, one that its schema does
not allow, an error of the server, and a faulty request that is taken.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from demo.azurite import Azurite
from tests.openapi.served import served

_CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
_COUNT = re.compile(r"^ *(\d+) generated", re.MULTILINE)
_EXAMPLES = 40
"""Requests to an operation in one round."""


def fuzz(url: str, folder: Path, *options: str) -> tuple[int, str]:
    """Try the app that serves there.

    Args:
        url: Its origin.
        folder: A folder for the files that schemathesis leaves.
        options: More options of `schemathesis run`.

    Returns:
        The number of requests, and the report if something was found.
    """
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(_CONFIGURATION)]
    command += ["--no-color", "run", f"{url}/api/openapi.json", "--continue-on-failure", *options]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=1_800, check=False
    )
    count = _COUNT.search(done.stdout)
    assert count, done.stdout + done.stderr
    return int(count[1]), done.stdout if done.returncode else ""


def main() -> int:
    """Run from the command line; ends with 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.openapi.fuzz")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=30, help="begin no round later (30)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round (1)")
    arguments = parser.parse_args()
    begin, made, seed = time.monotonic(), 0, arguments.seed
    phases = "coverage,fuzzing,stateful"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        azurite = Azurite(folder / "azurite", folder / "azurite.log")
        with azurite, served(folder, azurite.connection_string) as url:
            while made < arguments.requests:
                options = ["--phases", phases, "--seed", str(seed), "-n", str(_EXAMPLES)]
                count, found = fuzz(url, folder, *options)
                if found:
                    sys.stderr.write(found)
                    return 1
                made, seed = made + count, seed + 1
                minutes = (time.monotonic() - begin) / 60
                sys.stdout.write(f"{made:,} requests, {minutes:.1f} minutes\n")
                sys.stdout.flush()
                if minutes > arguments.minutes:
                    break
                phases = "fuzzing,stateful"  # the others are the same in every round
    sys.stdout.write("Nothing was found.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
