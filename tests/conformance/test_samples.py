"""The well-known shapes of Durable Functions, from the start to the end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devhost import worker_rules
from tests.conformance.hub import Hub, eventually, new_id

APP = Path(__file__).parent / "app"
RULES = Path(worker_rules.__file__)


def test_the_app_is_one_that_the_real_worker_loads() -> None:
    """So that the suite means the same on any host."""
    done = subprocess.run(
        [sys.executable, str(RULES), str(APP)], capture_output=True, text=True, check=True
    )
    functions = json.loads(done.stdout)["functions"]
    assert {f["name"]: f["faults"] for f in functions if f["faults"]} == {}
    assert len(functions) > 50


def test_function_chaining(hub: Hub) -> None:
    assert hub.output("greet_cities") == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


@pytest.mark.parametrize("count", [0, 1, 25])
def test_fan_out_and_fan_in(hub: Hub, count: int) -> None:
    """Over nothing, one and many; the activities are async."""
    assert hub.output("sum_of_squares", count) == sum(n * n for n in range(1, count + 1))


def test_a_monitor_sees_the_thing_get_ready(hub: Hub) -> None:
    order = {"thing": new_id(), "looks": 3, "patience": 60}
    assert hub.output("watch", order) == "ready"


def test_a_monitor_gives_up(hub: Hub) -> None:
    order = {"thing": new_id(), "looks": 1000, "patience": 0.12}
    assert hub.output("watch", order) == "expired"


@pytest.mark.parametrize(("decision", "output"), [(True, "approved"), (False, "rejected")])
def test_a_person_decides_in_time(hub: Hub, decision: bool, output: str) -> None:
    """The timer that is cancelled does not keep the instance."""
    id_ = hub.start("ask_for_approval", 3600)
    hub.wait(id_, "Running")
    hub.raise_event(id_, "approval", decision)
    assert hub.end(id_)["output"] == output


def test_a_person_does_not_decide_in_time(hub: Hub) -> None:
    assert hub.output("ask_for_approval", 0.1) == "escalated"


def test_sub_orchestrations_with_retry(hub: Hub) -> None:
    devices = [{"key": new_id(), "calls": calls} for calls in (1, 2, 3)]
    assert hub.output("provision_devices", devices) == [1, 2, 3]


def test_a_sub_orchestration_that_fails_too_often(hub: Hub) -> None:
    key = new_id()
    text = hub.failure("provision_devices", [{"key": key, "calls": 4}])
    assert "call 3" in text
    assert hub.calls(key) == 3


def test_objects_travel_by_their_classes(hub: Hub) -> None:
    """From client to orchestrator to activity and back, and on to a sub-orchestration."""
    id_ = new_id()
    assert hub.send("POST", f"/api/parcels/{id_}").status_code == 202
    assert hub.end(id_)["output"] == "Parcel of Ada: 140 g"


def test_functions_may_be_called_as_objects_and_ask_for_their_context(hub: Hub) -> None:
    """An activity with a context parameter, one with a durable client, and ids made in replay."""
    output = hub.output("use_function_objects")
    assert output == {
        "told": {"function": "tell_context", "has_id": True},
        "status": "Running",
        "guids": 2,
    }


def test_a_hundred_instances_at_once(hub: Hub) -> None:
    ids = [hub.start("greet_cities") for _ in range(100)]
    for id_ in ids:
        assert hub.end(id_)["runtimeStatus"] == "Completed"


def test_nothing_of_it_is_lost_in_the_list(hub: Hub) -> None:
    prefix = new_id("list-")
    ids = [hub.start("greet_cities", None, f"{prefix}{n}") for n in range(5)]
    found = eventually(
        lambda: hub.ask(
            "GET",
            "/instances/",
            params={"instanceIdPrefix": prefix, "runtimeStatus": "Completed"},
        ).json(),
        lambda found: len(found) == len(ids),
    )
    assert [status["instanceId"] for status in found] == ids
