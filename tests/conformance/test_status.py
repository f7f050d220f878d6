"""The status of an instance: codes, headers, the payload and its history."""

import re
from typing import Any

import pytest

from tests.conformance.hub import Hub, eventually, new_id

FIELDS = [
    "name",
    "version",
    "instanceId",
    "runtimeStatus",
    "input",
    "customStatus",
    "output",
    "createdTime",
    "lastUpdatedTime",
]
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|\+00:00)")


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["EventType"] for event in events]


def one(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [event for event in events if event["EventType"] == kind]
    return found


# -- codes and headers ----------------------------------------------------------------------


def test_an_unknown_instance_is_404_with_an_empty_body(hub: Hub) -> None:
    answer = hub.ask("GET", f"/instances/{new_id()}")
    assert (answer.status_code, answer.content) == (404, b"")


def test_an_unknown_instance_is_a_false_status_to_the_client(hub: Hub) -> None:
    """Neither None nor an exception."""
    status = hub.client("get_status", instance_id=new_id())
    assert (status["truthy"], status["runtimeStatus"]) == (False, None)


def test_a_running_instance_is_202_with_its_own_url_as_location(hub: Hub) -> None:
    answer = hub.ask("GET", f"/instances/{hub.waiting()}", params={"showInput": "false"})
    assert (answer.status_code, answer.json()["runtimeStatus"]) == (202, "Running")
    assert answer.headers["Location"] == answer.request.url
    assert answer.headers["Retry-After"] == "5"


def test_a_suspended_instance_is_202(hub: Hub) -> None:
    answer = hub.ask("GET", f"/instances/{hub.suspended()}")
    assert (answer.status_code, answer.json()["runtimeStatus"]) == (202, "Suspended")
    assert "Location" in answer.headers


@pytest.mark.parametrize("status", ["Completed", "Failed", "Terminated"])
def test_an_instance_that_ended_is_200_without_location(hub: Hub, status: str) -> None:
    answer = hub.ask("GET", f"/instances/{hub.ended(status)}")
    assert (answer.status_code, answer.json()["runtimeStatus"]) == (200, status)
    assert not {"Location", "Retry-After"} & answer.headers.keys()


@pytest.mark.parametrize(
    ("status", "flag", "code"),
    [
        ("Failed", "true", 500),
        ("Failed", "TRUE", 500),
        ("Failed", "false", 200),
        ("Failed", "yes", 200),
        ("Failed", "1", 200),
        ("Completed", "true", 200),
    ],
)
def test_a_failed_instance_is_500_when_asked_for(
    hub: Hub, status: str, flag: str, code: int
) -> None:
    """The payload is the same; what is neither true nor false counts as not given."""
    id_ = hub.ended(status)
    answer = hub.ask(
        "GET", f"/instances/{id_}", params={"returnInternalServerErrorOnFailure": flag}
    )
    assert answer.status_code == code
    assert answer.json() == hub.status(id_)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "POST", "PATCH"])
def test_other_verbs_are_404_with_an_empty_body(hub: Hub, method: str) -> None:
    answer = hub.ask(method, f"/instances/{hub.waiting()}")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(
    "path", ["%zz", "%", "%ff", "%00", "a%00b", "a%2Fb", "..", "%2e%2e", "%F0%9F%98%80"]
)
def test_odd_ids_are_unknown_instances(hub: Hub, path: str) -> None:
    answer = hub.ask("GET", f"/instances/{path}")
    assert answer.status_code in (400, 404)
    assert hub.ask("DELETE", f"/instances/{path}").status_code in (400, 404)


def test_a_slash_for_an_id_is_none(hub: Hub) -> None:
    """The path is decoded, and what remains is that of the list."""
    answer = hub.ask("GET", "/instances/%2F", params={"top": 1})
    assert (answer.status_code, type(answer.json())) == (200, list)


# -- the payload ----------------------------------------------------------------------------


def test_the_payload_has_these_fields_in_this_order(hub: Hub) -> None:
    """Those without a value are null; the history is not there at all."""
    assert list(hub.status(hub.waiting())) == FIELDS
    ended = hub.run("GetInput", {"a": 1})
    assert list(ended) == FIELDS
    assert (ended["name"], ended["customStatus"]) == ("GetInput", None)


