"""External events: who takes them, what arrives, and what becomes of early ones."""

import json
from typing import Any

import pytest

from tests.conformance.hub import ClientRaised, Hub, eventually, new_id

ENDS = ["Completed", "Failed", "Terminated"]


def test_an_event_is_202_with_an_empty_body(hub: Hub) -> None:
    id_ = hub.waiting()
    answer = hub.raise_event(id_, "go", {"a": 1})
    assert (answer.status_code, answer.content) == (202, b"")
    assert hub.end(id_)["output"] == {"a": 1}


def test_an_event_for_an_unknown_instance_is_404_with_an_empty_body(hub: Hub) -> None:
    answer = hub.raise_event(new_id(), "go")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("status", ENDS)
def test_an_event_for_an_instance_that_ended_is_410_with_an_empty_body(
    hub: Hub, status: str
) -> None:
    answer = hub.raise_event(hub.ended(status), "go")
    assert (answer.status_code, answer.content) == (410, b"")


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", ""])
def test_an_event_that_is_no_json_by_its_header_is_400(hub: Hub, content_type: str) -> None:
    answer = hub.ask(
        "POST",
        f"/instances/{hub.waiting()}/raiseEvent/go",
        data=b"{}",
        headers={"Content-Type": content_type},
    )
    assert answer.status_code == 400
    assert answer.json() == {"Message": "Only application/json request content is supported"}


