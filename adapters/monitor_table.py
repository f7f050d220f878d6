"""The monitors in Table storage: who may write what, and how they are found.

`adapters.monitor_entities` says what stands where.

Azure may run an activity twice, and an old poll may come late. So a write of a monitor holds only
for its ETag and run, and adds only those lines that the row does not know of; every other write is
an upsert or a delete on a key that follows from the monitor. What was cut off between them, the
next attempt or the watchdog completes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from adapters import monitor_entities as entities
from adapters.table import (
    BATCH,
    Entity,
    Operation,
    Table,
    delete_unchanged,
    update_unchanged,
)
from domain.errors import StoreUnavailable
from domain.monitors import log as monitor_log
from domain.monitors.log import LogLine
from domain.monitors.monitor import MonitorRow, Watch, row_of
from domain.outcome import StopRequest

TABLE = "Monitors"
_ATTEMPTS = 10

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
        self._table.upsert(entities.live_entity(row))
        entity, *lines = entities.row_and_lines(row, [monitor_log.started(row)])
        if not self._table.commit([("create", entity), *_upserts(lines)]):
            return False
        self._table.upsert(entities.list_entity(row))
        return True

    def claim_again(self, ended: MonitorRow, row: MonitorRow) -> bool:
        """Put the next run in the place of an ended watch; only one caller can.

        Returns:
            Whether this caller did. If not, the row is no longer that of `ended`.
        """
        self._table.upsert(entities.live_entity(row))
        # Before the row: what is cut off here, the watchdog finds by the entry above.
        self._table.delete(entities.LIST, entities.list_key(ended))

        def go_on(current: MonitorRow) -> Changed | None:
            if current.run != ended.run:
                return None
            # An end that only the task hub told of is not in the log yet.
            end = [] if current.state.final else [monitor_log.ended(ended)]
            return row, [*end, monitor_log.started(row)]

        if not self._change(row.id, go_on):
            return False
        self._table.upsert(entities.list_entity(row))
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
            now = row.model_copy(update={"stop": current.stop})
            return now, monitor_log.status_change(current, now)

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
            return (again, [monitor_log.resumed(again, at)]) if _lives(current, row.run) else None

        if not self._change(row.id, go_on):
            return None
        self.sync_indexes(again)
        return again

    def note_resumed(self, row: MonitorRow, at: datetime) -> None:
        """Note that a live watch is started again; once, until its next heartbeat."""

        def note(current: MonitorRow) -> Changed | None:
            if not _lives(current, row.run) or current.resumed:
                return None
            return current.model_copy(update={"resumed": True}), [monitor_log.resumed(current, at)]

        self._change(row.id, note)

    def finish(self, row: MonitorRow) -> None:
        """Write the end of a run, unless it has one already or a later run began.

        What the last poll saw is written with it, if the store did not take that.
        """

        def end(current: MonitorRow) -> Changed | None:
            if not _lives(current, row.run):
                return None
            return row, [*monitor_log.status_change(current, row), monitor_log.ended(row)]

        written = self._change(row.id, end)
        current = written.now if written else self.get(row.id)
        if current is None:
            # Somebody deleted the row. The caller was promised an end, so it comes.
            self._table.commit(_upserts(entities.row_and_lines(row, [monitor_log.ended(row)])))
            current = row
        self.sync_indexes(current)

    def sync_indexes(self, row: MonitorRow) -> None:
        """Bring what helps to find a monitor in line with its row; doing it twice is fine."""
        if not row.ended_at:
            self._table.upsert(entities.live_entity(row))
        self._table.upsert(entities.list_entity(row))
        if row.ended_at:
            self.drop_live(row.id, row.run)

    def delete(self, ended: Ended) -> bool:
        """Remove an ended monitor and its log, unless a new run began; `unlist` comes after it.

        Returns:
            Whether it was removed.
        """
        entity = self._table.find(ended.monitor_id, entities.ROW_KEY)
        if entity is None:
            return False
        row = entities.read_row(entity)
        if row.run != ended.run or not row.state.final:
            return False
        lines: list[Operation] = [("delete", line) for line in entities.line_keys(entity)]
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
            deletes = [("delete", {"PartitionKey": entities.LIST, "RowKey": key}) for key in keys]
            if not self._table.commit(deletes):
                # One was not there any more, so none was taken.
                for key in keys:
                    self._table.delete(entities.LIST, key)

    # -- looking up -----------------------------------------------------------------------

    def get(self, monitor_id: str) -> MonitorRow | None:
        """The row of a monitor, or None."""
        found = self._table.find(monitor_id, entities.ROW_KEY)
        return entities.read_row(found) if found else None

    def read(self, monitor_id: str) -> Stored | None:
        """A monitor with its log, or None."""
        row, log = None, []
        for entity in self._table.query("PartitionKey eq @id", {"id": monitor_id}):
            if entity["RowKey"] == entities.ROW_KEY:
                row = entities.read_row(entity)
            elif entities.is_line(entity):
                log.append(entities.read_line(entity))
        return Stored(row, log) if row else None

    def live(self, after: str = "") -> Iterator[tuple[str, Claim]]:
        """Ids of the monitors that may be live, in the order of their keys, those after `after`."""
        for entity in self._table.query(
            "PartitionKey eq @live and RowKey gt @after", {"live": entities.LIVE, "after": after}
        ):
            claim = Claim(entity["run"], entity["startedAt"], entity["RowKey"])
            yield entity["monitorId"], claim

    def drop_live(self, monitor_id: str, run: int) -> None:
        """Forget that a run may be live."""
        self._table.delete(entities.LIVE, entities.live_key(monitor_id, run))

    def remember_watchdog(self, after: str) -> None:
        """Note the key that the watchdog came to; empty when it came to the end."""
        keys = {"PartitionKey": entities.WATCHDOG, "RowKey": entities.WATCHDOG}
        self._table.upsert({**keys, "after": after})

    def recall_watchdog(self) -> str:
        """Where the watchdog is to go on."""
        found = self._table.find(entities.WATCHDOG, entities.WATCHDOG)
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
        values = {"list": entities.LIST, "after": after, **filters}
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
            {"list": entities.LIST, "started": entities.moment_key(cutoff), "cutoff": cutoff},
        ):
            yield Ended(entity["monitorId"], entity["run"], entity["RowKey"])

    # -- internals ------------------------------------------------------------------------

    def _change(self, monitor_id: str, change: Change) -> Written | None:
        """Replace the row by what `change` makes of it, with log lines; None changes nothing.

        Returns:
            The row before and now, or None if nothing was changed.
        """
        for _ in range(_ATTEMPTS):
            read = self._table.find(monitor_id, entities.ROW_KEY)
            if read is None:
                return None
            before = entities.read_row(read)
            changed = change(before)
            if changed is None:
                return None
            entity, *lines = entities.row_and_lines(*changed, known=read["logLines"])
            if self._table.commit([update_unchanged(read, entity), *_upserts(lines)]):
                return Written(before, changed[0])
        raise StoreUnavailable(f"{_ATTEMPTS} others wrote to {monitor_id} at the same time")

    def _change_live(self, monitor_id: str, run: int, update: Mapping[str, object]) -> bool:
        def change(current: MonitorRow) -> Changed | None:
            return (current.model_copy(update=update), []) if _lives(current, run) else None

        return self._change(monitor_id, change) is not None


def _upserts(entities: Iterable[Entity]) -> list[Operation]:
    return [("upsert", entity) for entity in entities]


def _lives(row: MonitorRow, run: int) -> bool:
    """Whether the row is that of this run, which has not ended."""
    return row.run == run and not row.state.final
