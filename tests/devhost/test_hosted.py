"""devhost as a process: an app of which it serves a part, settings of host.json, a bad day."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.hub import ENDED, ClientRaised, Hub, eventually
from tests.devhost.host import Devhost

CODE = """
import json, logging, os, threading, time
from datetime import timedelta
import azure.durable_functions as df
import azure.functions as func

strangers = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@strangers.route(route="where")
def where(req: func.HttpRequest) -> str:
    return json.dumps([os.getcwd(), open("beside.txt").read()])

@strangers.route(route="log")
def log(req: func.HttpRequest) -> str:
    logging.info("said in the function")
    thread = threading.Thread(target=logging.info, args=("said in a thread of its own",))
    thread.start(); thread.join()
    return ""

@strangers.route(route="locked", auth_level=func.AuthLevel.ADMIN)
def locked(req: func.HttpRequest) -> str:
    return "open"

@strangers.route(route="slow")
def slow(req: func.HttpRequest) -> str:
    time.sleep(40)
    return "too late"

@strangers.route(route="queued")
@strangers.queue_output(arg_name="out", queue_name="q", connection="c")
def queued(req: func.HttpRequest, out: func.Out[str]) -> str:
    return "never"

@strangers.entity_trigger(context_name="context")
def counter(context): pass

@strangers.activity_trigger(input_name="value")
@strangers.blob_output(arg_name="out", path="p", connection="c")
def stores(value: str, out: func.Out[str]): pass

@strangers.activity_trigger(input_name="value")
def echo(value: str) -> str:
    return value

@strangers.activity_trigger(input_name="value")
def nothing(value: str):
    pass

@strangers.orchestration_trigger(context_name="context")
def caller(context):
    order = context.get_input()
    if order["name"] == "entity":
        return (yield context.call_entity(df.EntityId("counter", "one"), "get"))
    return (yield context.call_activity(order["name"], "x"))

@strangers.orchestration_trigger(context_name="context")
def waits(context):
    return (yield context.wait_for_external_event("go"))

@strangers.orchestration_trigger(context_name="context")
def sleeps(context):
    begin = context.current_utc_datetime
    yield context.create_timer(begin + timedelta(seconds=6))
    return (context.current_utc_datetime - begin).total_seconds()

@strangers.route(route="client/{method}", methods=["POST"])
@strangers.durable_client_input(client_name="client")
async def client(req: func.HttpRequest, client) -> func.HttpResponse:
    arguments = req.get_json()
    try:
        await client.signal_entity(df.EntityId("counter", "one"), "add", **arguments)
    except Exception as error:
        return func.HttpResponse(json.dumps({"raised": str(error)}))
    return func.HttpResponse(json.dumps({"returned": None}))