@pytest.mark.parametrize(
    "body", [b"nonsense", b"\xff", b"[" * 100_000, b"", b"1 2", b"{a:1}", b"'x'", b"/*c*/1"]
)
def test_an_event_that_is_no_json_by_its_body_is_400(
    hub: Hub, other_host: str | None, body: bytes
) -> None:
    if other_host and body not in (b"nonsense", b""):
        pytest.skip("taken there, or refused by the limit of its parser")
    answer = hub.ask(
        "POST",
        f"/instances/{hub.waiting()}/raiseEvent/go",
        data=body,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400
    assert "Invalid JSON content" in answer.text


def test_the_state_is_looked_at_before_the_content(hub: Hub) -> None:
    headers = {"Content-Type": "text/plain"}
    for id_, code in ((new_id(), 404), (hub.ended("Completed"), 410)):
        path = f"/instances/{id_}/raiseEvent/go"
        assert hub.ask("POST", path, data=b"{", headers=headers).status_code == code


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_other_verbs_are_404(hub: Hub, method: str) -> None:
    answer = hub.ask(method, f"/instances/{hub.waiting()}/raiseEvent/go")
    assert (answer.status_code, answer.content) == (404, b"")


def test_the_errors_of_the_client(hub: Hub) -> None:
    id_ = new_id()
    with pytest.raises(ClientRaised, match=f"No instance with ID {id_} found"):
        hub.client("raise_event", instance_id=id_, event_name="go")
    id_ = hub.ended("Completed")
    with pytest.raises(ClientRaised, match=f"Instance with ID {id_} is gone"):
        hub.client("raise_event", instance_id=id_, event_name="go")


# -- what arrives ---------------------------------------------------------------------------


@pytest.mark.parametrize("data", [{"a": [1]}, [1], "text", 5, True, {"ä": "名"}])
def test_json_by_plain_http_arrives_as_what_it_is(hub: Hub, data: Any) -> None:
    id_ = hub.waiting()
    hub.raise_event(id_, "go", data)
    assert hub.end(id_)["output"] == data


@pytest.mark.parametrize(
    ("data", "text"),
    [({"a": 1}, '{"a": 1}'), ([1], "[1]"), (None, "null"), (True, "true"), ("x", '"x"')],
)
def test_what_the_client_raises_arrives_as_text(hub: Hub, data: Any, text: str) -> None:
    """It encodes twice and decodes once."""
    id_ = hub.waiting()
    hub.client("raise_event", instance_id=id_, event_name="go", event_data=data)
    assert hub.end(id_)["output"] == text


def test_a_large_event_arrives(hub: Hub) -> None:
    id_ = hub.waiting()
    hub.raise_event(id_, "go", "ä" * 500_000)
    assert hub.end(id_)["output"] == "ä" * 500_000


# -- names and order ------------------------------------------------------------------------


def test_a_name_in_another_case_is_not_awaited(hub: Hub) -> None:
    """The host would match it, the SDK does not: the instance waits on, for ever."""
    id_ = hub.waiting()
    assert hub.raise_event(id_, "GO", 1).status_code == 202
    eventually(lambda: "EventRaised" in str(hub.history(id_)))
    assert hub.status(id_)["runtimeStatus"] == "Running"


def test_an_event_that_nobody_awaits_changes_nothing(hub: Hub) -> None:
    id_ = hub.waiting()
    hub.raise_event(id_, "something else", 1)
    hub.raise_event(id_, "go", 2)
    assert hub.end(id_)["output"] == 2


def test_an_event_that_comes_early_is_kept(hub: Hub) -> None:
    gate = new_id()
    id_ = hub.start("GateThenWait", gate)
    hub.reaches_gate(gate)
    hub.raise_event(id_, "go", {"early": True})
    hub.open_gate(gate)
    assert hub.end(id_)["output"] == {"early": True}


def test_an_early_event_is_not_two(hub: Hub) -> None:
    """The SDK takes it for both waits and says it is done; the host waits for a second one."""
    gate = new_id()
    id_ = hub.start("GateThenWaitTwice", gate)
    hub.reaches_gate(gate)
    hub.raise_event(id_, "go", 1)
    eventually(lambda: "EventRaised" in str(hub.history(id_)))
    hub.open_gate(gate)
    eventually(lambda: "TaskCompleted" in str(hub.history(id_)))
    assert hub.status(id_)["runtimeStatus"] == "Running"
    hub.raise_event(id_, "go", 2)
    assert hub.end(id_)["runtimeStatus"] == "Completed"


def test_events_in_turn_go_to_waits_in_turn(hub: Hub) -> None:
    id_ = hub.start("WaitTwice")
    hub.wait(id_, "Running")
    hub.raise_event(id_, "go", 1)
    eventually(lambda: "EventRaised" in str(hub.history(id_)))
    hub.raise_event(id_, "go", 2)
    assert hub.end(id_)["output"] == [1, 2]


def test_of_two_waits_at_once_the_later_gets_the_first_event(hub: Hub) -> None:
    id_ = hub.start("WaitTwiceAtOnce")
    hub.wait(id_, "Running")
    hub.raise_event(id_, "go", 1)
    hub.raise_event(id_, "go", 2)
    assert hub.end(id_)["output"] == [2, 1]


def test_each_generation_takes_an_event(hub: Hub) -> None:
    """A loop that awaits an activity between the event and continue-as-new loses none."""
    id_ = hub.start("Collect")

    def taken() -> int:
        return len(json.loads(hub.status(id_)["input"]) or [])

    for n in range(10):
        eventually(taken, n.__eq__)
        hub.raise_event(id_, "item", n)
    eventually(taken, (10).__eq__)
    hub.raise_event(id_, "item", "last")
    assert hub.end(id_)["output"] == [*range(10), "last"]


def test_an_event_for_a_suspended_instance_is_delivered_on_resume(hub: Hub) -> None:
    id_ = hub.suspended()
    assert hub.raise_event(id_, "go", "late").status_code == 202
    assert hub.status(id_)["runtimeStatus"] == "Suspended"
    hub.operate(id_, "resume")
    assert hub.end(id_)["output"] == "late"


def test_an_event_may_follow_the_start_at_once(hub: Hub) -> None:
    id_ = hub.start("Wait")
    assert hub.raise_event(id_, "go", 1).status_code == 202
    assert hub.end(id_)["output"] == 1


@pytest.mark.parametrize("name", ["a%20b", "%C3%A4", "a%26b", "a%2Bb"])
def test_odd_names_of_events_are_survived(hub: Hub, name: str) -> None:
    id_ = hub.waiting()
    assert hub.raise_event(id_, name, 1).status_code == 202
    hub.raise_event(id_, "go", 2)
    assert hub.end(id_)["output"] == 2
