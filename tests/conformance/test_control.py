"""Terminate, suspend, resume and rewind."""

from typing import Any

import pytest

from tests.conformance.hub import ClientRaised, Hub, eventually, new_id

ENDS = ["Completed", "Failed", "Terminated"]


def kinds(hub: Hub, id_: str) -> list[str]:
    return [event["EventType"] for event in hub.history(id_)]


@pytest.mark.parametrize("operation", ["terminate", "suspend", "resume", "rewind"])
def test_an_unknown_instance_is_404(hub: Hub, operation: str) -> None:
    answer = hub.operate(new_id(), operation)
    assert answer.status_code == 404
    if operation != "rewind":  # newer hosts explain it there
        assert answer.content == b""


@pytest.mark.parametrize("status", ENDS)
@pytest.mark.parametrize("operation", ["terminate", "suspend", "resume"])
def test_an_instance_that_ended_is_410_with_an_empty_body(
    hub: Hub, operation: str, status: str
) -> None:
    answer = hub.operate(hub.ended(status), operation)
    assert (answer.status_code, answer.content) == (410, b"")


@pytest.mark.parametrize("operation", ["nonsense", "Terminates", "terminate/now"])
def test_an_unknown_operation_is_404_with_an_empty_body(hub: Hub, operation: str) -> None:
    answer = hub.operate(hub.waiting(), operation)
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_other_verbs_are_404(hub: Hub, method: str) -> None:
    id_ = hub.waiting()
    answer = hub.ask(method, f"/instances/{id_}/terminate")
    assert (answer.status_code, answer.content) == (404, b"")
    assert hub.status(id_)["runtimeStatus"] == "Running"


def test_the_errors_of_the_client(hub: Hub) -> None:
    """404 raises, 410 does not."""
    for operation in ("terminate", "suspend", "resume"):
        id_ = new_id()
        with pytest.raises(ClientRaised, match=f"No instance with ID '{id_}' found"):
            hub.client(operation, instance_id=id_, reason="x")
        hub.client(operation, instance_id=hub.ended("Completed"), reason="x")


# -- terminate ------------------------------------------------------------------------------


def test_terminate_is_202_with_an_empty_body(hub: Hub) -> None:
    id_ = hub.waiting()
    answer = hub.operate(id_, "TERMINATE", "enough")
    assert (answer.status_code, answer.content) == (202, b"")
    status = hub.end(id_)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")
    assert kinds(hub, id_)[-2:] == ["ExecutionTerminated", "ExecutionCompleted"]


@pytest.mark.parametrize(
    ("reason", "output"),
    [
        ("", ""),
        ("a & b + c", "a & b + c"),
        ("ä 名", "ä 名"),
        ('{"a": 1}', {"a": 1}),
        ("5", 5),
        ("[" * 2000, "[" * 2000),
        ("9" * 5000, None),
    ],
)
def test_the_output_is_the_reason_as_json_if_it_is_json(hub: Hub, reason: str, output: Any) -> None:
    """Whatever the reason is, the instance can be looked at afterwards."""
    id_ = hub.waiting()
    assert hub.operate(id_, "terminate", reason).status_code == 202
    shown = hub.end(id_)["output"]
    if output is not None:
        assert shown == output or (reason == "" and shown is None)
    assert hub.ask("GET", "/instances/", params={"instanceIdPrefix": id_}).status_code == 200


def test_a_url_that_is_too_long_is_refused(hub: Hub) -> None:
    id_ = hub.waiting()
    assert 400 <= hub.operate(id_, "terminate", "x" * 100_000).status_code < 500
    assert hub.status(id_)["runtimeStatus"] == "Running"


def test_the_client_quotes_the_reason(hub: Hub) -> None:
    id_ = hub.waiting()
    hub.client("terminate", instance_id=id_, reason="a & b?c=d")
    assert hub.end(id_)["output"] == "a & b?c=d"


def test_without_a_reason_there_is_no_output(hub: Hub) -> None:
    id_ = hub.waiting()
    hub.operate(id_, "terminate")
    assert hub.end(id_)["output"] in (None, "")


def test_the_result_of_a_running_activity_is_ignored(hub: Hub) -> None:
    """The activity itself goes on."""
    gate = new_id()
    id_ = hub.start("GateThenWait", gate)
    hub.reaches_gate(gate)
    hub.operate(id_, "terminate", "enough")
    ended = hub.end(id_)
    hub.open_gate(gate)
    # An instance that starts after the activity's end shows that its result had its chance.
    hub.output("Call", {"name": "Gate", "input": gate})
    assert hub.status(id_) == ended
    assert "TaskCompleted" not in kinds(hub, id_)


def test_a_suspended_instance_can_be_terminated(hub: Hub) -> None:
    id_ = hub.suspended()
    assert hub.operate(id_, "terminate", "enough").status_code == 202
    status = hub.end(id_)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")


def test_a_suspended_instance_is_terminated_before_what_it_was_sent(hub: Hub) -> None:
    id_ = hub.suspended()
    hub.raise_event(id_, "go", "too late")
    hub.operate(id_, "terminate", "enough")
    status = hub.end(id_)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")


def test_terminate_may_follow_the_start_at_once(hub: Hub) -> None:
    id_ = hub.start("Wait")
    assert hub.operate(id_, "terminate", "enough").status_code == 202
    assert hub.end(id_)["runtimeStatus"] == "Terminated"


