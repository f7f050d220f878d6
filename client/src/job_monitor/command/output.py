"""All that `jobmon` prints: results on stdout; errors, warnings and the progress bar on stderr."""

import logging
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from job_monitor.command.text import clean, to_json
from job_monitor.core.models import Monitor

_WIDE = 1_000  # columns of a file or pipe: nothing is broken into lines there

stderr = Console(stderr=True)


def say(text: str) -> None:
    """A line on stdout."""
    typer.echo(clean(text))


def complain(text: str) -> None:
    """A line on stderr; above the progress bar, if there is one."""
    stderr.print(Text(clean(text)), soft_wrap=True)


def print_json(document: Any) -> None:
    """A document on stdout."""
    typer.echo(to_json(document))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    terminal = sys.stdout.isatty()
    for head in heads:
        table.add_column(head, no_wrap=not terminal, overflow="fold" if terminal else "ellipsis")
    for row in rows:
        table.add_row(*(Text(shown(each)) for each in row))
    Console(width=None if terminal else _WIDE).print(table)


def shown(value: object) -> str:
    """A value for people: nothing for None, times to the second."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%SZ}"
    return clean(value)


def line_of(monitor: Monitor) -> str:
    """A monitor in one line."""
    parts = [monitor.id, monitor.state]
    if monitor.ended:
        parts += [monitor.reason or "", monitor.message or ""]
    else:
        parts += [monitor.raw_status or "", percent(monitor), *monitor.flags]
        parts += [monitor.detail if monitor.blind and monitor.detail else monitor.message or ""]
    return "  ".join(clean(part) for part in parts if part)


def percent(monitor: Monitor) -> str:
    """The progress of a job."""
    return "" if monitor.progress is None else f"{monitor.progress:.0f} %"


class Bar:
    """A progress bar on a terminal's stderr."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[percent]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=stderr,
        )
        self._task: TaskID | None = None

    def show(self, monitor: Monitor) -> None:
        """Show how the monitor stands."""
        if self._task is None:
            self._task = self._progress.add_task(clean(monitor.id), percent="", text="", total=None)
        told = [monitor.state if monitor.ended else monitor.raw_status or monitor.state]
        told += [*monitor.flags, monitor.message or ""]
        self._progress.update(
            self._task,
            total=None if monitor.progress is None else 100,
            completed=monitor.progress or 0,
            percent=percent(monitor),
            text=clean("  ".join(told)),
        )

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class Warnings(logging.Handler):
    """The client's warnings, as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        complain(record.getMessage())
