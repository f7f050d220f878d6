"""The processes of this machine, as /proc shows them on Linux."""

import time
from collections.abc import Callable
from pathlib import Path


def wait_until(condition: Callable[[], bool], deadline: float = 60.0) -> None:
    """Return when the condition holds; fail after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not so after {deadline} seconds"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether the process has ended; a dead one that nobody has collected has."""
    return _state_and_parent(pid)[0] in {"", "Z"}


def children(pid: int) -> list[int]:
    everyone = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [each for each in everyone if _state_and_parent(each)[1] == str(pid)]


def _state_and_parent(pid: int) -> tuple[str, str]:
    try:
        # The name, in brackets before these two, may have spaces and brackets of its own.
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "", ""
    return state, parent
