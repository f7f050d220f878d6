import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from demo import part as part_module
from demo.azurite import Azurite
from demo.part import ROOT, Part, PartFailed, PortTaken, get
from demo.ports import LOCALHOST, free_ports, is_taken
from demo.stack import JobService, Stack
from tests.demo.processes import is_gone, wait_until

STARTS_A_PART = """
import pathlib, sys, time
from demo.stack import JobService
service = JobService(pathlib.Path(sys.argv[1]))
service.start()
print(service.pid, flush=True)
time.sleep(60)
"""


class Script(Part):
    """A part that runs a few lines of Python and is never ready."""

    name = "The script"

    def __init__(self, log: Path, text: str) -> None:
        super().__init__(log)
        self.text = text

    def command(self) -> list[str]:
        return [sys.executable, "-c", self.text]

    def problem(self) -> str | None:
        return "never is"


def write_row(azurite: Azurite, key: str) -> None:
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        table = service.create_table_if_not_exists("Rows")
        table.upsert_entity({"PartitionKey": key, "RowKey": "row"})


def rows(azurite: Azurite) -> list[str]:
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        entities = service.get_table_client("Rows").list_entities()
        return [entity["PartitionKey"] for entity in entities]


def test_azurite_keeps_ports_and_data_over_a_stop_and_a_kill(azurite: Azurite) -> None:
    ports = azurite.ports.copy()
    write_row(azurite, "one")
    azurite.stop()
    assert not azurite.running

    azurite.start()
    assert rows(azurite) == ["one"]

    azurite.kill()
    assert not azurite.running
    azurite.start()
    assert rows(azurite) == ["one"]
    assert azurite.ports == ports


def test_a_part_that_ends_first_is_reported_with_its_log(tmp_path: Path) -> None:
    script = Script(tmp_path / "log", "import sys; sys.exit('out of luck')")

    with pytest.raises(PartFailed, match=r"ended while it started[^$]*out of luck"):
        script.start()


def test_a_part_that_never_answers_is_reported_and_ended(tmp_path: Path) -> None:
    script = Script(tmp_path / "log", "import time; time.sleep(60)")

    with pytest.raises(PartFailed, match=r"isn't ready after 0\.3 seconds: never is"):
        script.start(deadline=0.3)
    assert not script.running


def test_a_command_that_is_missing_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(tmp_path / "log", "")
    monkeypatch.setattr(script, "command", lambda: ["no-such-program"])

    with pytest.raises(PartFailed, match="no-such-program can't be started: No such file"):
        script.start()


def test_a_part_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    text = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    script = Script(tmp_path / "log", f"{text}; time.sleep(60)")
    script.problem = lambda: None if script.log_tail() else "not yet"  # type: ignore[method-assign]
    script.start()

    script.stop(grace=0.1)
    assert not script.running


def test_a_running_part_is_not_started_again(job_service: JobService) -> None:
    pid = job_service.pid

    with pytest.raises(PartFailed, match="runs already"):
        job_service.start()
    assert job_service.running
    assert job_service.pid == pid


def test_a_given_port_that_is_taken_is_an_error(tmp_path: Path, job_service: JobService) -> None:
    with pytest.raises(PortTaken, match=f"can't have port {job_service.ports[0]}"):
        JobService(tmp_path / "log", job_service.ports).start()


def test_a_free_port_that_is_taken_meanwhile_is_replaced(
    tmp_path: Path, job_service: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = free_ports(1)
    choices = iter([job_service.ports, free])
    monkeypatch.setattr(part_module, "free_ports", lambda _: next(choices))

    with JobService(tmp_path / "log") as service:
        assert service.ports == free


def test_a_port_is_taken_while_something_listens() -> None:
    with socket.create_server((LOCALHOST, 0)) as server:
        port = server.getsockname()[1]
        assert is_taken(port)
    assert not is_taken(port)


def test_a_part_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    service = JobService(tmp_path / "log")
    thread = threading.Thread(target=service.start)
    thread.start()
    thread.join()

    assert get(f"{service.url}/jobs").ok
    service.stop()


def test_a_part_does_not_get_the_terminals_signals(job_service: JobService) -> None:
    assert os.getpgid(job_service.pid) != os.getpgid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends them")
def test_parts_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_A_PART, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.send_signal(signal.SIGKILL)

    wait_until(lambda: is_gone(pid))


def test_a_stack_that_fails_to_start_leaves_nothing_behind(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.host.arguments = ["--no-such-option"]

    with pytest.raises(PartFailed, match="The host ended while it started"):
        stack.__enter__()
    assert not any(part.running for part in stack.parts)
    assert set(stack.environment()) == {"AzureWebJobsStorage", "DEMO_JOB_SERVICE_URL"}
