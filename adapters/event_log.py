"""What happens to monitors, as log lines that can be searched: one JSON object each.

Every line has `event`, `monitor`, `source`, `run`; docs/operations.md lists the events and what
else they carry. No line holds what a request or an answer held, but for the job's own status.
"""

import json
import logging
from typing import Protocol

log = logging.getLogger("job_monitor.events")


class About(Protocol):
    """A row: what a line is about."""

    @property
    def id(self) -> str:
        """The monitor's id."""

    @property
    def source(self) -> str:
        """The name of its source."""

    @property
    def run(self) -> int:
        """Its run."""


def tell(event: str, about: About, *, level: int = logging.INFO, **more: object) -> None:
    """Log an event; values that JSON does not know are shown as text."""
    line = {"event": event, "monitor": about.id, "source": about.source, "run": about.run, **more}
    log.log(level, "%s", json.dumps(line, default=str))