"""
HOST: dict[str, Any] = {
    "version": "2.0",
    "functionTimeout": "00:00:05",
    "extensions": {
        "durableTask": {
            "defaultVersion": "1.5",
            "versionFailureStrategy": "Fail",
            "overridableExistingInstanceStates": "AnyState",
            "storageProvider": {"queueClientMessageEncoding": "Base64"},
        }
    },
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strangers")
    (folder / "function_app.py").write_text(CODE, encoding="utf-8")
    (folder / "host.json").write_text(json.dumps(HOST), encoding="utf-8")
    (folder / "beside.txt").write_text("found", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def host(app: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devhost]:
    with Devhost(app, tmp_path_factory.mktemp("hosted") / "hub.db") as host:
        yield host


@pytest.fixture(scope="module")
def hub(host: Devhost) -> Iterator[Hub]:
    with closing(Hub(host.url)) as hub:
        yield hub


def logged(host: Devhost) -> str:
    return host.log.read_text(encoding="utf-8")


# -- what is not served ---------------------------------------------------------------------


def test_what_is_left_out_is_told_at_the_start(host: Devhost) -> None:
    said = logged(host)
    for name, uses in (("queued", "queue"), ("counter", "entityTrigger"), ("stores", "blob")):
        assert f"Function {name} uses {uses}, which devhost does not serve." in said
        assert f"left out: uses {uses}" in said


@pytest.mark.difference("Keys and authorization levels")
def test_nothing_asks_for_a_key(hub: Hub) -> None:
    assert hub.send("GET", "/api/locked").text == "open"
    assert hub.ask("GET", "/instances").status_code == 200


@pytest.mark.difference(
    "Other triggers and bindings (queue, blob, Event Grid, warm-up, output bindings, ...)"
)
def test_a_route_that_is_left_out_answers_501(host: Devhost, hub: Hub) -> None:
    answer = hub.send("GET", "/api/queued")
    assert answer.status_code == 501
    assert "Function queued uses queue" in answer.json()["Message"]
    assert "It was called." in logged(host)


def test_an_activity_that_is_left_out_fails_its_caller(host: Devhost, hub: Hub) -> None:
    text = hub.failure("caller", {"name": "stores"})
    assert text.endswith("Function stores uses blob, which devhost does not serve.")
    assert "stays Running for ever" in logged(host)


def test_entities_are_refused_to_orchestrators_and_clients(host: Devhost, hub: Hub) -> None:
    assert "devhost does not serve call_entity" in hub.failure("caller", {"name": "entity"})
    with pytest.raises(ClientRaised, match="501"):
        hub.client("signal_entity", operation_input=1)
    assert "devhost does not serve entities; see devhost/README.md" in logged(host)


# -- as the worker and the settings have it -------------------------------------------------


def test_the_folder_of_the_app_is_the_working_directory(app: Path, hub: Hub) -> None:
    assert hub.send("GET", "/api/where").json() == [str(app), "found"]


def test_a_line_without_an_invocation_id_is_marked(host: Devhost, hub: Hub) -> None:
    hub.send("GET", "/api/log")
    assert "root: said in the function" in logged(host)
    assert "root: [not in Azure: no invocation id] said in a thread of its own" in logged(host)


@pytest.mark.difference("A function over `functionTimeout`")
def test_the_function_timeout_ends_a_call(host: Devhost, hub: Hub) -> None:
    answer = hub.send("GET", "/api/slow")
    assert answer.status_code == 500
    assert 4.9 < answer.elapsed.total_seconds() < 30
    assert "Timeout value of 0:00:05 exceeded by function 'slow'" in logged(host)


def test_an_activity_that_returns_nothing_has_no_result(hub: Hub) -> None:
    id_ = hub.start("caller", {"name": "nothing"})
    assert hub.end(id_)["output"] is None
    events = hub.history(id_, showHistoryOutput="true")
    assert [e["Result"] for e in events if e["EventType"] == "TaskCompleted"] == [None]


def test_a_newer_version_fails_if_host_json_says_so(hub: Hub) -> None:
    answer = hub.ask("POST", "/orchestrators/waits", params={"version": "1.6"})
    status = hub.end(answer.json()["id"])
    assert (status["runtimeStatus"], status["output"]) == (
        "Failed",
        "VersionMismatch: Orchestration version did not comply with Worker Versioning",
    )


@pytest.mark.difference("`AnyState` over a live instance")
def test_a_live_instance_is_replaced_if_host_json_says_so(hub: Hub) -> None:
    id_ = hub.start("waits", {"a": 1})
    hub.wait(id_, "Running")
    assert hub.ask("POST", f"/orchestrators/waits/{id_}", data='{"b": 2}').status_code == 202
    assert hub.wait(id_, "Running")["input"] == {"b": 2}
    hub.raise_event(id_, "go", "once")
    assert hub.end(id_)["output"] == "once"


def test_base64_carries_any_text(hub: Hub) -> None:
    id_ = hub.start("waits")
    hub.wait(id_, "Running")
    assert hub.raise_event(id_, "go", "a\uffffb").status_code == 202
    assert hub.end(id_)["output"] == "a\uffffb"


def test_like_azure_is_late(app: Path, tmp_path: Path) -> None:
    """A timer of 6 s is cut to 5, and 1 to 2.5 s late; all else takes some tenths of a second."""
    with (
        Devhost(app, tmp_path / "hub.db", "--like-azure") as host,
        closing(Hub(host.url)) as hub,
    ):
        assert 6 <= hub.output("sleeps") < 60


# -- a bad day ------------------------------------------------------------------------------


def test_a_token_that_is_no_ascii(hub: Hub) -> None:
    headers = {"x-ms-continuation-token": "ä".encode()}
    assert hub.ask("GET", "/instances", headers=headers).status_code == 200


def test_malformed_http_is_worth_no_traceback(host: Devhost, hub: Hub) -> None:
    for request in (b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\0 HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", host.ports[0]), timeout=60) as connection:
            connection.sendall(request)
            assert connection.recv(100).startswith(b"HTTP/1.")
    assert hub.send("GET", "/api/where").ok
    assert "BadHttp" not in logged(host)
    assert "BadStatusLine" not in logged(host)


def test_a_damaged_file_ends_the_host(app: Path, tmp_path: Path) -> None:
    """A host that refuses starts but answers all else would pass for a healthy one."""
    with Devhost(app, tmp_path / "hub.db") as host, closing(Hub(host.url)) as hub:
        for number in range(200):
            hub.ask("POST", "/orchestrators/waits", data=json.dumps({"n": "x" * 1000 * number}))
        eventually(lambda: all(s["runtimeStatus"] in ("Running", *ENDED) for s in listed(hub)))
        for path in tmp_path.glob("hub.db*"):
            size = path.stat().st_size
            if path.suffix != ".log" and size:
                path.write_bytes(b"\xa5" * size)
        with pytest.raises(Exception, match=r"Connection|Max retries"):
            eventually(lambda: hub.ask("POST", "/orchestrators/waits", data='{"a": 1}') and None)
        eventually(lambda: not host.running)
        assert "The engine died" in logged(host)


def listed(hub: Hub) -> list[dict[str, Any]]:
    return list(hub.ask("GET", "/instances", params={"top": 1000, "showInput": "false"}).json())
