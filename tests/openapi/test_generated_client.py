"""A client that is generated from the description starts and follows a monitor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

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
