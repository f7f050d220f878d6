"""The monitors in Table storage: table `Monitors`.

A partition for each monitor, named by its id, holds the truth:

- row key `monitor`: the monitor itself, and how many lines its log has;
- row keys `log-00000001`, ...: the lines. Each is written in one transaction with the row, so that
  the count is right, and a monitor can be removed without a look at its log.

Two partitions help to find monitors without reading them all:

- `~live`, by id and run: those that are watched; written before the run, removed after its end;
- `~list`, newest first: what the list shows and filters by, and where the cleanup looks.

`~watchdog` holds how far the watchdog came.

Azure may run an activity twice, and an old poll may come late. So a write of a monitor holds only
for its ETag and run, and adds only those lines that the row does not know of; every other write is
an upsert or a delete on a key that follows from the monitor. What was cut off between them, the
next attempt or the watchdog completes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

from adapters.table import (
    BATCH,
    Entity,
    Operation,
    Table,
    delete_unchanged,
    update_unchanged,
)
from domain.errors import StoreUnavailable
from domain.monitor import LogLine, MonitorRow, Watch, row_of
from domain.outcome import StopRequest

TABLE = "Monitors"
_ROW_KEY = "monitor"
_LIVE, _LIST = "~live", "~list"  # no monitor id begins with a tilde
_WATCHDOG = "~watchdog"
_ATTEMPTS = 10
_END_OF_TIME = 10**16  # microseconds; newest first is what is nearest to it

Changed = tuple[MonitorRow, list[LogLine]]
"""A row, and the log lines that come with it."""

Change = Callable[[MonitorRow], Changed | None]


class Stored(NamedTuple):
    """A monitor with its log, oldest line first."""

    row: MonitorRow
    log: list[LogLine]


class Written(NamedTuple):
    """A monitor before and after a write."""

    before: MonitorRow
    now: MonitorRow


class Claim(NamedTuple):
    """That a run of a monitor may be live.

    Attributes:
        run: The run.
        since: When it was begun.
        key: Where it stands among the others.
    """

    run: int
    since: datetime
    key: str


class Ended(NamedTuple):
    """A run that ended, as the list knows it.

    Attributes:
        monitor_id: Whose run.
        run: The run.
        key: Where it stands in the list.
    """

    monitor_id: str
    run: int
    key: str


class MonitorTable:
    """The store of monitors. Every method raises `StoreUnavailable` if the store fails."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @classmethod
    def connect(cls, **where: Any) -> "MonitorTable":
        """The store in a storage account; see `Table.connect`."""
        return cls(Table.connect(TABLE, **where))

    def ping(self) -> None:
        """Make sure that the store answers and the table is there."""
        self._table.ping()

    # -- the life of a monitor ------------------------------------------------------------

    def claim(self, row: MonitorRow) -> bool:
        """Insert a new monitor with its first log line; only one caller can.

        Returns:
            Whether this caller did. If not, the monitor exists.
        """
        self._table.upsert(_live_entity(row))
        entity, *lines = _entities(row, [_started(row)])
        if not self._table.commit([("create", entity), *_upserts(lines)]):
            return False
        self._table.upsert(_list_entity(row))
        return True

    def claim_again(self, ended: MonitorRow, row: MonitorRow) -> bool:
        """Put the next run in the place of an ended watch; only one caller can.

        Returns:
            Whether this caller did. If not, the row is no longer that of `ended`.
        """
        self._table.upsert(_live_entity(row))
        # Before the row: what is cut off here, the watchdog finds by the entry above.
        self._table.delete(_LIST, _list_key(ended))

        def go_on(current: MonitorRow) -> Changed | None:
            if current.run != ended.run:
                return None
            # An end that only the task hub told of is not in the log yet.
            end = [] if current.state.final else [_ended(ended)]
            return row, [*end, _started(row)]

        if not self._change(row.id, go_on):
            return False
        self._table.upsert(_list_entity(row))
        return True

    def heartbeat(self, watch: Watch) -> Written | None:
        """Write what a poll saw, and a log line if the raw status changed.

        A row that is final, of a later run or gone is left alone.

        Returns:
            The row before and now, with a wish to stop that somebody wrote; None if left alone.
        """
        row = row_of(watch)

        def beat(current: MonitorRow) -> Changed | None:
            if not _lives(current, row.run) or current.polls > row.polls:
                return None
            return row.model_copy(update={"stop": current.stop}), _status_line(current, row)

        return self._change(row.id, beat)

    def request_stop(self, monitor_id: str, run: int, stop: StopRequest) -> bool:
        """Write down the wish to stop a live watch; the next poll reads it.

        Returns:
            Whether it was written. If not, that run has ended.
        """
        return self._change_live(monitor_id, run, {"stop": stop})

    def flag_stale(self, row: MonitorRow) -> bool:
        """Note that a live watch is silent; its next heartbeat takes the flag away."""
        return self._change_live(row.id, row.run, {"stale": True})

    def begin_again(self, row: MonitorRow, at: datetime) -> MonitorRow | None:
        """Go on with a live watch as the next run, so that nothing of this one counts any more.

        Returns:
            The new row, or None if that run has ended.
        """
        again = row.model_copy(update={"run": row.run + 1, "stale": False, "resumed": True})

        def go_on(current: MonitorRow) -> Changed | None:
            return (again, [_resumed(again, at)]) if _lives(current, row.run) else None

        if not self._change(row.id, go_on):
            return None
        self.settle(again)
        return again

    def note_resumed(self, row: MonitorRow, at: datetime) -> None:
        """Note that a live watch is started again; once, until its next heartbeat."""

        def note(current: MonitorRow) -> Changed | None:
            if not _lives(current, row.run) or current.resumed:
                return None
            return current.model_copy(update={"resumed": True}), [_resumed(current, at)]

        self._change(row.id, note)

    def finish(self, row: MonitorRow) -> None:
        """Write the end of a run, unless it has one already or a later run began.

        What the last poll saw is written with it, if the store did not take that.
        """

        def end(current: MonitorRow) -> Changed | None:
            if not _lives(current, row.run):
                return None
            return row, [*_status_line(current, row), _ended(row)]

        written = self._change(row.id, end)
        current = written.now if written else self.get(row.id)
        if current is None:
            # Somebody deleted the row. The caller was promised an end, so it comes.
            self._table.commit(_upserts(_entities(row, [_ended(row)])))
            current = row
        self.settle(current)

    def settle(self, row: MonitorRow) -> None:
        """Bring what helps to find a monitor in line with its row; doing it twice is fine."""
        if not row.ended_at:
            self._table.upsert(_live_entity(row))
        self._table.upsert(_list_entity(row))
        if row.ended_at:
            self.drop_live(row.id, row.run)

    def delete(self, ended: Ended) -> bool:
        """Remove an ended monitor and its log, unless a new run began; `unlist` comes after it.

        Returns:
            Whether it was removed.
        """
        entity = self._table.find(ended.monitor_id, _ROW_KEY)
        if entity is None:
            return False
        row = _row(entity)
        if row.run != ended.run or not row.state.final:
            return False
        keys = [_log_key(number) for number in range(1, entity["lines"] + 1)]
        lines = [("delete", {"PartitionKey": row.id, "RowKey": key}) for key in keys]
        # The row goes last, and only if it is still the one that was read. A transaction before
        # that is void only if an earlier attempt had come as far.
        while len(lines) >= BATCH:
            self._table.commit(lines[:BATCH])
            lines = lines[BATCH:]
        return self._table.commit([*lines, delete_unchanged(entity)])

    def unlist(self, gone: Sequence[Ended]) -> None:
        """Take runs out of the list whose monitors were removed, or went on as the next run."""
        for begin in range(0, len(gone), BATCH):
            keys = [each.key for each in gone[begin : begin + BATCH]]
            deletes = [("delete", {"PartitionKey": _LIST, "RowKey": key}) for key in keys]
            if not self._table.commit(deletes):
                # One was not there any more, so none was taken.
                for key in keys:
                    self._table.delete(_LIST, key)

    # -- looking up -----------------------------------------------------------------------

    def get(self, monitor_id: str) -> MonitorRow | None:
        """The row of a monitor, or None."""
        found = self._table.find(monitor_id, _ROW_KEY)
        return _row(found) if found else None

    def read(self, monitor_id: str) -> Stored | None:
        """A monitor with its log, or None."""
        row, log = None, []
        for entity in self._table.query("PartitionKey eq @id", {"id": monitor_id}):
            if entity["RowKey"] == _ROW_KEY:
                row = _row(entity)
            elif entity["RowKey"].startswith("log-"):
                log.append(_log_line(entity))
        return Stored(row, log) if row else None

    def live(self, after: str = "") -> Iterator[tuple[str, Claim]]:
        """Ids of the monitors that may be live, in the order of their keys, those after `after`."""
        for entity in self._table.query(
            "PartitionKey eq @live and RowKey gt @after", {"live": _LIVE, "after": after}
        ):
            claim = Claim(entity["run"], entity["startedAt"], entity["RowKey"])
            yield entity["monitorId"], claim

    def drop_live(self, monitor_id: str, run: int) -> None:
        """Forget that a run may be live."""
        self._table.delete(_LIVE, _live_key(monitor_id, run))

    def remember_watchdog(self, after: str) -> None:
        """Note the key that the watchdog came to; empty when it came to the end."""
        keys = {"PartitionKey": _WATCHDOG, "RowKey": _WATCHDOG}
        self._table.upsert({**keys, "after": after})

    def recall_watchdog(self) -> str:
        """Where the watchdog is to go on."""
        found = self._table.find(_WATCHDOG, _WATCHDOG)
        return str(found["after"]) if found else ""

    def page(
        self, size: int, after: str = "", **equal: str | None
    ) -> tuple[list[MonitorRow], str | None]:
        """Monitors, newest first.

        Args:
            size: How many at the most.
            after: Where the page before ended: what it returned.
            **equal: Filters by `state`, `source`, `jobId`; None is none.

        Returns:
            The rows, and where to go on; None at the end.
        """
        where = "PartitionKey eq @list and RowKey gt @after"
        filters = {name: value for name, value in equal.items() if value is not None}
        where += "".join(f" and {name} eq @{name}" for name in filters)
        values = {"list": _LIST, "after": after, **filters}
        found = list(islice(self._table.query(where, values, top=size + 1), size + 1))
        rows = [self._listed(entity, filters) for entity in found[:size]]
        more = found[size - 1]["RowKey"] if len(found) > size else None
        return [row for row in rows if row], more

    def _listed(self, entity: Entity, filters: Mapping[str, str]) -> MonitorRow | None:
        """The monitor of a list entry as it is now; None if the entry is behind the times."""
        row = self.get(entity["monitorId"])
        if row is None or row.run != entity["run"]:
            return None
        return row if filters.get("state", row.state) == row.state else None

    def ended_before(self, cutoff: datetime) -> Iterator[Ended]:
        """Runs that ended before `cutoff`. It reads the list from there back into the past."""
        for entity in self._table.query(
            "PartitionKey eq @list and RowKey gt @started and endedAt lt @cutoff",
            {"list": _LIST, "started": _moment_key(cutoff), "cutoff": cutoff},
        ):
            yield Ended(entity["monitorId"], entity["run"], entity["RowKey"])

    # -- internals ------------------------------------------------------------------------

    def _change(self, monitor_id: str, change: Change) -> Written | None:
        """Replace the row by what `change` makes of it, with log lines; None changes nothing.

        Returns:
            The row before and now, or None if nothing was changed.
        """
        for _ in range(_ATTEMPTS):
            read = self._table.find(monitor_id, _ROW_KEY)
            if read is None:
                return None
            before = _row(read)
            changed = change(before)
            if changed is None:
                return None
            entity, *lines = _entities(*changed, known=read["lines"])
            if self._table.commit([update_unchanged(read, entity), *_upserts(lines)]):
                return Written(before, changed[0])
        raise StoreUnavailable(f"{_ATTEMPTS} others wrote to {monitor_id} at the same time")

    def _change_live(self, monitor_id: str, run: int, update: Mapping[str, object]) -> bool:
        def change(current: MonitorRow) -> Changed | None:
            return (current.model_copy(update=update), []) if _lives(current, run) else None

        return self._change(monitor_id, change) is not None


