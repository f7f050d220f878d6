"""The entities in the table of the monitors.

A partition for each monitor, named by its id, holds the truth:

- row key `monitor`: the monitor itself, and how many lines its log has;
- row keys `log-00000001`, ...: the lines. A line and the row are written in one transaction, so the
  count is right, and most monitors are removed without a look at their log. Of a long log only the
  newest lines are kept, and all starts and ends: see `domain.monitors.log`.

- row keys `notice-000001-00000001`, ...: the notices by run and number (`adapters.outbox`).

Two partitions help to find monitors without reading them all:

- `~live`, by id and run: those that are watched; written before the run, removed after its end. The
  entry tells a sweep what it must know of the run, so that it need not read each row;
- `~list`, newest first: what the list shows and filters by, and where the cleanup looks.

`adapters.app_state` and `adapters.intents` keep their own partitions beside these.
"""

import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from adapters.table import Entity
from domain.monitors.log import LogLine
from domain.monitors.monitor import MonitorRow
from domain.monitors.monitor_id import is_monitor_id
from domain.monitors.sweep import Mark

ROW_KEY = "monitor"
LIVE, LIST = "~live", "~list"  # no monitor id begins with a tilde
_END_OF_TIME = 10**16  # microseconds; a newer run is nearer to it, so its key is smaller


def row_entity(row: MonitorRow, read: Entity | None = None) -> dict[str, Any]:
    """The entity of a row.

    Args:
        row: The row.
        read: Its entity as it was read. The properties that this release does not know, or does
            not change, are kept as they are: a later release may have written them.
    """
    before = _properties(read_row(read)) if read else {}
    now = _properties(row)
    changed = {name: value for name, value in now.items() if before.get(name) != value}
    kept = {k: v for k, v in (read or {}).items() if k in now or k not in before}
    keys = {"PartitionKey": row.id, "RowKey": ROW_KEY}
    return {"logLines": 0, **kept, **changed, **keys}


def line_entities(monitor_id: str, lines: list[LogLine], known: int) -> list[Entity]:
    """The lines that follow the first `known` of a monitor's log."""
    return [
        {
            "PartitionKey": monitor_id,
            "RowKey": line_key(number),
            **line.model_dump(by_alias=True, exclude_none=True),
        }
        for number, line in enumerate(lines, known + 1)
    ]


def _properties(row: MonitorRow) -> dict[str, Any]:
    """The row as properties that Table storage has types for."""
    values = row.model_dump(by_alias=True, exclude={"id"}, exclude_none=True)
    return {name: _plain(value) for name, value in values.items()}


def read_row(entity: Entity) -> MonitorRow:
    """The row, without the properties that only a later release knows."""
    known = {field.alias for field in MonitorRow.model_fields.values()}
    values = {k: v for k, v in entity.items() if k in known}
    for name in ("stop", "labels", "notify"):
        if name in values:
            values[name] = json.loads(values[name])
    return MonitorRow.model_validate({"id": entity["PartitionKey"]} | values)


def line_count(row: Entity) -> int:
    """How many lines of the log were written, says the row."""
    count = row["logLines"]
    if not isinstance(count, int):
        raise TypeError("logLines is no number")
    return count


def notice_count(row: Entity) -> int:
    """How many notices were written, says the row; none in the rows of release 0.1."""
    count = row.get("notices", 0)
    if not isinstance(count, int):
        raise TypeError("notices is no number")
    return count


def read_line(entity: Entity) -> LogLine:
    """The line."""
    known = {field.alias for field in LogLine.model_fields.values()}
    return LogLine.model_validate({k: v for k, v in entity.items() if k in known})


def line_key(number: int) -> str:
    """The row key of a line."""
    return f"log-{number:08}"


def line_number(entity: Entity) -> int:
    """The number of a line."""
    return int(str(entity["RowKey"]).removeprefix("log-"))


def live_entity(row: MonitorRow) -> Entity:
    """The entry that says that a run may be live."""
    return {
        "PartitionKey": LIVE,
        "RowKey": live_key(row.id, row.run),
        "monitorId": row.id,
        "run": row.run,
        "startedAt": row.started_at,
        **mark_of(row),
    }


def mark_of(row: MonitorRow) -> dict[str, Any]:
    """The part of that entry that changes: what a sweep must know of the run."""
    mark = Mark.of(row).model_dump_json(by_alias=True, exclude_defaults=True)
    return {"source": row.source, "jobId": row.job_id, "mark": mark}


def live_key(monitor_id: str, run: int) -> str:
    """A key for each run, so the late repair of one end removes no other run's entry."""
    return f"{monitor_id} {run:06}"


def live_keys(source: str) -> list[tuple[str, str]]:
    """The spans of keys of a source's runs, each after the first and up to the second text.

    A monitor id goes on with a dot or a tilde after the name of the source.
    """
    return [(f"{source}.", f"{source}/"), (f"{source}~", f"{source}~~~")]


def list_entity(row: MonitorRow) -> Entity:
    """The entry in the list."""
    entity = {
        "PartitionKey": LIST,
        "RowKey": list_key(row),
        "monitorId": row.id,
        "run": row.run,
        "state": str(row.state),
        "source": row.source,
        "jobId": row.job_id,
        "labels": json.dumps(row.labels),
    }
    if row.ended_at is None:
        return entity
    return entity | {"endedAt": row.ended_at, "polls": row.polls, "failedPolls": row.failed_polls}


def fits(entry: Entity, label: str | None, prefix: str | None) -> bool:
    """Whether an entry of the list has a label, as `name:value`, and its job id that beginning."""
    if prefix and not entry["jobId"].startswith(prefix):
        return False
    if label is None:
        return True
    name, _, value = label.partition(":")
    labels: dict[str, str] = json.loads(entry.get("labels", "{}"))
    return labels.get(name) == value


def list_key(row: MonitorRow) -> str:
    """The key of a run in the list."""
    return f"{moment_key(row.started_at)}-{row.id}"


def is_list_key(text: str) -> bool:
    """Whether a text can be the key of a run in the list."""
    moment, _, monitor_id = text.partition("-")
    return bool(re.fullmatch("[0-9]{16}", moment)) and is_monitor_id(monitor_id)


def moment_key(moment: datetime) -> str:
    """The prefix of the keys of runs that began at a moment; earlier runs have greater keys."""
    return f"{_END_OF_TIME - int(moment.timestamp() * 1_000_000):016}"


def moment_of(key: str) -> datetime:
    """When the run of a key began."""
    moment = _END_OF_TIME - int(key.partition("-")[0])
    return datetime.fromtimestamp(moment / 1_000_000, UTC)


def _plain(value: object) -> Any:
    """A property that Table storage has a type for; an object or a list as JSON text."""
    if isinstance(value, dict | tuple):
        return json.dumps(value)
    return str(value) if isinstance(value, StrEnum) else value
