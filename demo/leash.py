"""Become another command that ends when the process which asked for it ends.

`python leash.py PARENT_PID COMMAND...` has the kernel send SIGTERM to this process when its
parent is gone, even by kill -9, and then turns into the command, which keeps that order and the
process id. Linux only; elsewhere it is a plain exec, and the children of a killed parent have to
be ended by hand.

A program of its own rather than `preexec_fn`, which may deadlock in a parent with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Tie this process to its parent, then become the command."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # The parent may have ended before the order to the kernel was given.
    if os.getppid() != parent:
        sys.exit("the process that asked for this one is gone")
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"{command[0]} can't be started: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
