"""The progress of a monitor: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

Say = Callable[[str], None]


def show_progress(console: Console, say: Say, views: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Show each answer of `GET /api/monitors/{id}`; return the last one."""
    view: dict[str, Any] = {}
    columns = (
        BarColumn(table_column=Column(min_width=20)),
        TaskProgressColumn(table_column=Column(min_width=4)),
        TimeElapsedColumn(table_column=Column(min_width=7)),
        # A line that is too long for the terminal is cut off.
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=100)
        shown = ""
        for view in views:
            percent, line = _read(view["monitor"])
            progress.update(bar, completed=percent, description=escape(line))
            if not console.is_terminal and line != shown:
                say(f"{percent:3.0f} % {line}")
                shown = line
    return view


def _read(monitor: dict[str, Any]) -> tuple[float, str]:
    words = (monitor["state"], monitor.get("rawStatus"), monitor.get("message"))
    return float(monitor.get("progress") or 0), ", ".join(filter(None, words))