def test_times_have_the_precision_of_a_second(hub: Hub) -> None:
    status = hub.run("GetInput", 1)
    for name in ("createdTime", "lastUpdatedTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status[name])
    assert status["createdTime"] <= status["lastUpdatedTime"]


def test_the_input_is_shown_unless_told_otherwise(hub: Hub) -> None:
    id_ = hub.waiting({"a": [1, {"b": None}]})
    assert hub.status(id_)["input"] == {"a": [1, {"b": None}]}
    assert hub.status(id_, showInput="nonsense")["input"] == {"a": [1, {"b": None}]}
    assert hub.status(id_, showInput="false")["input"] is None
    assert hub.status(id_, SHOWINPUT="False")["input"] is None


def test_the_client_is_given_the_input_though_it_does_not_ask(hub: Hub) -> None:
    """Its show_input=False sends nothing, so that the host's default holds."""
    assert hub.client("get_status", instance_id=hub.waiting({"a": 1}))["input"] == {"a": 1}


@pytest.mark.parametrize("value", ["text", {"a": 1}, [1], 5, True, "ä" * 8000])
def test_the_custom_status_is_shown(hub: Hub, value: Any) -> None:
    id_ = hub.start("StatusThenWait", value)
    assert eventually(lambda: hub.status(id_)["customStatus"]) == value
    assert hub.client("get_status", instance_id=id_)["customStatus"] == value


@pytest.mark.parametrize("value", [0, "", [], {}, False])
def test_a_custom_status_that_counts_as_false_is_null(hub: Hub, value: Any) -> None:
    """The SDK does not send it."""
    id_ = hub.start("StatusThenWait", value)
    hub.wait(id_, "Running")
    assert hub.status(id_)["customStatus"] is None


def test_a_custom_status_over_16_kib_fails_the_instance(hub: Hub) -> None:
    """Counted in whole KB of UTF-16, so that a little more passes."""
    assert hub.run("BigStatus", 8 * 1024)["runtimeStatus"] == "Completed"
    assert hub.failure("BigStatus", 16 * 1024 - 2).endswith(
        "The UTF-16 size of the JSON-serialized payload must not exceed 16 KB. "
        "The current payload size is 32 KB."
    )


def test_the_status_of_the_client_has_all_of_this(hub: Hub) -> None:
    id_ = hub.start("Call", {"name": "Echo", "input": [1]})
    hub.end(id_)
    status = hub.client("get_status", instance_id=id_, show_history=True)
    assert (status["truthy"], status["name"], status["instanceId"]) == (True, "Call", id_)
    assert (status["runtimeStatus"], status["output"]) == ("Completed", [1])
    assert status["historyEvents"]


# -- the history ----------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["false", "nonsense", ""])
def test_the_history_is_absent_unless_asked_for(hub: Hub, flag: str) -> None:
    status = hub.status(hub.ended("Completed"), showHistory=flag)
    assert "historyEvents" not in status


def test_a_pending_instance_has_no_history(hub: Hub, other_host: str | None) -> None:
    """Not even when it is asked for."""
    blocking = hub.start("Block", 0.6)
    hub.wait(blocking, "Pending", "Running")
    id_ = hub.start("Wait")
    status = hub.status(id_, showHistory="true")
    # Another host may be quick enough to have begun it.
    assert status["runtimeStatus"] == "Pending" or other_host
    assert status["runtimeStatus"] != "Pending" or "historyEvents" not in status
    hub.wait(id_, "Running")
    assert kinds(hub.history(id_)) == ["ExecutionStarted"]
    hub.end(blocking)


def test_events_have_names_and_no_numbers(hub: Hub) -> None:
    id_ = hub.start("greet_cities")
    hub.end(id_)
    events = hub.history(id_)
    assert kinds(events) == ["ExecutionStarted", *["TaskCompleted"] * 3, "ExecutionCompleted"]
    for event in events:
        assert not {"EventId", "IsPlayed"} & event.keys()
        assert STAMP.fullmatch(event["Timestamp"])


def test_a_completed_activity_stands_for_both_of_its_events(hub: Hub) -> None:
    id_ = hub.start("Call", {"name": "Echo", "input": {"a": 1}})
    hub.end(id_)
    event = one(hub.history(id_), "TaskCompleted")
    assert event["FunctionName"] == "Echo"
    assert STAMP.fullmatch(event["ScheduledTime"])
    assert "TaskScheduledId" not in event
    assert "Result" not in event
    shown = one(hub.history(id_, showHistoryOutput="true"), "TaskCompleted")
    assert shown["Result"] == {"a": 1}


def test_an_activity_that_runs_is_shown_as_scheduled(hub: Hub) -> None:
    gate = new_id()
    id_ = hub.start("GateThenWait", gate)
    hub.reaches_gate(gate)
    event = one(hub.history(id_), "TaskScheduled")
    assert event["Name"] == "Gate"
    assert not {"Version", "EventId"} & event.keys()
    hub.open_gate(gate)
    eventually(lambda: "TaskCompleted" in kinds(hub.history(id_)))


def test_a_failed_activity_shows_its_reason(hub: Hub) -> None:
    id_ = hub.start("Call", {"name": "Raise", "input": "boom"})
    hub.end(id_)
    event = one(hub.history(id_), "TaskFailed")
    assert event["FunctionName"] == "Raise"
    assert event["Reason"].startswith("Activity function 'Raise' failed:")
    assert "boom" in event["Reason"]


def test_the_end_is_shown_by_the_name_of_its_status(hub: Hub) -> None:
    id_ = hub.start("GetInput", 5)
    hub.end(id_)
    event = one(hub.history(id_), "ExecutionCompleted")
    assert event["OrchestrationStatus"] == "Completed"
    assert "Result" not in event
    shown = one(hub.history(id_, showHistoryOutput="true"), "ExecutionCompleted")
    assert shown["Result"] == 5


def test_the_start_is_shown_with_its_input(hub: Hub) -> None:
    id_ = hub.waiting({"a": 1})
    event = one(hub.history(id_), "ExecutionStarted")
    assert event["FunctionName"] == "Wait"
    assert event["Input"] == '{"a": 1}'
    for hidden in ("Name", "OrchestrationInstance", "ParentInstance", "Version", "Tags"):
        assert hidden not in event
    shown = one(hub.history(id_, showInput="false"), "ExecutionStarted")
    assert "Input" not in shown


def test_timers_are_shown(hub: Hub) -> None:
    id_ = hub.start("Sleep", 0.05)
    hub.end(id_)
    events = hub.history(id_)
    created, fired = one(events, "TimerCreated"), one(events, "TimerFired")
    assert STAMP.fullmatch(created["FireAt"])
    assert STAMP.fullmatch(fired["FireAt"])
    assert "TimerId" not in fired


def test_events_and_control_are_shown(hub: Hub) -> None:
    id_ = hub.suspended()
    hub.operate(id_, "resume", "on")
    hub.wait(id_, "Running")
    hub.raise_event(id_, "go", {"a": 1})
    hub.end(id_)
    events = hub.history(id_)
    assert one(events, "ExecutionSuspended")["Reason"] == "pause"
    assert one(events, "ExecutionResumed")["Reason"] == "on"
    event = one(events, "EventRaised")
    assert (event["Name"], event["Input"]) == ("go", '{"a":1}')


def test_sub_orchestrations_are_shown(hub: Hub) -> None:
    id_ = hub.start("CallChild", {"name": "GetInput", "input": 5})
    hub.end(id_)
    event = one(hub.history(id_, showHistoryOutput="true"), "SubOrchestrationInstanceCompleted")
    assert (event["FunctionName"], event["Result"]) == ("GetInput", 5)
    id_ = hub.start("CallChild", {"name": "Fail", "input": ["boom"]})
    hub.end(id_)
    event = one(hub.history(id_), "SubOrchestrationInstanceFailed")
    assert "boom" in event["Reason"]
