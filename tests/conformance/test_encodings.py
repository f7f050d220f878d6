"""How values get from client to orchestrator to activity and back, and how failures are told."""

import json
from typing import Any

import pytest

from tests.conformance.hub import Hub, new_id


def arrives(value: Any) -> Any:
    """A value as it is after .NET has written it: a half character is replaced."""
    return "\ufffd" if value == "\ud800" else value


VALUES = [
    {"a": [1, 2.5, None, {"b": False}]},
    [],
    [1, "two"],
    "text",
    "",
    "ä 名 \u0000 \U0001f600",
    "\ud800",
    '{"looks": "like JSON"}',
    "null",
    0,
    -5,
    2**70,
    1.5,
    True,
    False,
    None,
]


def start_raw(hub: Hub, name: str, body: str) -> dict[str, Any]:
    """Start with exactly this body; the status at the end."""
    id_ = new_id()
    assert hub.ask("POST", f"/orchestrators/{name}/{id_}", data=body).status_code == 202
    return hub.end(id_)


# -- inputs of orchestrators ----------------------------------------------------------------


@pytest.mark.parametrize("value", VALUES)
def test_what_the_client_starts_with_arrives(hub: Hub, value: Any) -> None:
    """Except that nothing stays nothing; the status shows the text that the client made."""
    id_ = hub.client("start_new", orchestration_function_name="GetInput", client_input=value)
    status = hub.end(id_)
    assert status["runtimeStatus"] == "Completed"
    assert status["output"] == arrives(value)
    if value is not None:
        assert json.loads(status["input"]) == value


def test_an_object_by_plain_http_arrives_and_is_shown_as_one(hub: Hub) -> None:
    status = start_raw(hub, "GetInput", '{"a": [1]}')
    assert (status["input"], status["output"]) == ({"a": [1]}, {"a": [1]})


@pytest.mark.parametrize("body", ["[1,2]", "5", "true", '"text"'])
def test_anything_else_by_plain_http_fails_the_orchestrator(hub: Hub, body: str) -> None:
    """The SDK decodes the input once more than the host encoded it, unless it is an object."""
    status = start_raw(hub, "GetInput", body)
    assert status["input"] == json.loads(body)
    assert status["runtimeStatus"] == "Failed"
    assert "Orchestrator function 'GetInput' failed" in status["output"]


@pytest.mark.parametrize("body", ['"[1,2]"', '"5"', '"\\"text\\""', '"null"'])
def test_json_in_a_text_arrives(hub: Hub, body: str) -> None:
    status = start_raw(hub, "GetInput", body)
    assert status["output"] == json.loads(json.loads(body))


# -- activities -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", VALUES)
def test_an_activity_gets_and_gives_any_json(hub: Hub, value: Any) -> None:
    assert hub.output("Call", {"name": "Echo", "input": value}) == arrives(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [({}, "dict"), ([], "list"), ("5", "str"), (5, "int"), (1.5, "float"), (None, "NoneType")],
)
def test_an_activity_gets_values_and_not_their_text(hub: Hub, value: Any, kind: str) -> None:
    assert hub.output("Call", {"name": "Kind", "input": value}) == kind


def test_an_activity_is_found_in_any_case(hub: Hub) -> None:
    assert hub.output("Call", {"name": "eCHO", "input": 1}) == 1


def test_an_activity_that_raises_fails_its_caller(hub: Hub) -> None:
    """The text names the activity, the kind of the exception and what it says."""
    text = hub.failure("Call", {"name": "Raise", "input": "boom"})
    assert "Orchestrator function 'Call' failed: " in text
    assert "Activity function 'Raise' failed:" in text
    assert "ValueError: boom" in text


def test_an_activity_that_returns_no_json_fails_its_caller(hub: Hub) -> None:
    text = hub.failure("Call", {"name": "ReturnSet"})
    assert "Activity function 'ReturnSet' failed:" in text
    assert "activity trigger output must be json serializable" in text


def test_an_activity_that_is_unknown(hub: Hub, other_host: str | None) -> None:
    """Another host leaves the instance running for ever; devhost fails it and says why."""
    if other_host:
        id_ = hub.start("Call", {"name": "NoSuchThing"})
        hub.wait(id_, "Running", "Failed")
        return
    text = hub.failure("Call", {"name": "NoSuchThing"})
    assert "'NoSuchThing' doesn't exist" in text
    assert "echo" in text


def test_a_sub_orchestration_that_is_unknown(hub: Hub, other_host: str | None) -> None:
    """The same."""
    if other_host:
        id_ = hub.start("CallChild", {"name": "NoSuchThing"})
        hub.wait(id_, "Running", "Failed")
        return
    text = hub.failure("CallChild", {"name": "NoSuchThing"})
    assert "'NoSuchThing' doesn't exist" in text
    assert "greet_cities" in text


# -- sub-orchestrations ---------------------------------------------------------------------


