"""What the tests say to the host: plain HTTP, and the SDK's client inside the app."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import requests

T = TypeVar("T")

ENDED = ("Completed", "Failed", "Terminated", "Canceled")
_WEBHOOK = "/runtime/webhooks/durabletask"


def eventually(
    look: Callable[[], T], accept: Callable[[T], object] = bool, deadline: float = 60.0
) -> T:
    """What `look` sees as soon as `accept` takes it; fails after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not accept(seen := look()):
        assert time.monotonic() < end, f"still {seen!r:.500} after {deadline} seconds"
        time.sleep(0.01)
    return seen


def new_id(prefix: str = "") -> str:
    return prefix + uuid.uuid4().hex


class ClientRaised(Exception):
    """The SDK's client raised, in the app."""


class Hub:
    """A host that serves the conformance app, and its task hub."""

    def __init__(self, origin: str) -> None:
        self.origin = origin.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Any request below the origin."""
        options.setdefault("timeout", 30)
        options.setdefault("allow_redirects", False)
        return self._session.request(method, self.origin + path, **options)

    # -- the app --------------------------------------------------------------------------

    def client(self, method: str, **arguments: Any) -> Any:
        """What a method of the SDK's client returns.

        Raises:
            ClientRaised: It raised; the text is `Type: message`.
        """
        answer = self.send("POST", f"/api/client/{method}", json=arguments).json()
        if "raised" in answer:
            raise ClientRaised(answer["raised"])
        return answer["returned"]

    def open_gate(self, name: str) -> None:
        """Let the activity `Gate` of that name end."""
        assert self.send("POST", f"/api/gates/{name}/open").ok

    def calls(self, name: str) -> int:
        """How often an activity was called under that name."""
        return int(self.send("GET", f"/api/calls/{name}").text)

    def reaches_gate(self, name: str) -> None:
        """Return when the activity `Gate` of that name runs."""
        eventually(lambda: self.calls(name))

    # -- the Durable HTTP API -------------------------------------------------------------

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request to the Durable HTTP API; `path` begins with `/`."""
        return self.send(method, _WEBHOOK + path, **options)

    def start(self, name: str, input_: Any = None, id_: str | None = None) -> str:
        """Start an instance as curl would, with JSON as its input.

        The SDK decodes what isn't an object once more, hence the text in a text.
        """
        body = input_ if isinstance(input_, dict) else json.dumps(input_)
        path = f"/orchestrators/{name}/{quote(id_ or new_id(), safe='')}"
        answer = self.ask("POST", path, data=json.dumps(body))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def status(self, id_: str, **query: Any) -> dict[str, Any]:
        """The status payload of an instance that is there."""
        answer = self.ask("GET", f"/instances/{quote(id_, safe='')}", params=query)
        assert answer.status_code in (200, 202), answer.text
        return dict(answer.json())

    def wait(self, id_: str, *statuses: str) -> dict[str, Any]:
        """The status payload once the instance has one of the statuses."""
        return eventually(
            lambda: self.status(id_), lambda status: status["runtimeStatus"] in statuses
        )

    def end(self, id_: str) -> dict[str, Any]:
        """The status payload once the instance has ended."""
        return self.wait(id_, *ENDED)

    def run(self, name: str, input_: Any = None) -> dict[str, Any]:
        """Start an instance; its status payload at the end."""
        return self.end(self.start(name, input_))

    def output(self, name: str, input_: Any = None) -> Any:
        """The output of an instance that must complete."""
        status = self.run(name, input_)
        assert status["runtimeStatus"] == "Completed", str(status)[:2000]
        return status["output"]

    def failure(self, name: str, input_: Any = None) -> str:
        """The output of an instance that must fail."""
        status = self.run(name, input_)
        assert status["runtimeStatus"] == "Failed", str(status)[:2000]
        return str(status["output"])

    def history(self, id_: str, **query: Any) -> list[dict[str, Any]]:
        """The events of an instance as the status shows them; none while it is pending."""
        return list(self.status(id_, showHistory="true", **query).get("historyEvents", []))

    def raise_event(self, id_: str, name: str, data: Any = None) -> requests.Response:
        """Raise an event with JSON data."""
        return self.ask(
            "POST",
            f"/instances/{quote(id_, safe='')}/raiseEvent/{name}",
            data=json.dumps(data),
            headers={"Content-Type": "application/json"},
        )

    def operate(self, id_: str, operation: str, reason: str | None = None) -> requests.Response:
        """Terminate, suspend, resume, rewind, restart."""
        path = f"/instances/{quote(id_, safe='')}/{operation}"
        return self.ask("POST", path, params={} if reason is None else {"reason": reason})

    def waiting(self, input_: Any = None, id_: str | None = None) -> str:
        """An instance that waits for the event `go`."""
        id_ = self.start("Wait", input_, id_)
        self.wait(id_, "Running")
        return id_

    def ended(self, status: str) -> str:
        """An instance that ended so: Completed, Failed or Terminated."""
        if status == "Terminated":
            id_ = self.waiting()
            self.operate(id_, "terminate", "over")
        else:
            id_ = self.start("GetInput" if status == "Completed" else "Fail")
        assert self.end(id_)["runtimeStatus"] == status
        return id_

    def suspended(self) -> str:
        """An instance that waits for the event `go` and is suspended."""
        id_ = self.waiting()
        assert self.operate(id_, "suspend", "pause").status_code == 202
        self.wait(id_, "Suspended")
        return id_
