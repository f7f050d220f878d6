"""`make run`: the parts of the demo on their usual ports, until Ctrl-C.

The data stays in `.local/`, so that the next run goes on with it; only the jobs themselves end
with the job service.
"""

import time
from pathlib import Path

from demo.part import ROOT, PartFailed
from demo.ports import is_taken
from demo.show import Say
from demo.stack import Ports, Stack

# The ports that local.settings.json names.
_AZURITE_PORTS = (10000, 10001, 10002)
_JOBS_PORT = 8077
_LOOK_AGAIN = 0.5  # seconds


def run(port: int, say: Say, folder: Path = ROOT / ".local") -> int:
    """Serve until Ctrl-C; the exit code."""
    wanted = {
        port: "the host (choose another one: PORT=7072 make run)",
        _JOBS_PORT: "the job service",
    }
    wanted |= dict.fromkeys(_AZURITE_PORTS, "Azurite")
    for number, user in wanted.items():
        if is_taken(number):
            say(f"Port {number} is in use; it is needed for {user}.")
            return 1
    ports = Ports(azurite=_AZURITE_PORTS, jobs=(_JOBS_PORT,), host=(port,))
    try:
        with Stack(folder, ports, say) as stack:
            _introduce(stack, folder, say)
            return _watch(stack, say)
    except PartFailed as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return 0


def _introduce(stack: Stack, folder: Path, say: Say) -> None:
    body = '{"source": "demo", "job": {"workload": "primes", "seconds": 30}}'
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
