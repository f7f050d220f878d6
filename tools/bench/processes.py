"""The CPU and memory of a process with its children, on Linux."""

import os
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") / 1024


def cpu_of(pid: int) -> float:
    """Seconds of CPU time that they have used."""
    return sum(_stat(each)[0] for each in tree(pid))


def memory_of(pid: int) -> float:
    """KiB of memory."""
    return sum(_stat(each)[1] for each in tree(pid))


def tree(pid: int) -> list[int]:
    """A process with its children."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            children += map(int, task.read_text().split())
    return [pid, *(each for child in children for each in tree(child))]


def _stat(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * _PAGE_KIB
