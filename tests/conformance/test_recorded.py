"""devhost against what the real host said: 80 exchanges and 21 histories, recorded once.

`recorded/` holds them as data: Functions host 4.1037, Durable extension 3.19, this app. Ids, times,
keys, .NET stacks and the texts of its JSON parser are placeholders; all else must be the same.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conformance.hub import Hub, eventually, new_id

HERE = Path(__file__).parent / "recorded"
EXCHANGES = json.loads((HERE / "exchanges.json").read_text(encoding="utf-8"))
HISTORIES = json.loads((HERE / "histories.json").read_text(encoding="utf-8"))
TOKEN = "x-ms-continuation-token"  # noqa: S105 - the name of a header
TOLD_BY_A_PARSER = ("nonsense", "cut_object", "too_much", "cut_text")
# What is equal on both hosts but for digits.
SHAPES = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{0,6}[1-9]\+00:00", "{time.f+00:00}"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?Z", "{time}"),
    (r"\{time\.f\}", "{time}"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "{guid}"),
    (r"[0-9a-f]{32}", "{id}"),
    (r'(?s)\{"\$type":"System\.Exception.*|\{exception\}', "{exception}"),
    (r"(?s)StackTrace: .*", "StackTrace: {stack}"),
    (r"(known orchestrator functions: ).*", r"\1{names}"),
]


def shape(value: Any) -> Any:
    """A value with placeholders for what differs from run to run."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str):
        for pattern, name in SHAPES:
            value = re.sub(pattern, name, value)
    return value


# -- exchanges ------------------------------------------------------------------------------


