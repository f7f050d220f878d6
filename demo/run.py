"""`make run`: the parts of the demo on fixed ports, until Ctrl-C.

The data stays in `.local/`, so that the next run goes on with it; only the jobs themselves end
with the job service. A notice for the channel `demo` is shown when it arrives. The settings of the
environment hold, as in Azure, but for those that name a storage account: a run on this machine must
not meddle with monitors that are watched elsewhere.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from demo.part import ROOT, PartFailed
from demo.ports import is_taken
from demo.receiver import CHANNEL, Receiver, in_words
from demo.show import Say
from demo.stack import STORAGE_SETTINGS, Ports, Stack

_TAKEN_OVER = ("JOB_SOURCES_FILE", "DEMO_JOB_SERVICE_URL")
_LOOK_AGAIN = 0.5  # seconds
_REQUEST = {"source": "demo", "job": {"workload": "primes", "seconds": 30}}


def run(
    ports: Ports,
    say: Say,
    folder: Path = ROOT / ".local",
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Serve until Ctrl-C; the exit code."""
    if faults := list(_faults(ports)):
        for fault in faults:
            say(fault)
        return 1
    for name in environment:
        if name.startswith(STORAGE_SETTINGS):
            say(f"{name} of the environment is not used: the data stays in Azurite.")
    stack = Stack(folder, ports, say)
    own = {name: environment[name] for name in _TAKEN_OVER if environment.get(name)}
    try:
        with Receiver(lambda event: say(f"Notice: {in_words(event)}")) as receiver:
            stack.host.environment = receiver.settings(folder) | own
            with stack:
                _introduce(stack, folder, say, has_channel="JOB_SOURCES_FILE" not in own)
                return _watch(stack, say)
    except PartFailed as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return 0


def _faults(ports: Ports) -> Iterator[str]:
    """Everything that keeps the parts from having their ports."""
    wanted: dict[int, list[str]] = defaultdict(list)
    for setting, numbers in (
        ("PORT", ports.host),
        ("JOB_SERVICE_PORT", ports.jobs),
        ("AZURITE_PORT", ports.azurite),
    ):
        for number in numbers:
            wanted[number].append(setting)
    for number, settings in wanted.items():
        if len(settings) > 1:
            yield f"Port {number} can't serve both {' and '.join(settings)}: change one of them."
        elif is_taken(number):
            three = ", the first of three" if settings == ["AZURITE_PORT"] else ""
            yield f"Port {number} is in use. Set {settings[0]} to another one{three}."


def _introduce(stack: Stack, folder: Path, say: Say, *, has_channel: bool) -> None:
    body = json.dumps({**_REQUEST, "notify": [CHANNEL]} if has_channel else _REQUEST)
    say(f"Page:     {stack.host.url}/api/ui")
    say(f"Monitors: {stack.host.url}/api/monitors")
    say(f"Health:   {stack.host.url}/api/health")
    say(f"Jobs:     {stack.jobs.url}/jobs")
    say(f"Data and logs are in {folder}. Ctrl-C stops everything.")
    say("Start a job and its monitor:")
    say(f"  curl -i {stack.host.url}/api/monitors -H 'Content-Type: application/json' -d '{body}'")


def _watch(stack: Stack, say: Say) -> int:
    while True:
        for part in stack.parts:
            if not part.running:
                say(f"{part.name} has ended. {part.log} ends with:\n{part.log_tail()}")
                return 1
        time.sleep(_LOOK_AGAIN)
