"""Ends the processes that a server left behind, and those of runs that were killed.

Every server has a mark of its run in its environment. Its child processes inherit the mark.
"""

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARK = "SYSTEMS_STARTED_BY"
_FOLDER = "systems-"


def new_mark() -> dict[str, str]:
    """Variables to add to the environment of one server."""
    return {_MARK: f"{os.getpid()}-{uuid.uuid4()}"}


def end_session(session: int, mark: dict[str, str]) -> None:
    """End all processes of a session, and all that have the mark.

    One may have begun a session of its own, another have overwritten its environment.
    """

    def is_of_it(process: Path) -> bool:
        stat = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(stat[3]) == session or _mark_of(process) == mark[_MARK]

    _end(is_of_it)


def end_what_killed_runs_left() -> None:
    """End the processes, and remove the folders, of runs that are there no more."""
    _end(lambda process: _run_is_gone(_mark_of(process)))
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        if _run_is_gone(folder.name.removeprefix(_FOLDER)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def folder_of_this_run() -> Iterator[Path]:
    """A temporary folder.

    Not below the project: the path of a socket has 107 bytes at most, and Slurm's programs run
    as different users.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what ends late may still write there


def _mark_of(process: Path) -> str:
    for each in (process / "environ").read_bytes().split(b"\0"):
        name, _, value = each.partition(b"=")
        if name == _MARK.encode():
            return value.decode()
    return ""


def _run_is_gone(mark: str) -> bool:
    run = mark.partition("-")[0]
    return run.isdecimal() and not Path("/proc", run).exists()


def _end(wanted: Callable[[Path], bool]) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if wanted(process):
                os.kill(int(process.name), signal.SIGKILL)
