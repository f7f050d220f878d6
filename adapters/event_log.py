"""What happens, as log lines that can be searched: one JSON object each.

Every line has `event`, and if it is about a monitor `monitor`, `source`, `run`. docs/operations.md
lists the events and what else they carry: nothing that the monitor's row does not show as well.
"""

import json
import logging
from typing import Protocol

from pydantic.alias_generators import to_camel

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


def tell(event: str, about: About | None, *, level: int = logging.INFO, **more: object) -> None:
    """Log an event; names become camelCase, values that JSON does not know text."""
    line: dict[str, object] = {"event": event}
    if about:
        line |= {"monitor": about.id, "source": about.source, "run": about.run}
    line |= {to_camel(name): value for name, value in more.items()}
    log.log(level, "%s", json.dumps(line, default=str))
