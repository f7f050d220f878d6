"""No function takes the host with it, whatever it raises (the app of `planted`).

Every kind of end is tried in every kind of function, on a host of its own process; then the host
is killed and started again, as what killed it once would kill it at every start.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.hub import Hub, eventually
from tests.devhost.host import Devhost

APP = Path(__file__).parent / "planted"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devhost]:
    with Devhost(APP, tmp_path_factory.mktemp("planted") / "hub.db") as host:
        yield host


@pytest.fixture(scope="module")
def hub(host: Devhost) -> Iterator[Hub]:
    with closing(Hub(host.url)) as hub:
        yield hub


@pytest.fixture(scope="module")
def kinds(hub: Hub) -> list[str]:
    kinds = hub.send("GET", "/api/kinds").json()
    assert len(kinds) > 70
    return list(kinds)


def serves(hub: Hub, host: Devhost) -> None:
    assert host.running, host.log_tail(3_000)
    assert hub.send("GET", "/api/kinds").ok


@pytest.mark.parametrize("route", ["http", "async"])
def test_an_http_function_fails_alone(
    host: Devhost, hub: Hub, kinds: list[str], route: str
) -> None:
    codes = {kind: hub.send("GET", f"/api/{route}/{kind}").status_code for kind in kinds}
    assert codes == dict.fromkeys(kinds, 500)
    serves(hub, host)


@pytest.mark.parametrize("activity", ["Act", "ActAsync"])
def test_an_activity_fails_its_caller(
    host: Devhost, hub: Hub, kinds: list[str], activity: str
) -> None:
    ids = {kind: hub.start("Calls", {"activity": activity, "kind": kind}) for kind in kinds}
    for kind, id_ in ids.items():
        output = hub.end(id_)["output"]
        assert output.startswith(f"caught Activity function '{activity}' failed: "), (kind, output)
    serves(hub, host)


@pytest.mark.parametrize("name", ["Orchestrator", "OrchestratorLater"])
def test_an_orchestrator_fails_alone(host: Devhost, hub: Hub, kinds: list[str], name: str) -> None:
    ids = {kind: hub.start(name, {"kind": kind}) for kind in kinds}
    for kind, id_ in ids.items():
        status = hub.end(id_)
        assert status["runtimeStatus"] == "Failed", (kind, status)
    serves(hub, host)


def test_a_timer_function_is_reported_and_retried(hub: Hub, kinds: list[str]) -> None:
    assert eventually(
        lambda: hub.send("GET", "/api/retried").json(), lambda seen: len(seen) == len(kinds)
    ) == list(kinds)


def test_a_restarted_host_works_as_before(host: Devhost, hub: Hub) -> None:
    """What was under way at a kill runs again; here all of it has ended."""
    host.kill()
    host.start()
    assert hub.ask("GET", "/instances", params={"top": 1}).ok
    assert json.loads(hub.send("GET", "/api/kinds").text)


@pytest.mark.difference("`sys.exit` or another `BaseException` in a function")
def test_sys_exit_is_in_the_log(host: Devhost, hub: Hub) -> None:
    hub.send("GET", "/api/http/Exit")
    assert "Function Http failed: SystemExit: 3" in host.log.read_text()
