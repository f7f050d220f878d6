"""The answers of a running app against its own description, by requests that nobody wrote down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "10")  # for each operation; `make fuzz` sets more

# A program that knows the API by the generated client alone.
PROGRAM = """
import sys, time
from job_monitor_client import Client
from job_monitor_client.api.monitors import get_monitor, start_monitor
from job_monitor_client.models import StartRequest

client = Client(sys.argv[1])
wanted = {"source": "demo", "job": {"workload": "primes", "seconds": 1}, "pollIntervalSeconds": 1}
started = start_monitor.sync(client=client, body=StartRequest.from_dict(wanted))
while (shown := get_monitor.sync(started.id, client=client)).monitor.ended_at is None:
    time.sleep(0.5)
print(shown.monitor.state)
"""


@pytest.mark.long
def test_every_answer_is_described(base_url: str, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(requests.get(f"{base_url}/api/openapi.json", timeout=30).text)
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", str(document)),
            *("--url", base_url, "--checks", ",".join(CHECKS), "--max-examples", EXAMPLES),
            *("--phases", "coverage,fuzzing,stateful", "--generation-database", "none"),
            *("--seed", "1", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1_500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5_000:]
    assert " passed" in done.stdout


@pytest.mark.long
def test_a_generated_client_starts_and_follows_a_monitor(base_url: str, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(requests.get(f"{base_url}/api/openapi.json", timeout=30).text)
    programs = Path(sys.executable).parent
    generate = [str(programs / "openapi-python-client"), "generate", "--path", str(document)]
    subprocess.run(
        [*generate, "--output-path", str(tmp_path / "made")],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},  # it formats by ruff
        check=True,
        timeout=120,
    )
    followed = subprocess.run(
        [sys.executable, "-c", PROGRAM, base_url],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "made")},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert followed.returncode == 0, followed.stderr
    assert "Succeeded" in followed.stdout
