"""Continue-as-new: what a new generation takes along, and what holds it up."""

from datetime import datetime
from typing import Any

import pytest

from tests.conformance.hub import Hub, eventually, new_id


def kinds(hub: Hub, id_: str) -> list[str]:
    return [event["EventType"] for event in hub.history(id_)]


def created(status: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(status["createdTime"])


def test_the_last_generation_ends_the_instance(hub: Hub) -> None:
    """What an earlier one returned after continue-as-new is ignored."""
    id_ = hub.start("CountDown", 5)
    status = hub.end(id_)
    assert (status["runtimeStatus"], status["output"]) == ("Completed", "done")
    assert status["input"] == "0"
    assert kinds(hub, id_) == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]


def test_the_last_generation_of_a_sub_orchestration_answers_its_parent(hub: Hub) -> None:
    assert hub.output("CallChild", {"name": "CountDown", "input": 3}) == "done"


def test_a_new_generation_begins_anew(hub: Hub) -> None:
    """Its input, time of creation and history are its own.

    The custom status is kept until the generation's second turn.
    """
    id_ = hub.start("Generations", "first")
    eventually(lambda: hub.status(id_)["customStatus"] == "first")
    before = hub.status(id_)
    # Times are shown to the second, so a second must pass to see that one moved.
    hub.output("Sleep", 3.0)
    hub.raise_event(id_, "go")
    after = eventually(lambda: hub.status(id_), lambda status: status["input"] == '"second"')
    assert (after["name"], after["instanceId"]) == (before["name"], before["instanceId"])
    assert after["runtimeStatus"] == "Running"
    assert created(after) > created(before)
    assert kinds(hub, id_) == ["ExecutionStarted"]
    assert after["customStatus"] == "first"
    hub.raise_event(id_, "go", "over")
    end = hub.end(id_)
    assert (end["output"], end["customStatus"]) == ("over", None)


def test_a_generation_waits_for_its_open_timer(hub: Hub) -> None:
    """Only when no timer and no task is open does the next one begin."""
    id_ = hub.start("ContinueWithOpenTimer", {"seconds": 3.0})
    eventually(lambda: kinds(hub, id_).count("TaskCompleted") == 2)
    assert hub.status(id_)["input"] == {"seconds": 3.0}
    assert "TimerFired" not in kinds(hub, id_)
    hub.raise_event(id_, "go")
    eventually(lambda: hub.status(id_)["input"] == '{"seconds": 0}')
    hub.raise_event(id_, "go")
    assert hub.end(id_)["output"] == "second"


def test_a_cancelled_timer_does_not_hold_it_up(hub: Hub) -> None:
    """Nor does it complete anything in the next generation, when its time comes."""
    id_ = hub.start("ContinueWithOpenTimer", {"seconds": 3.0, "cancel": True})
    eventually(lambda: hub.status(id_)["input"] == '{"seconds": 0}')
    hub.output("Sleep", 4.0)
    assert kinds(hub, id_) == ["ExecutionStarted"]
    hub.raise_event(id_, "go")
    assert hub.end(id_)["output"] == "second"


def test_a_timer_of_an_earlier_generation_fires_into_nothing(hub: Hub) -> None:
    """Though a timer of this generation has the same number."""
    id_ = hub.start("ContinueAtOnce", 3.0)
    eventually(lambda: hub.status(id_)["input"] == "0")
    hub.output("Sleep", 4.0)
    assert hub.status(id_)["runtimeStatus"] == "Running"
    hub.raise_event(id_, "go", "the event")
    assert hub.end(id_)["output"] == "the event"


def test_an_exception_after_it_fails_the_instance(hub: Hub) -> None:
    assert "after all" in hub.failure("ContinueThenRaise")


def test_an_event_that_was_buffered_and_not_awaited_is_lost(hub: Hub) -> None:
    gate = new_id()
    id_ = hub.start("DropBuffered", gate)
    hub.reaches_gate(gate)
    hub.raise_event(id_, "go", "early")
    eventually(lambda: "EventRaised" in kinds(hub, id_))
    hub.open_gate(gate)
    eventually(lambda: hub.status(id_)["input"] == "null")
    assert kinds(hub, id_) == ["ExecutionStarted"]
    hub.raise_event(id_, "go", "late")
    assert hub.end(id_)["output"] == "late"


def test_an_event_that_comes_after_the_decision_goes_along(hub: Hub) -> None:
    """Both reach the orchestrator at once here: what it decides on, and then the event."""
    gate = new_id()
    id_ = hub.start("DropBuffered", gate)
    hub.reaches_gate(gate)
    hub.operate(id_, "suspend")
    hub.wait(id_, "Suspended")
    hub.open_gate(gate)
    # By the time that another has been through the gate, the first has as well.
    hub.output("Call", {"name": "Gate", "input": gate})
    hub.raise_event(id_, "go", "after")
    hub.operate(id_, "resume")
    assert hub.end(id_)["output"] == "after"


@pytest.mark.difference("Continue-as-new, over and over, without awaiting")
def test_a_loop_that_never_awaits_fails(hub: Hub, other_host: str | None) -> None:
    """Another host spins for ever; devhost gives up after a thousand generations."""
    if other_host:
        pytest.skip("it would keep the host busy for good")
    text = hub.failure("ContinueForever")
    assert "continued as new 1000 times" in text
    assert hub.output("GetInput", 1) == 1


def test_an_event_is_delivered_again_when_its_turn_continues_as_new(
    hub: Hub, other_host: str | None
) -> None:
    """A cancelled timer ends the race before the event is looked at, which then goes along.

    So it does on any host, for ever; an activity awaited between the two prevents it.
    """
    if other_host:
        pytest.skip("it would keep the host busy for good")
    id_ = hub.start("RaceThenContinue")
    hub.wait(id_, "Running")
    hub.raise_event(id_, "go", 1)
    assert "continued as new 1000 times" in hub.end(id_)["output"]
