"""The command: what it refuses and how it says so, how it stops, what a killed one leaves."""

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from demo.part import ROOT
from tests.conformance.hub import Hub, eventually, new_id
from tests.devhost.host import Devhost

APP = ROOT / "tests" / "conformance" / "app"

WORKS = """
import os
import azure.durable_functions as df
import azure.functions as func
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.route(route="setting")
def setting(req: func.HttpRequest) -> str:
    return os.environ["GIVEN"] + os.environ["DEFAULT"]
"""


def app_of(tmp_path: Path, code: str) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "function_app.py").write_text(code, encoding="utf-8")
    return folder


def refused(app: Path, state: Path, *options: str) -> str:
    """What a devhost that must not start says."""
    where = ["--app", str(app), "--state", str(state), "--port", "0"]
    command = [sys.executable, "-m", "devhost", *where, *options]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "Listening" not in done.stdout
    assert done.stderr.splitlines()[-1].startswith("devhost: ")
    return done.stderr


def short(text: str) -> str:
    """A complaint that is one line, without a traceback."""
    assert len(text.splitlines()) == 1
    return text


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


@pytest.fixture
def host(state: Path) -> Iterator[Devhost]:
    with Devhost(APP, state) as host:
        yield host


@pytest.fixture
def hub(host: Devhost) -> Iterator[Hub]:
    with closing(Hub(host.url)) as hub:
        yield hub


# -- refusing -------------------------------------------------------------------------------


def test_an_app_that_does_not_import_shows_its_traceback(tmp_path: Path, state: Path) -> None:
    app = app_of(tmp_path, "def broken():\n    raise KeyError('no such thing')\nbroken()\n")
    said = refused(app, state)
    assert "Traceback" in said
    assert 'function_app.py", line 2, in broken' in said
    assert "KeyError: 'no such thing'" in said
    assert said.splitlines()[-1] == f"devhost: {app} can't be loaded"
    assert not state.exists()


def test_an_app_that_exits_does_not_pass_for_a_success(tmp_path: Path, state: Path) -> None:
    assert "SystemExit" in refused(app_of(tmp_path, "exit(0)\n"), state)


def test_a_folder_without_an_app(tmp_path: Path, state: Path) -> None:
    assert "holds no function_app.py" in short(refused(tmp_path, state))


