"""Restarting an instance: its name and input again, under a new id or the same."""

import pytest

from tests.conformance.hub import ClientRaised, Hub, new_id


def test_a_restart_is_202_with_the_links_of_a_new_instance(hub: Hub) -> None:
    id_ = hub.start("GetInput", {"a": 1})
    first = hub.end(id_)
    answer = hub.operate(id_, "restart")
    assert answer.status_code == 202
    links = answer.json()
    assert links["id"] != id_
    assert answer.headers["Location"] == links["statusQueryGetUri"]
    assert answer.headers["Retry-After"] == "10"
    assert "rewindPostUri" not in links
    second = hub.end(links["id"])
    assert (second["name"], second["input"]) == (first["name"], first["input"])
    assert second["output"] == first["output"]
    assert hub.status(id_) == first


@pytest.mark.parametrize("status", ["Completed", "Failed", "Terminated"])
def test_a_restart_may_keep_the_id(hub: Hub, status: str) -> None:
    id_ = hub.ended(status)
    answer = hub.ask(
        "POST", f"/instances/{id_}/restart", params={"restartWithNewInstanceId": "false"}
    )
    assert (answer.status_code, answer.json()["id"]) == (202, id_)
    if status == "Terminated":
        hub.wait(id_, "Running")
        assert hub.status(id_)["output"] is None
    else:
        assert hub.end(id_)["runtimeStatus"] == status


@pytest.mark.parametrize("flag", ["true", "TRUE", "nonsense", ""])
def test_what_is_not_false_is_a_new_id(hub: Hub, flag: str) -> None:
    id_ = hub.ended("Completed")
    answer = hub.ask("POST", f"/instances/{id_}/restart", params={"restartWithNewInstanceId": flag})
    assert answer.json()["id"] != id_


def test_a_restart_of_an_unknown_instance_is_400(hub: Hub) -> None:
    """Not 404."""
    answer = hub.operate(new_id(), "restart")
    assert answer.status_code == 400
    body = answer.json()
    assert body["Message"] == "InstanceId does not match a valid orchestration instance."
    assert {"ExceptionType", "StackTrace"} <= body.keys()


def test_a_restart_of_a_live_instance_under_its_id_is_409(hub: Hub) -> None:
    id_ = hub.waiting({"a": 1})
    before = hub.status(id_)
    answer = hub.ask(
        "POST", f"/instances/{id_}/restart", params={"restartWithNewInstanceId": "false"}
    )
    assert answer.status_code == 409
    assert answer.json()["Message"] == (
        "A non-terminal instance with this instance ID already exists."
    )
    assert hub.status(id_) == before


def test_a_restart_of_a_live_instance_under_a_new_id_leaves_it_alone(hub: Hub) -> None:
    id_ = hub.waiting({"a": 1})
    other = hub.operate(id_, "restart").json()["id"]
    hub.wait(other, "Running")
    assert hub.status(id_)["runtimeStatus"] == "Running"
    assert hub.status(other)["input"] == {"a": 1}


def test_a_restart_may_wait_for_the_output(hub: Hub) -> None:
    id_ = hub.start("GetInput", {"a": 1})
    hub.end(id_)
    query = {"timeout": "10", "pollingInterval": "0.02"}
    answer = hub.ask("POST", f"/instances/{id_}/restart", params=query)
    assert (answer.status_code, answer.json()) == (200, {"a": 1})


def test_a_restarted_instance_keeps_its_version(hub: Hub) -> None:
    id_ = hub.client("start_new", orchestration_function_name="Version", version="1.1")
    hub.end(id_)
    other = hub.operate(id_, "restart").json()["id"]
    assert hub.end(other)["output"] == "1.1"


def test_the_client_returns_the_whole_answer(hub: Hub) -> None:
    """Where its hints promise the id."""
    id_ = hub.ended("Completed")
    returned = hub.client("restart", instance_id=id_)
    assert {"id", "statusQueryGetUri"} <= returned.keys()
    assert returned["id"] != id_
    returned = hub.client("restart", instance_id=id_, restart_with_new_instance_id=False)
    assert returned["id"] == id_
    with pytest.raises(ClientRaised, match="unexpected status code 400"):
        hub.client("restart", instance_id=new_id())
