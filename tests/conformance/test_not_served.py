"""Where devhost leaves out, or says simpler, what another host has: each is told, none hangs."""

import json

import pytest

from tests.conformance.hub import ClientRaised, Hub, new_id


@pytest.fixture(autouse=True)
def _devhost_only(other_host: str | None) -> None:
    if other_host:
        pytest.skip("it has more there")


@pytest.mark.parametrize(
    ("what", "name"), [("http", "call_http"), ("call", "call_entity"), ("signal", "signal_entity")]
)
@pytest.mark.difference("Entities, `call_http`")
def test_an_orchestrator_that_calls_out_fails(hub: Hub, what: str, name: str) -> None:
    assert f"devhost does not serve {name}" in hub.failure("CallOut", what)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/entities", "/entities/counter", "/entities/counter/one"])
def test_entities_are_501(hub: Hub, method: str, path: str) -> None:
    answer = hub.ask(method, path)
    assert answer.status_code == 501
    assert "entities" in answer.json()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("read_entity_state", {}), ("signal_entity", {"operation_name": "add"})],
)
def test_the_client_raises_for_entities(hub: Hub, method: str, arguments: dict[str, str]) -> None:
    with pytest.raises(ClientRaised, match="unexpected status code 501"):
        hub.client(method, entity=["counter", "one"], **arguments)


@pytest.mark.difference("Other task hubs (`taskHub`, `connection` in a query)")
def test_there_is_one_hub(hub: Hub) -> None:
    elsewhere = "?taskHub=Other&connection=Elsewhere"
    id_ = new_id()
    assert hub.ask("POST", f"/orchestrators/Wait/{id_}{elsewhere}").status_code == 202
    assert hub.ask("GET", f"/instances/{id_}{elsewhere}").status_code == 202
    assert hub.wait(id_, "Running")["name"] == "Wait"


@pytest.mark.difference(
    "Texts of the JSON parser; .NET stacks; .NET's fields in `Details` of a failed activity"
)
def test_texts_are_those_of_python(hub: Hub) -> None:
    refused = hub.ask("POST", "/orchestrators/GetInput", data=b"nonsense").json()
    assert refused["ExceptionMessage"] == "Expecting value: line 1 column 1 (char 0)"
    assert refused["StackTrace"] == ""
    id_ = hub.start("CallChild", {"name": "Fail", "input": ["no"]})
    hub.end(id_)
    (failed,) = (e for e in hub.history(id_) if e["EventType"] == "SubOrchestrationInstanceFailed")
    assert failed["Details"] == "Message: no, StackTrace: "
    id_ = hub.start("Call", {"name": "Raise", "input": "boom"})
    hub.end(id_)
    (failed,) = (e for e in hub.history(id_) if e["EventType"] == "TaskFailed")
    details = json.loads(failed["Details"])
    assert list(details) == ["$type", "ClassName", "Message", "Data", "InnerException"]
    assert "tests/conformance/app/cases.py" in details["InnerException"]["RemoteStackTrace"]


@pytest.mark.difference("Trace contexts in histories")
def test_there_are_no_trace_contexts(hub: Hub) -> None:
    id_ = hub.start("CallChild", {"name": "GetInput"})
    hub.end(id_)
    events = hub.history(id_)
    assert events[0]["ParentTraceContext"] is None
    assert not any(event.get("ParentTraceContext") for event in events)