# -- entities: what stands in the table -----------------------------------------------------


def _entities(row: MonitorRow, lines: list[LogLine], known: int = 0) -> list[Entity]:
    """The row, then its new lines; `known` is how many it had before."""
    values = row.model_dump(by_alias=True, exclude={"id"}, exclude_none=True)
    plain = {k: _plain(v) for k, v in values.items()} | {"lines": known + len(lines)}
    entities: list[Entity] = [{"PartitionKey": row.id, "RowKey": _ROW_KEY, **plain}]
    for number, line in enumerate(lines, known + 1):
        values = line.model_dump(by_alias=True, exclude_none=True)
        entities.append({"PartitionKey": row.id, "RowKey": _log_key(number), **values})
    return entities


def _log_key(number: int) -> str:
    return f"log-{number:08}"


def _upserts(entities: Iterable[Entity]) -> list[Operation]:
    return [("upsert", entity) for entity in entities]


def _lives(row: MonitorRow, run: int) -> bool:
    """Whether the row is that of this run, which has not ended."""
    return row.run == run and not row.state.final


def _plain(value: object) -> object:
    """A property that Table storage has a type for; a nested object as JSON text."""
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value) if isinstance(value, StrEnum) else value


def _row(entity: Entity) -> MonitorRow:
    known = {field.alias for field in MonitorRow.model_fields.values()}
    values = {k: v for k, v in entity.items() if k in known}
    if "stop" in values:
        values["stop"] = json.loads(values["stop"])
    return MonitorRow.model_validate({"id": entity["PartitionKey"]} | values)


