"""Purging instances, by id and by filter."""

from datetime import UTC, datetime, timedelta

import pytest
import requests

from tests.conformance.hub import ClientRaised, Hub, eventually, new_id


def stamp(hours: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def purge(hub: Hub, **query: str | list[str]) -> requests.Response:
    return hub.ask("DELETE", "/instances/", params=query)


def there(hub: Hub, id_: str) -> bool:
    return hub.ask("GET", f"/instances/{id_}").status_code != 404


# -- by id ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Completed", "Failed", "Terminated"])
def test_an_instance_that_ended_is_deleted(hub: Hub, status: str) -> None:
    id_ = hub.ended(status)
    answer = hub.ask("DELETE", f"/instances/{id_}")
    assert (answer.status_code, answer.json()) == (200, {"instancesDeleted": 1})
    assert not there(hub, id_)
    assert hub.ask("DELETE", f"/instances/{id_}").status_code == 404


def test_an_unknown_instance_is_404_with_an_empty_body(hub: Hub) -> None:
    answer = hub.ask("DELETE", f"/instances/{new_id()}")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("status", ["Running", "Suspended"])
def test_a_live_instance_is_412_with_a_text_in_json(hub: Hub, status: str) -> None:
    id_ = hub.waiting() if status == "Running" else hub.suspended()
    answer = hub.ask("DELETE", f"/instances/{id_}")
    assert answer.status_code == 412
    assert answer.json() == (
        "Only orchestrations in a terminal state can be purged, but the orchestration with "
        f"instance ID {id_} has status {status}"
    )
    assert hub.status(id_)["runtimeStatus"] == status


def test_the_client_counts_what_was_deleted(hub: Hub) -> None:
    """An unknown instance counts as none; a live one raises."""
    assert hub.client("purge_instance_history", instance_id=hub.ended("Failed")) == 1
    assert hub.client("purge_instance_history", instance_id=new_id()) == 0
    with pytest.raises(ClientRaised, match="unexpected status code 412"):
        hub.client("purge_instance_history", instance_id=hub.waiting())


def test_an_id_is_free_again_after_a_purge(hub: Hub) -> None:
    """Nothing of the old instance comes back, not even an activity that still ran."""
    gate, id_ = new_id(), new_id()
    hub.start("GateThenWait", gate, id_)
    hub.reaches_gate(gate)
    hub.operate(id_, "terminate")
    hub.end(id_)
    assert hub.ask("DELETE", f"/instances/{id_}").status_code == 200
    hub.waiting({"new": True}, id_)
    hub.open_gate(gate)
    hub.output("Call", {"name": "Gate", "input": gate})
    assert [event["EventType"] for event in hub.history(id_)] == ["ExecutionStarted"]


# -- by filter ------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"createdTimeFrom": ""}, {"createdTimeFrom": "yesterday"}])
def test_without_a_beginning_it_is_400_with_a_text_in_json(hub: Hub, query: dict[str, str]) -> None:
    """A date that can't be read is none."""
    id_ = hub.ended("Completed")
    answer = purge(hub, runtimeStatus="Completed", **query)
    assert answer.status_code == 400
    assert answer.json() == "Please provide value for 'createdTimeFrom' parameter."
    assert there(hub, id_)


def test_when_nothing_matches_it_is_404_with_an_empty_body(hub: Hub) -> None:
    answer = purge(hub, createdTimeFrom=stamp(+1), runtimeStatus="Completed")
    assert (answer.status_code, answer.content) == (404, b"")


def test_instances_that_ended_are_deleted_by_status(hub: Hub) -> None:
    since = stamp(-1)
    purge(hub, createdTimeFrom=since, runtimeStatus=["Completed", "Failed"])
    completed, failed = hub.ended("Completed"), hub.ended("Failed")
    answer = purge(hub, createdTimeFrom=since, runtimeStatus="Failed")
    assert (answer.status_code, answer.json()) == (200, {"instancesDeleted": 1})
    assert (there(hub, completed), there(hub, failed)) == (True, False)


@pytest.mark.parametrize("statuses", ["Completed,Failed", ["Completed", "Failed"]])
def test_several_statuses_may_be_named(hub: Hub, statuses: str | list[str]) -> None:
    since = stamp(-1)
    purge(hub, createdTimeFrom=since, runtimeStatus=statuses)
    for status in ("Completed", "Failed"):
        hub.ended(status)
    terminated = hub.ended("Terminated")
    answer = purge(hub, createdTimeFrom=since, runtimeStatus=statuses)
    assert answer.json() == {"instancesDeleted": 2}
    assert there(hub, terminated)


def test_only_those_created_in_time_are_deleted(hub: Hub) -> None:
    id_ = hub.ended("Completed")
    purge(hub, createdTimeFrom=stamp(-2), createdTimeTo=stamp(-1), runtimeStatus="Completed")
    assert there(hub, id_)
    purge(hub, createdTimeFrom=stamp(-1), createdTimeTo=stamp(+1), runtimeStatus="Completed")
    assert not there(hub, id_)


def test_live_instances_stay_when_ended_ones_are_named_with_them(hub: Hub) -> None:
    running, suspended, ended = hub.waiting(), hub.suspended(), hub.ended("Completed")
    answer = purge(
        hub, createdTimeFrom=stamp(-1), runtimeStatus="Completed,Running,Suspended,Pending"
    )
    assert answer.status_code == 200
    assert (there(hub, running), there(hub, suspended), there(hub, ended)) == (True, True, False)


@pytest.mark.parametrize("statuses", ["", "completed", "Nonsense", "Running", "Running,Pending"])
@pytest.mark.difference("Purge by filter without a terminal status")
def test_without_a_terminal_status_live_instances_stay(
    hub: Hub, other_host: str | None, statuses: str
) -> None:
    """On Azure Storage such a purge deletes what runs as well; here only what has ended."""
    if other_host:
        pytest.skip("it would delete every instance of the hub")
    running, ended = hub.waiting(), hub.ended("Completed")
    answer = purge(hub, createdTimeFrom=stamp(-1), runtimeStatus=statuses)
    assert answer.status_code == 200
    assert (there(hub, running), there(hub, ended)) == (True, False)


def test_more_than_a_page_is_deleted_at_once(hub: Hub) -> None:
    since = stamp(-1)
    purge(hub, createdTimeFrom=since, runtimeStatus="Completed")
    prefix = new_id("purge-")
    started = [hub.start("GetInput", n, f"{prefix}-{n}") for n in range(105)]
    query = {"instanceIdPrefix": prefix, "runtimeStatus": "Completed", "top": 200}
    eventually(lambda: len(hub.ask("GET", "/instances/", params=query).json()) == len(started))
    answer = purge(hub, createdTimeFrom=since, runtimeStatus="Completed")
    assert answer.json() == {"instancesDeleted": 105}


def test_the_client_purges_by_filter(hub: Hub) -> None:
    arguments = {
        "created_time_from": "0001-01-01T00:00:00",
        "created_time_to": "9999-12-31T00:00:00",
        "runtime_status": ["Failed"],
    }
    hub.client("purge_instance_history_by", **arguments)
    hub.ended("Failed")
    assert hub.client("purge_instance_history_by", **arguments) == 1
    assert hub.client("purge_instance_history_by", **arguments) == 0
    with pytest.raises(ClientRaised, match="created_time_from is required"):
        hub.client("purge_instance_history_by")
