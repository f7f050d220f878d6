"""An app for random requests. Its watches end soon: else thousands of them would poll for ever."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zlib import crc32

from demo.stack import Host

_SOURCES = """
default = "demo"

[sources.demo]
poll_interval_seconds = 2
timeout_seconds = 60
notify = ["ops"]
status.url = "{url}/jobs/{{job_id}}"
status.status = "status"
submit.url = "{url}/jobs"
submit.job_id = "id"
cancel.url = "{url}/cancel/{{job_id}}"
outcomes.running = ["processing"]
outcomes.succeeded = ["completed"]
outcomes.failed = ["failed"]
outcomes.cancelled = ["cancelled"]

[sources.builds]
job_id_parts = ["project", "build"]
status.url = "{url}/jobs/{{job_id.project}}-{{job_id.build}}"
status.status = "status"
outcomes.succeeded = ["completed", "processing", "failed"]

[sources.faulty]
status.url = "ftp://nowhere"

[channels.ops]
kind = "webhook"
url = "{url}/hook"

[channels.faulty]
kind = "webhook"
"""


class _Jobs(BaseHTTPRequestHandler):
    """Takes most jobs. A job ends at its second look at the latest."""

    looks: Counter[str]

    def do_GET(self) -> None:
        self.looks[self.path] += 1
        kind = crc32(self.path.encode()) % 4
        ended = "failed" if kind == 1 else "completed"
        self._answer(
            200, {"status": "processing" if kind == 0 < 2 - self.looks[self.path] else ended}
        )

    def do_POST(self) -> None:
        sent = crc32(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self._answer(400 if sent % 8 == 0 else 200, {"id": f"job-{sent}"})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path, storage: str) -> Iterator[str]:
    """The app with its job system; gives its origin.

    Args:
        folder: A folder for its files.
        storage: The connection string of a storage account that nobody else uses.
    """
    handler = type("Jobs", (_Jobs,), {"looks": Counter()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as jobs:
        threading.Thread(target=jobs.serve_forever).start()
        sources = folder / "sources.toml"
        sources.write_text(_SOURCES.format(url=f"http://127.0.0.1:{jobs.server_port}"))
        host = Host(folder / "hub.db", folder / "host.log")
        host.environment = {"AzureWebJobsStorage": storage, "JOB_SOURCES_FILE": str(sources)}
        host.healthy_only = False  # one source is faulty, and its answers are to be seen, too
        try:
            with host:
                yield host.url
        finally:
            jobs.shutdown()
