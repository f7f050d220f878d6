"""Exit codes, and the errors that lead to them."""

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from job_monitor.command.output import complain
from job_monitor.core.errors import ApiError, JobMonitorError, NoAnswer, NotConfigured
from job_monitor.core.models import Monitor, State


class Exit(IntEnum):
    """The exit codes of `jobmon`; those of a batch are ordered by `gravest`."""

    SUCCEEDED = 0
    FAILED = 1  # the job failed, or was cancelled
    USAGE = 2  # as all commands have it
    ENDED_OTHERWISE = 3  # the watch ended without the job, or in a state that is not known
    NO_RESULT = 4  # the API refused the request, or gave no answer
    WATCHED = 5  # the job has not ended
    INTERRUPTED = 130


_GRAVEST_FIRST = (
    Exit.NO_RESULT,
    Exit.FAILED,
    Exit.ENDED_OTHERWISE,
    Exit.WATCHED,
    Exit.SUCCEEDED,
)


def code_of(monitor: Monitor) -> Exit:
    """The exit code that tells how a monitor stands."""
    if not monitor.ended:
        return Exit.WATCHED
    if monitor.succeeded:
        return Exit.SUCCEEDED
    failed = monitor.state in (State.FAILED, State.CANCELLED)
    return Exit.FAILED if failed else Exit.ENDED_OTHERWISE


def gravest(codes: Iterable[Exit]) -> Exit:
    """The code of many monitors: that of the gravest."""
    seen = set(codes)
    return next((each for each in _GRAVEST_FIRST if each in seen), Exit.SUCCEEDED)


@contextmanager
def told(advice: str = "") -> Iterator[None]:
    """Tell an error, and end with its code.

    Args:
        advice: What to do if nobody knows whether the request arrived, or if Ctrl-C came.
    """
    try:
        yield
    except KeyboardInterrupt:
        complain(advice or "Interrupted.")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except NotConfigured as error:
        complain(str(error))
        raise typer.Exit(Exit.USAGE) from None
    except ApiError as error:
        complain(f"{error.status} {error.detail}")
        for fault in error.faults:
            complain(f"- {fault.field}: {fault.message}")
        if job_id := error.members.get("jobId"):
            complain(f"- jobId: {job_id}")
        raise typer.Exit(Exit.NO_RESULT) from None
    except JobMonitorError as error:
        complain(str(error))
        if advice and isinstance(error, NoAnswer):
            complain(advice)
        raise typer.Exit(Exit.NO_RESULT) from None


def command_line(*words: str) -> str:
    """A command as one types it."""
    return shlex.join(words)
