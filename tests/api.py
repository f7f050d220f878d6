"""The app's HTTP API as the tests use it."""

import os
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import requests

from tests.described import hold

Body = dict[str, Any]
T = TypeVar("T")

# A deployed app asks for a function key; the local hosts ignore it.
_KEY = os.environ.get("FUNCTION_KEY", "")


def eventually(look: Callable[[], T], holds: Callable[[T], bool], deadline: float = 60.0) -> T:
    """The first result of `look` for which `holds` is true; fails after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not holds(seen := look()):
        assert time.monotonic() < end, f"still not so after {deadline} s: {seen}"
        time.sleep(0.05)
    return seen


def new_job_id() -> str:
    """A job id that no other test uses."""
    return f"job-{uuid.uuid4().hex[:12]}"


class Api:
    """Calls to a running app, each with a time limit; its answers are held to the description."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["x-functions-key"] = _KEY

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        url = path if path.startswith("http") else self.base_url + path
        answer = self._session.request(method, url, timeout=60, **options)
        if url.startswith(self.base_url):
            hold(method, unquote(urlsplit(url).path), answer)
        return answer

    def post(self, body: Body) -> requests.Response:
        """Ask for a monitor; any answer is returned."""
        return self.call("POST", "/api/monitors", json=body)

    def start(self, **body: Any) -> Body:
        """Start a new monitor that polls every second; the answer's body."""
        answer = self.post({"source": "demo", "pollIntervalSeconds": 1} | body)
        assert answer.status_code == 202, answer.text
        started: Body = answer.json()
        return started

    def get(self, monitor_id: str) -> Body:
        answer = self.call("GET", f"/api/monitors/{monitor_id}")
        assert answer.status_code == 200, answer.text
        shown: Body = answer.json()
        return shown

    def wait(self, monitor_id: str, until: Callable[[Body], bool], deadline: float = 60.0) -> Body:
        """The monitor as soon as `until` holds of it."""
        return eventually(lambda: self.get(monitor_id), until, deadline)

    def ended(self, monitor_id: str, deadline: float = 60.0) -> Body:
        """The monitor when its final row is stored and its instance has ended."""
        return self.wait(
            monitor_id,
            lambda shown: (
                shown["monitor"]["state"] != "Monitoring" and shown["runtimeStatus"] != "Running"
            ),
            deadline,
        )