class Stage:
    """The instances that the exchanges speak of, and what the host answers."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.token = ""
        names = {name for e in EXCHANGES for name in re.findall(r"\{(\w+)\}", e["path"])}
        self.ids = {name: new_id() for name in names}
        given = {"a": 1}
        for name in ("running", "suspended", "terminated", "other"):
            hub.waiting(given, self.ids[name])
        hub.operate(self.ids["suspended"], "suspend", "why")
        hub.operate(self.ids["terminated"], "terminate", "over")
        for name in ("completed", "over_completed"):
            hub.end(hub.start("GetInput", given, self.ids[name]))
        hub.end(hub.start("Fail", ["no"], self.ids["failed"]))
        for number in range(3):
            hub.end(hub.start("GetInput", {"n": number}, f"{self.ids['three']}-{number}"))
        hub.ask("POST", f"/orchestrators/Version/{self.ids['pending']}?version=9.9")
        hub.wait(self.ids["suspended"], "Suspended")
        hub.end(self.ids["terminated"])

    def play(self, exchange: dict[str, Any]) -> requests.Response:
        """Send the request, once its instances are where they were."""
        name = exchange["name"]
        if name == "status_older_version":
            self.hub.end(self.ids["older"])
        if name == "resume_suspended":
            self.hub.wait(self.ids["other"], "Suspended")
        if name == "terminate_running":
            self.hub.wait(self.ids["other"], "Running")
        path = exchange["path"]
        for known, id_ in self.ids.items():
            path = path.replace(f"{{{known}}}", id_)
        headers = dict(exchange["request_headers"])
        if TOKEN in headers:
            headers[TOKEN] = self.token
        body = exchange["request_body"]
        answer = self.hub.ask(exchange["method"], path, headers=headers, data=body)
        self.token = answer.headers.get(TOKEN, self.token)
        return answer

    def told(self, answer: requests.Response) -> dict[str, Any]:
        """An answer in the form of the recorded one, with its placeholders."""
        text = answer.text.replace(self.hub.origin, "{base}")
        body = json.loads(text) if text else None
        headers = {name: answer.headers.get(name) for name in HEADERS}
        told = {"status": answer.status_code, "headers": headers, "body": body}
        plain = json.dumps(told).replace(self.hub.origin, "{base}")
        for name, id_ in self.ids.items():
            plain = plain.replace(id_, f"{{{name}}}")
        return dict(json.loads(plain))


HEADERS = ("Content-Type", "Location", "Retry-After", TOKEN)


def expected(exchange: dict[str, Any]) -> dict[str, Any]:
    """The recorded answer, without the key that devhost does not ask for."""
    told = {
        "status": exchange["status"],
        "headers": {name: exchange["headers"].get(name) for name in HEADERS},
        "body": exchange["body"],
    }
    return dict(json.loads(json.dumps(told).replace("&code={key}", "")))


def comparable(told: dict[str, Any], name: str) -> Any:
    """With placeholders for what no two hosts have in common."""
    told = shape(told)
    body, headers = told["body"], told["headers"]
    if headers[TOKEN]:
        headers[TOKEN] = "{token}"
    if isinstance(body, dict) and "StackTrace" in body:
        body["StackTrace"] = "{stack}"
        if name.partition("_")[2] in TOLD_BY_A_PARSER:
            body["ExceptionMessage"] = "{parser}"
    if name == "purge_filter_terminated":
        body["instancesDeleted"] = body["instancesDeleted"] > 0
    return json.loads(re.sub(r"\{new\d\}", "{id}", json.dumps(told)))


@pytest.fixture(scope="module")
def answers(hub: Hub) -> dict[str, dict[str, Any]]:
    """The answers to all exchanges, played in their order."""
    stage = Stage(hub)
    return {e["name"]: stage.told(stage.play(e)) for e in EXCHANGES}


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange["name"])
def test_an_exchange_is_as_it_was_recorded(
    answers: dict[str, dict[str, Any]], exchange: dict[str, Any]
) -> None:
    name = exchange["name"]
    assert comparable(answers[name], name) == comparable(expected(exchange), name)


# -- histories ------------------------------------------------------------------------------


def run(name: str, input_: Any = None) -> Callable[[Hub], str]:
    def scene(hub: Hub) -> str:
        id_ = hub.start(name, input_)
        hub.end(id_)
        return id_

    return scene


def bare(name: str, *until: str) -> Callable[[Hub], str]:
    """An instance that is started without any input."""

    def scene(hub: Hub) -> str:
        id_ = str(hub.ask("POST", f"/orchestrators/{name}").json()["id"])
        hub.wait(id_, *until or ("Completed", "Failed"))
        return id_

    return scene


def open_with(name: str, input_: Any, kind: str, count: int = 1) -> Callable[[Hub], str]:
    """An instance that waits when it has so many events of a kind."""

    def scene(hub: Hub) -> str:
        id_ = hub.start(name, input_)
        eventually(lambda: [e["EventType"] for e in hub.history(id_)].count(kind) == count)
        return id_

    return scene


def control(hub: Hub) -> str:
    id_ = hub.start("StatusThenWait", {"s": [1]})
    hub.wait(id_, "Running")
    hub.operate(id_, "suspend", "why")
    hub.wait(id_, "Suspended")
    hub.operate(id_, "resume", "go on")
    hub.wait(id_, "Running")
    hub.operate(id_, "terminate", "over")
    hub.end(id_)
    return id_


def event(hub: Hub) -> str:
    id_ = hub.waiting({"in": 1})
    hub.raise_event(id_, "go", {"b": 2, "a": [1, "ä\u2028<>"]})
    hub.end(id_)
    return id_


def two_events_suspended(hub: Hub) -> str:
    id_ = bare("WaitTwice", "Running")(hub)
    hub.operate(id_, "suspend")
    hub.wait(id_, "Suspended")
    for number in (1, 2):
        hub.raise_event(id_, "go", number)
        eventually(lambda: str(hub.history(id_)).count("EventRaised") == number)  # noqa: B023
    return id_


def two_events(hub: Hub) -> str:
    id_ = two_events_suspended(hub)
    hub.operate(id_, "resume")
    hub.end(id_)
    return id_


def rewound(hub: Hub) -> str:
    id_ = run("Call", {"name": "FailUntil", "input": {"key": new_id(), "calls": 2}})(hub)
    hub.operate(id_, "rewind", "again")
    hub.wait(id_, "Completed")
    return id_


SCENES: dict[str, Callable[[Hub], str]] = {
    "activity_failed": run("Call", {"name": "Raise", "input": "boom ä"}),
    "chain": bare("greet_cities"),
    "child": run("CallChild", {"name": "GetInput", "input": {"q": 1}}),
    "child_failed": run("CallChild", {"name": "Fail", "input": ["no"]}),
    "continue_as_new": run("CountDown", 2),
    "control": control,
    "custom_status_too_big": run("BigStatus", 20_000),
    "event": event,
    "failed": run("Fail", ["no"]),
    "fan_out": run("sum_of_squares", 3),
    "long_timer_open": open_with("Sleep", 864_000, "TimerCreated"),
    "no_input": bare("GetInput"),
    "retries_failed": run("Retry", {"name": "Raise", "input": "again"}),
    "retry_succeeded": run("Retry", {"name": "FailUntil", "input": {"key": new_id(), "calls": 2}}),
    "rewound": rewound,
    "timer": run("Sleep", 2.5),
    "timer_cancelled": run("LeaveTimer", {"seconds": 60, "cancel": True}),
    "timer_holds_continue_as_new": open_with(
        "ContinueWithOpenTimer", {"seconds": 60}, "TaskCompleted", 2
    ),
    "two_events": two_events,
    "two_events_suspended": two_events_suspended,
    "unknown_orchestrator": bare("NoSuchThing"),
}


@pytest.fixture
def ended_after(hub: Hub) -> Iterator[list[str]]:
    """Instances that are still open end with the test."""
    ids: list[str] = []
    yield ids
    for id_ in ids:
        hub.operate(id_, "terminate")


def test_every_history_has_its_scene() -> None:
    assert HISTORIES.keys() == SCENES.keys()


@pytest.mark.parametrize("name", SCENES)
def test_a_history_is_as_it_was_recorded(hub: Hub, ended_after: list[str], name: str) -> None:
    """The status with its history: names, order of events and fields, forms of times."""
    id_ = SCENES[name](hub)
    ended_after.append(id_)
    seen = hub.status(id_, showHistory="true", showHistoryOutput="true") | {"instanceId": ""}
    wanted = HISTORIES[name] | {"instanceId": ""}
    if name == "timer":
        for status in (seen, wanted):
            assert 2 <= status["output"] < 60
            status["output"] = status["historyEvents"][-1]["Result"] = "{seconds}"
    assert shape(seen) == shape(wanted)
    orders = [[list(event) for event in s["historyEvents"]] for s in (seen, wanted)]
    assert orders[0] == orders[1]