def _live_entity(row: MonitorRow) -> dict[str, Any]:
    # A key for each run: the end of one, cut off and put right later, takes no other's away.
    return {
        "PartitionKey": _LIVE,
        "RowKey": _live_key(row.id, row.run),
        "monitorId": row.id,
        "run": row.run,
        "startedAt": row.started_at,
    }


def _live_key(monitor_id: str, run: int) -> str:
    return f"{monitor_id} {run:06}"


def _list_entity(row: MonitorRow) -> dict[str, Any]:
    entity = {
        "PartitionKey": _LIST,
        "RowKey": _list_key(row),
        "monitorId": row.id,
        "run": row.run,
        "state": str(row.state),
        "source": row.source,
        "jobId": row.job_id,
    }
    return entity | ({"endedAt": row.ended_at} if row.ended_at else {})


def _list_key(row: MonitorRow) -> str:
    return f"{_moment_key(row.started_at)}-{row.id}"


def _moment_key(moment: datetime) -> str:
    return f"{_END_OF_TIME - int(moment.timestamp() * 1_000_000):016}"


def _log_line(entity: Entity) -> LogLine:
    known = {field.alias for field in LogLine.model_fields.values()}
    return LogLine.model_validate({k: v for k, v in entity.items() if k in known})


def _started(row: MonitorRow) -> LogLine:
    return LogLine(at=row.started_at, run=row.run, poll=0, event="started", to=row.state)


def _resumed(row: MonitorRow, at: datetime) -> LogLine:
    return LogLine(at=at, run=row.run, poll=row.polls, event="resumed", to=row.state)


def _status_line(before: MonitorRow, now: MonitorRow) -> list[LogLine]:
    """A line if the raw status changed, and not if `now` knows less than `before`."""
    if now.raw_status == before.raw_status or now.last_poll_at is None or now.polls < before.polls:
        return []
    line = LogLine(
        at=now.last_poll_at,
        run=now.run,
        poll=now.polls,
        event="status",
        from_=before.raw_status,
        to=now.raw_status,
    )
    return [line]


def _ended(row: MonitorRow) -> LogLine:
    return LogLine(
        at=row.ended_at or row.started_at,
        run=row.run,
        poll=row.polls,
        event="ended",
        from_=row.raw_status,
        to=row.state,
        reason=row.reason,
    )