@pytest.mark.parametrize("value", [v for v in VALUES if v is not None])
def test_a_sub_orchestration_gets_and_gives_any_json(hub: Hub, value: Any) -> None:
    assert hub.output("CallChild", {"name": "GetInput", "input": value}) == arrives(value)


def test_a_sub_orchestration_that_fails_fails_its_caller(hub: Hub) -> None:
    text = hub.failure("CallChild", {"name": "Fail", "input": ["boom"]})
    assert "Orchestrator function 'CallChild' failed: " in text
    assert "boom" in text


def test_a_sub_orchestration_may_be_given_an_id(hub: Hub) -> None:
    child = new_id()
    hub.output("CallChild", {"name": "GetInput", "input": 1, "id": child})
    assert hub.status(child)["output"] == 1


@pytest.mark.difference("A sub-orchestration under the id of a live instance")
def test_a_sub_orchestration_may_not_take_the_id_of_a_live_instance(
    hub: Hub, other_host: str | None
) -> None:
    if other_host:
        pytest.skip("another host runs both, or hangs")
    id_ = hub.waiting()
    order = {"name": "GetInput", "input": 1, "id": id_}
    assert "status Running already exists" in hub.failure("CallChild", order)
    assert hub.status(id_)["name"] == "Wait"
    itself = new_id()
    hub.start("CallChild", {"name": "GetInput", "id": itself}, itself)
    assert "already exists" in hub.end(itself)["output"]


def test_a_sub_orchestration_knows_its_parent(hub: Hub) -> None:
    child = new_id()
    id_ = hub.start("CallChild", {"name": "TellIds", "id": child})
    assert hub.end(id_)["output"] == [child, id_]
    id_ = hub.start("TellIds")
    assert hub.end(id_)["output"] == [id_, None]


def test_an_orchestrator_knows_what_is_a_replay(hub: Hub) -> None:
    assert hub.output("TellReplays") == [True, True, False]


def test_without_an_id_it_is_derived_from_the_generation_of_its_caller(hub: Hub) -> None:
    """It is the id of the execution, a colon and the number of the task."""
    id_ = hub.start("CallChild", {"name": "Fail", "input": ["boom"]})
    hub.end(id_)
    query = {"runtimeStatus": "Failed", "top": 10_000}
    listed = hub.ask("GET", "/instances/", params=query).json()
    assert any(status["instanceId"].endswith(":0") for status in listed)


# -- ends -----------------------------------------------------------------------------------


def test_an_exception_fails_the_instance_with_its_text(hub: Hub) -> None:
    text = hub.failure("Fail", ["boom"])
    assert text == "Orchestrator function 'Fail' failed: boom"


def test_an_exception_without_text_is_named_by_its_class(hub: Hub) -> None:
    assert hub.failure("Fail", []) == "Orchestrator function 'Fail' failed: <class 'ValueError'>"


@pytest.mark.parametrize("text", ["\ud800", "\u0000", "$OutOfProcData$:", "\n\n$OutOfProcData$:{}"])
@pytest.mark.difference("A lone surrogate in an orchestrator's exception")
def test_odd_texts_of_exceptions_are_survived(hub: Hub, other_host: str | None, text: str) -> None:
    if other_host and text == "\ud800":
        pytest.skip("another host leaves such an instance running")
    assert "Orchestrator function 'Fail' failed: " in hub.failure("Fail", [text])
    assert hub.output("GetInput", 1) == 1


@pytest.mark.difference(
    "Output that is no JSON, a raise after continue-as-new, once an activity ran"
)
def test_an_output_that_is_no_json_fails_the_instance(hub: Hub) -> None:
    assert "set is not JSON serializable" in hub.failure("OutputSet")


def test_yielding_what_is_no_task_fails_the_instance(hub: Hub) -> None:
    text = hub.failure("YieldNoTask")
    assert text.startswith("Orchestrator function 'YieldNoTask' failed: ")
    assert "'str' object has no attribute" in text


def test_an_orchestrator_may_be_a_plain_function(hub: Hub) -> None:
    """What it returns is the output."""
    assert hub.output("NoGenerator", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("name", "input_"),
    [
        ("Call", {"name": "Exit"}),
        ("Call", {"name": "\ud800"}),
        ("Call", {"name": 5}),
        ("CallChild", {"name": "GetInput", "id": "\ud800"}),
        ("CallChild", {"name": "GetInput", "id": {"a": 1}}),
        ("CallChild", {"name": "GetInput", "version": "\ud800"}),
        ("Retry", {"name": "Raise", "milliseconds": 10**18}),
        ("ExitOrchestrator", None),
    ],
)
def test_worse_code_fails_alone(hub: Hub, other_host: str | None, name: str, input_: Any) -> None:
    """Code that asks the process to exit, or for what can't even be written down."""
    if other_host:
        pytest.skip("another host leaves such instances waiting, some after losing its worker")
    hub.failure(name, input_)
    assert hub.output("GetInput", 1) == 1
