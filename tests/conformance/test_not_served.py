"""What devhost leaves out: each use is told, none hangs. Another host serves these."""

import pytest

from tests.conformance.hub import ClientRaised, Hub


@pytest.fixture(autouse=True)
def _devhost_only(other_host: str | None) -> None:
    if other_host:
        pytest.skip("served there")


@pytest.mark.parametrize(
    ("what", "name"), [("http", "call_http"), ("call", "call_entity"), ("signal", "signal_entity")]
)
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