def test_a_port_that_is_taken(tmp_path: Path, state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        said = short(refused(app_of(tmp_path, WORKS), state, "--port", port))
    assert f"port {port} can't be used" in said


def test_a_port_that_is_none() -> None:
    """Told by the parser of the command line, with its exit code."""
    command = [sys.executable, "-m", "devhost", "--port", "65536"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'65536' is not a number from 0 to 65535" in done.stderr


def test_a_state_file_of_a_running_host(host: Devhost, hub: Hub) -> None:
    assert "is in use by another host" in short(refused(APP, host.state))
    assert hub.output("GetInput", 1) == 1


def test_a_state_file_that_is_none_of_ours(tmp_path: Path, state: Path) -> None:
    state.write_text("mine", encoding="utf-8")
    assert "is not a state file of devhost" in short(refused(APP, state))
    assert "can't be made" in short(refused(APP, state / "below"))
    assert state.read_text(encoding="utf-8") == "mine"


# -- starting -------------------------------------------------------------------------------


def test_it_says_what_it_serves_and_where(host: Devhost) -> None:
    """On the loopback address alone, for whoever can reach it may do anything."""
    listens = f"Listening on {host.url}. Press Ctrl-C to stop."
    said = eventually(lambda: host.log.read_text(encoding="utf-8"), lambda log: listens in log)
    assert f"Functions of {APP} (task hub Conformance):" in said
    assert f"GetThing: [GET] {host.url}/api/things/{{id}}" in said
    assert "Tick: timerTrigger (* * * * * *)" in said
    assert "Wait: orchestrationTrigger" in said
    lines = Path(f"/proc/{host.pid}/net/tcp").read_text(encoding="utf-8").splitlines()
    port, listening = f":{host.ports[0]:04X}", "0A"
    local = [line.split()[1] for line in lines if line.split()[3] == listening]
    assert [address for address in local if address.endswith(port)] == [f"0100007F{port}"]


def test_settings_and_folders(tmp_path: Path) -> None:
    """A setting of the environment wins over the file's; the state file's folders are made."""
    app = app_of(tmp_path, WORKS)
    values = {"Values": {"GIVEN": "file", "DEFAULT": "file"}}
    (app / "local.settings.json").write_text(json.dumps(values), encoding="utf-8")
    host = Devhost(app, tmp_path / "hub.db")
    host.state = tmp_path / "not" / "yet" / "hub.db"
    host.environment = {"GIVEN": "environment-"}
    with host, closing(Hub(host.url)) as hub:
        assert hub.send("GET", "/api/setting").text == "environment-file"
        assert host.state.is_file()


def test_an_app_sees_its_own_folder_and_not_that_of_the_command(tmp_path: Path) -> None:
    """Its plain folders would lose to packages of those names; on Azure there are none."""
    names = ["activities", "orchestrators", "tests", "triggers"]
    imports = [f"from {name} import part_of_{name}" for name in names]
    app = app_of(tmp_path, "\n".join([*imports, WORKS]))
    for name in names:
        (app / name).mkdir()
        (app / name / f"part_of_{name}.py").touch()
        assert (ROOT / name / "__init__.py").is_file()
    with Devhost(app, tmp_path / "hub.db"):
        pass


# -- stopping -------------------------------------------------------------------------------


def exit_code_of(host: Devhost) -> int:
    assert host._process is not None
    return host._process.wait(timeout=50)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_on_ctrl_c_and_when_asked_to(host: Devhost, number: int) -> None:
    host.signal(number)
    assert exit_code_of(host) == 0
    assert "Traceback" not in host.log.read_text()


def test_it_stops_while_requests_wait(host: Devhost, hub: Hub) -> None:
    """A start that waits for the end, and a function that blocks its thread."""
    with ThreadPoolExecutor(2) as pool:
        query = {"timeout": "600", "pollingInterval": "0.1"}
        pool.submit(hub.ask, "POST", "/orchestrators/Wait/waiting", params=query)
        pool.submit(hub.send, "GET", "/api/slow?seconds=60")
        eventually(lambda: hub.ask("GET", "/instances/waiting").ok)
        host.signal(signal.SIGTERM)
        assert exit_code_of(host) == 0, "it waited for neither"


# -- going on -------------------------------------------------------------------------------


def test_a_killed_host_goes_on_where_it_was(host: Devhost, hub: Hub) -> None:
    """Waits, timers, messages and finished instances are there; a cut activity runs again."""
    done = hub.start("GetInput", {"a": 1})
    before = hub.end(done)
    gate = new_id()
    waiting, suspended = hub.waiting({"b": 2}), hub.suspended()
    working, sleeping = hub.start("GateThenWait", gate), hub.start("Sleep", 1.0)
    hub.reaches_gate(gate)
    hub.wait(sleeping, "Running")
    hub.raise_event(suspended, "go", "held")
    hub.raise_event(working, "go", "early")
    host.kill()
    host.start()
    assert hub.status(done) == before
    assert hub.status(suspended)["runtimeStatus"] == "Suspended"
    hub.operate(suspended, "resume")
    assert hub.end(suspended)["output"] == "held"
    hub.raise_event(waiting, "go", 3)
    assert hub.end(waiting)["output"] == 3
    hub.reaches_gate(gate)
    hub.open_gate(gate)
    assert hub.end(working)["output"] == "early"
    assert hub.end(sleeping)["runtimeStatus"] == "Completed"


def test_an_activity_that_the_app_has_lost_fails_its_caller(tmp_path: Path, state: Path) -> None:
    """The host does not end over it."""
    app = tmp_path / "copy"
    shutil.copytree(APP, app)
    with Devhost(app, state) as host, closing(Hub(host.url)) as hub:
        gate = new_id()
        id_ = hub.start("Call", {"name": "Gate", "input": gate})
        hub.reaches_gate(gate)
        host.kill()
        cases = app / "cases.py"
        code = cases.read_text(encoding="utf-8").replace('_name("Gate")', '_name("Gone")')
        cases.write_text(code, encoding="utf-8")
        host.start()
        assert "Gate" in hub.end(id_)["output"]
        assert hub.output("GetInput", 1) == 1
