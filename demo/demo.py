"""`make demo`: one real job, from the request that starts it to its stored row.

1. Start Azurite, the job service and the host in a temporary folder, on free ports.
2. Start a job and its monitor with one POST, and read the row that the app has stored by then.
3. Show the monitor until its state is final and its orchestration has ended.
4. Read the row again, with a storage client of our own, and show it.
5. Wait for the notice of the end, which a receiver on this machine takes.
6. Stop everything. The exit code is 0 if the job succeeded, and that is stored and told.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import requests
from azure.core.exceptions import AzureError
from azure.data.tables import TableClient, TableEntity
from rich.console import Console
from rich.table import Table

from demo import STARTED
from demo.part import PartFailed, get
from demo.receiver import CHANNEL, Receiver, in_words
from demo.show import Say, show_progress
from demo.stack import Stack

_REQUEST = {
    "source": "demo",
    "job": {"workload": "primes", "seconds": 15},
    "pollIntervalSeconds": 2,
    "notify": [CHANNEL],
}
_DEADLINE = 60.0  # seconds from the POST to the final row
_NOTICE_DEADLINE = 20.0  # seconds from there to the notice
_LOOK_AGAIN = 0.5  # seconds
_MONITORING = "Monitoring"
_RUNNING = {"Pending", "Running", "ContinuedAsNew", None}


Inbox = SimpleQueue[dict[str, Any]]
"""The messages that arrived."""


class DemoFailed(Exception):
    """The demo did not come to the end that it shows."""


def demo(console: Console, say: Say) -> int:
    """Run the demo; the exit code."""
    with tempfile.TemporaryDirectory(prefix="job-monitor-demo-") as folder:
        say(f"Starting Azurite, a job service and the local host. They work in {folder}.")
        stack = Stack(Path(folder), say=say)
        inbox: Inbox = SimpleQueue()
        try:
            with Receiver(inbox.put) as receiver:
                stack.host.environment = receiver.settings(Path(folder))
                with stack:
                    _one_job(stack, inbox, console, say)
                    say("Stopping everything.")
        except PartFailed as error:
            say(f"The demo failed. {error}")
            return 1
        except (DemoFailed, AzureError, requests.RequestException) as error:
            say(f"The demo failed. {error}\nThe host's log ends with:\n{stack.host.log_tail(40)}")
            return 1
    return 0


def _one_job(stack: Stack, inbox: Inbox, console: Console, say: Say) -> None:
    ready = _elapsed()
    start_url = f"{stack.host.url}/api/monitors"
    say(f"POST {start_url} {json.dumps(_REQUEST)}")
    answer = _start(start_url)
    deadline = time.monotonic() + _DEADLINE
    monitor_id = answer["monitor"]["id"]
    monitor_url = f"{start_url}/{monitor_id}"
    _read_row(stack, monitor_id)
    first_row = _elapsed()
    say(f"Job {answer['monitor']['jobId']} is started, its monitor is {monitor_id}.")

    view = show_progress(console, say, _views(monitor_url, deadline))
    row = _read_row(stack, monitor_id)
    if view["runtimeStatus"] != "Completed" or row["state"] != "Succeeded":
        raise DemoFailed(f"The orchestration ended {view['runtimeStatus']}, the row says {row}.")
    final_row = _elapsed()
    told = _first(inbox)
    notice = _elapsed()

    table = Table("Field", "Value", title="The stored row, in the table Monitors")
    for name, value in row.items():
        table.add_row(name, str(value))
    console.print(table)
    say(f"Notice:    {in_words(told)}")
    say(f"Start:     POST {start_url}")
    say("Page:      make run serves it, and prints its address")
    say(f"Monitor:   GET  {monitor_url}")
    say(f"Status:    GET  {answer['statusQueryGetUri']}")
    say(f"Terminate: POST {answer['terminatePostUri']}")
    say(
        f"Since the command began: all parts ready after {ready:.1f} s, first row stored after "
        f"{first_row:.1f} s, final row after {final_row:.1f} s, notice after {notice:.1f} s."
    )


def _elapsed() -> float:
    return time.monotonic() - STARTED


def _start(url: str) -> dict[str, Any]:
    answer = requests.post(url, json=_REQUEST, timeout=30)
    if answer.status_code != requests.codes.accepted:
        raise DemoFailed(f"The start was answered with {answer.status_code}: {answer.text}")
    body: dict[str, Any] = answer.json()
    return body


def _views(url: str, deadline: float) -> Iterator[dict[str, Any]]:
    """The monitor, again and again, until it is over; the last one is the final one."""
    while time.monotonic() < deadline:
        answer = get(url)
        answer.raise_for_status()
        view: dict[str, Any] = answer.json()
        yield view
        ended = view["runtimeStatus"] not in _RUNNING
        if ended and (view["monitor"]["state"] != _MONITORING or view["runtimeStatus"] == "Failed"):
            return
        time.sleep(_LOOK_AGAIN)
    raise DemoFailed(f"No final row within {_DEADLINE:g} seconds.")


def _first(inbox: Inbox) -> dict[str, Any]:
    try:
        return inbox.get(timeout=_NOTICE_DEADLINE)
    except Empty:
        raise DemoFailed(f"No notice within {_NOTICE_DEADLINE:g} seconds.") from None


def _read_row(stack: Stack, monitor_id: str) -> TableEntity:
    with TableClient.from_connection_string(stack.azurite.connection_string, "Monitors") as table:
        return table.get_entity(partition_key=monitor_id, row_key="monitor")
