"""Events, as log lines that a query can read: one JSON object each.

Every line has `event`. A line about a monitor also has `monitor`, `source` and `run`.
docs/operations.md lists the events and their other fields. An event shows nothing that the
monitor's row does not show (I9).
"""

import json
import logging
from datetime import datetime

from pydantic.alias_generators import to_camel

from domain.monitors.monitor import MonitorRow, Watch

log = logging.getLogger("job_monitor.events")


def log_event(
    event: str, about: MonitorRow | Watch | None, *, level: int = logging.INFO, **more: object
) -> None:
    """Log an event. Names become camelCase; values that JSON does not have become text."""
    line: dict[str, object] = {"event": event}
    if about:
        monitor_id = about.id if isinstance(about, MonitorRow) else about.monitor_id
        line |= {"monitor": monitor_id, "source": about.source, "run": about.run}
    line |= {to_camel(name): value for name, value in more.items()}
    log.log(level, "%s", json.dumps(line, default=str))


def log_end(row: MonitorRow, now: datetime) -> None:
    """Log that the final row is stored."""
    lag = (now - row.ended_at).total_seconds() if row.ended_at else None
    log_event("ended", row, state=row.state, reason=row.reason, polls=row.polls, lag_seconds=lag)
