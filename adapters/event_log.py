"""Events, as log lines that a query can read: one JSON object each.

Every line has `event`. A line about a monitor also has `monitor`, `source` and `run`.
docs/operations.md lists the events and their other fields. An event shows nothing that the
monitor's row does not show (I9).
"""

import json
import logging
from contextvars import ContextVar

from pydantic.alias_generators import to_camel

from domain.monitors.monitor import MonitorRow, Watch

log = logging.getLogger("job_monitor.events")

Held = list[tuple[int, str]]
"""Events that are not logged yet: level and line."""

_held: ContextVar[Held | None] = ContextVar("_held", default=None)


def log_event(
    event: str, about: MonitorRow | Watch | None, *, level: int = logging.INFO, **more: object
) -> None:
    """Log an event. Names become camelCase; values that JSON does not have become text."""
    line: dict[str, object] = {"event": event}
    if about:
        monitor_id = about.id if isinstance(about, MonitorRow) else about.monitor_id
        line |= {"monitor": monitor_id, "source": about.source, "run": about.run}
    if isinstance(about, MonitorRow) and about.labels:
        line["labels"] = about.labels
    line |= {to_camel(name): value for name, value in more.items()}
    text = json.dumps(line, default=str)
    held = _held.get()
    if held is None:
        log.log(level, "%s", text)
    else:
        held.append((level, text))


def hold_events(held: Held) -> None:
    """Hold the events of this context from now on, for somebody else to log."""
    _held.set(held)


def log_held(held: Held) -> None:
    """Log events that were held."""
    for level, text in held:
        log.log(level, "%s", text)