def test_a_sub_orchestration_outlives_its_parent(hub: Hub) -> None:
    child = new_id()
    id_ = hub.start("CallChild", {"name": "Wait", "id": child})
    eventually(lambda: hub.ask("GET", f"/instances/{child}").status_code == 202)
    hub.operate(id_, "terminate", "enough")
    hub.end(id_)
    assert hub.status(child)["runtimeStatus"] == "Running"
    hub.raise_event(child, "go", 1)
    assert hub.end(child)["output"] == 1
    assert hub.status(id_)["output"] == "enough"


def test_the_parent_of_a_terminated_sub_orchestration_fails(hub: Hub) -> None:
    child = new_id()
    id_ = hub.start("CallChild", {"name": "Wait", "id": child})
    eventually(lambda: hub.ask("GET", f"/instances/{child}").status_code == 202)
    hub.operate(child, "terminate", "enough")
    status = hub.end(id_)
    assert status["runtimeStatus"] == "Failed"
    assert "enough" in status["output"]


# -- suspend and resume ---------------------------------------------------------------------


def test_suspend_and_resume_are_202_and_their_reasons_the_output(hub: Hub) -> None:
    """The output of an instance that runs again is the reason of the resume."""
    id_ = hub.waiting()
    answer = hub.operate(id_, "suspend", "pause")
    assert (answer.status_code, answer.content) == (202, b"")
    assert hub.wait(id_, "Suspended")["output"] == "pause"
    answer = hub.operate(id_, "resume", "go on")
    assert (answer.status_code, answer.content) == (202, b"")
    assert hub.wait(id_, "Running")["output"] == "go on"
    hub.raise_event(id_, "go", "result")
    assert hub.end(id_)["output"] == "result"


def test_suspend_and_resume_by_the_client(hub: Hub) -> None:
    id_ = hub.waiting()
    hub.client("suspend", instance_id=id_, reason="a & b")
    assert hub.wait(id_, "Suspended")["output"] == "a & b"
    hub.client("resume", instance_id=id_, reason="go on")
    hub.wait(id_, "Running")


@pytest.mark.parametrize(("operation", "state"), [("suspend", "Suspended"), ("resume", "Running")])
def test_doing_it_twice_is_500(hub: Hub, operation: str, state: str) -> None:
    """The one error that the host answers to a request that merely comes late."""
    id_ = hub.suspended() if operation == "suspend" else hub.waiting()
    answer = hub.operate(id_, operation, "again")
    assert answer.status_code == 500
    body = answer.json()
    assert body["Message"] == "Something went wrong while processing your request"
    assert body["ExceptionMessage"] == (
        f"Cannot {operation} the orchestration instance {id_} because instance is in the "
        f"{state} state."
    )
    with pytest.raises(ClientRaised, match="unexpected status code 500"):
        hub.client(operation, instance_id=id_, reason="again")


def test_a_timer_that_is_due_while_suspended_fires_on_resume(hub: Hub) -> None:
    id_ = hub.start("Sleep", 3.0)
    hub.wait(id_, "Running")
    hub.operate(id_, "suspend")
    hub.wait(id_, "Suspended")
    # Another timer of the same length, begun later, says when the first is over.
    hub.output("Sleep", 3.0)
    assert hub.status(id_)["runtimeStatus"] == "Suspended"
    hub.operate(id_, "resume")
    assert hub.end(id_)["runtimeStatus"] == "Completed"


def test_an_activity_that_ends_while_suspended_counts_on_resume(hub: Hub) -> None:
    gate = new_id()
    id_ = hub.start("GateThenWait", gate)
    hub.reaches_gate(gate)
    hub.operate(id_, "suspend")
    hub.wait(id_, "Suspended")
    hub.open_gate(gate)
    hub.raise_event(id_, "go", "kept")
    assert hub.status(id_)["runtimeStatus"] == "Suspended"
    hub.operate(id_, "resume")
    assert hub.end(id_)["output"] == "kept"


# -- rewind ---------------------------------------------------------------------------------


def test_a_rewound_instance_runs_its_failed_work_again(hub: Hub) -> None:
    """The events of what failed, and of the end, become generic ones."""
    id_ = hub.start("Call", {"name": "FailUntil", "input": {"key": new_id(), "calls": 2}})
    assert hub.end(id_)["runtimeStatus"] == "Failed"
    assert hub.operate(id_, "rewind", "again").status_code == 202
    assert hub.wait(id_, "Completed")["output"] == 2
    kinds = [event["EventType"] for event in hub.history(id_)]
    assert kinds == [
        "ExecutionStarted",
        *["GenericEvent"] * 4,
        "TaskCompleted",
        "ExecutionCompleted",
    ]


def test_a_rewind_reaches_the_sub_orchestration_that_failed(hub: Hub) -> None:
    order = {"name": "FailUntil", "input": {"key": new_id(), "calls": 2}}
    id_ = hub.start("CallChild", {"name": "Call", "input": order})
    assert hub.end(id_)["runtimeStatus"] == "Failed"
    hub.client("rewind", instance_id=id_, reason="again")
    assert hub.wait(id_, "Completed")["output"] == 2


def test_only_what_failed_is_rewound(hub: Hub) -> None:
    answer = hub.operate(hub.ended("Completed"), "rewind")
    assert answer.status_code == 412
    assert "has status Completed" in answer.json()
    answer = hub.operate(new_id(), "rewind")
    assert answer.status_code == 404
    assert "No orchestration with instance ID" in answer.json()
