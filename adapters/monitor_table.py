"""The monitors in Table storage: reading, writing, and the indexes that find them.

`adapters.monitor_entities` describes the entities, `domain.monitors.transitions` the changes of a
row.

Azure may run an activity twice, and an old poll may come late. So a row is replaced only if nobody
wrote to it since its transition read it. Every other write is an upsert or a delete on a key that
follows from the monitor, so the indexes can be repaired at any time, and twice.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from adapters import monitor_entities as entities
from adapters.clock import utc_now
from adapters.monitor_list import Ended, MonitorList, readers
from adapters.outbox import Addressed, Outbox
from adapters.table import (
    BATCH,
    Entity,
    Operation,
    Table,
    delete_unchanged,
    merge,
    reading,
    update_unchanged,
)
from domain.errors import StoreUnavailable
from domain.monitors import log, transitions
from domain.monitors import monitor_id as ids
from domain.monitors.log import KEPT, OUTCOMES, PAGE, LogLine
from domain.monitors.monitor import MonitorRow
from domain.monitors.sweep import Mark
from domain.monitors.transitions import Transition
from domain.notices.delivery import Told
from domain.notices.notice import Notice
from domain.notices.outbox import Entry

TABLE = "Monitors"
_ATTEMPTS = 10


class Stored(NamedTuple):
    """A monitor with a part of its log, oldest line first.

    Attributes:
        row: The monitor.
        log: At most `PAGE` lines.
        lines: How many lines were written in all.
        next: The number of the last line in `log`, if more follow.
        notices: How many notices were written in all.
    """

    row: MonitorRow
    log: list[LogLine]
    lines: int
    next: int | None
    notices: int = 0


class Snapshot(NamedTuple):
    """A row with its entity as it was read, so that a write can tell whether it changed since.

    Attributes:
        row: The row.
        entity: Its entity, with its ETag.
        lines: How many lines of its log were written.
        notices: How many of its notices were written.
    """

    row: MonitorRow
    entity: Any
    lines: int
    notices: int = 0


class Written(NamedTuple):
    """A monitor before and after a write, and the channels that notices were written for."""

    before: MonitorRow
    now: MonitorRow
    told: Sequence[str] = ()


class Claim(NamedTuple):
    """An entry in `~live`: a run of a monitor that may be live.

    Attributes:
        run: The number of the run.
        since: When the run began.
        key: The row key of the entry.
        job_id: The job; None in an entry of an earlier release.
        mark: What is known of the run; None likewise.
    """

    run: int
    since: datetime
    key: str
    job_id: str | None = None
    mark: Mark | None = None


Takers = Callable[[MonitorRow, Notice], Sequence[str]]
"""The channels that take a notice of a monitor."""


def nobody(_row: MonitorRow, _notice: Notice) -> Sequence[str]:
    """No channel."""
    return ()


class MonitorTable:
    """The store of monitors. Every method raises `StoreUnavailable` if the store fails."""

    def __init__(
        self, table: Table, takers: Takers = nobody, now: Callable[[], datetime] = utc_now
    ) -> None:
        """Use the monitors in a table; `takers` says which channels take a notice."""
        self._table, self._takers = table, takers
        self.outbox = Outbox(table, now)
        self.list = MonitorList(table, self.get)

    @classmethod
    def connect(cls, **where: Any) -> "MonitorTable":
        """The store in a storage account; see `Table.connect`."""
        return cls(Table.connect(TABLE, **where))

    def ping(self) -> None:
        """Make sure that the store answers and the table is there."""
        self._table.ping()

    def reach(self) -> None:
        """Make sure that the store answers; the table need not be there, and is not created."""
        self._table.find(entities.LIVE, entities.ROW_KEY)

    # -- writing --------------------------------------------------------------------------

    def claim(self, row: MonitorRow, by: str | None = None) -> bool:
        """Insert a new monitor with its first log line; only one caller can win.

        Args:
            row: The monitor.
            by: Who asked for it.

        Returns:
            Whether this caller won. If not, the monitor exists.
        """
        change = transitions.claimed(row, by)
        # Before the row, so that the watchdog finds a claim that is cut off here.
        self._table.upsert(entities.live_entity(row))
        entity = entities.row_entity(row) | {"logLines": len(change.lines)}
        lines = entities.line_entities(row.id, change.lines, 0)
        if not self._table.commit([("create", entity), *_upserts(lines)]):
            return False
        self.sync_indexes(row)
        return True

    def change(
        self, monitor_id: str, transition: Transition, known: Snapshot | None = None
    ) -> Written | None:
        """Replace a row by the transition's new row, and add its log lines and notices.

        Args:
            monitor_id: Whose row.
            transition: Asked again with the new row, if somebody else wrote meanwhile.
            known: The row as the caller read it, which saves reading it again.

        Returns:
            The row before and now; None if there is no row, or the transition changes nothing.
        """
        for _ in range(_ATTEMPTS):
            found, known = known or self.snapshot(monitor_id), None
            if found is None:
                return None
            before, read, lines_before, notices_before = found
            change = transition(before)
            if change is None:
                return None
            now = change.row
            next_run, new_watch = now.run != before.run, now.started_at != before.started_at
            if next_run:  # before the row, as in `claim`
                self._table.upsert(entities.live_entity(now))
            if new_watch:
                self._table.delete(entities.LIST, entities.list_key(before))
            entity = entities.row_entity(now, None if new_watch else read)
            notices = self._addressed(before, change.notices, notices_before)
            entity |= {"logLines": lines_before + len(change.lines)}
            if notices or notices_before:
                entity |= {"notices": notices_before + len(notices)}
            lines = entities.line_entities(monitor_id, change.lines, lines_before)
            more = [*_upserts(lines), *self._old_lines(monitor_id, lines_before, len(lines))]
            self.outbox.announce(monitor_id, notices)
            more += self.outbox.operations(monitor_id, notices)
            if self._table.commit([update_unchanged(read, entity), *more]):
                first_poll = now.polls and not before.polls  # a slow start may be forgotten
                if next_run or now.state.final or first_poll or now.labels != before.labels:
                    self.sync_indexes(now)
                elif _is_remarkable(before, now):
                    self.remark(now)
                return Written(before, now, _channels(notices))
        raise StoreUnavailable(f"{_ATTEMPTS} others wrote to {monitor_id} at the same time")

    def _addressed(self, row: MonitorRow, notices: Iterable[Notice], known: int) -> list[Addressed]:
        """The notices that a channel takes, numbered after those that are known."""
        taken = [(each, takers) for each in notices if (takers := self._takers(row, each))]
        return [
            Addressed(notice.numbered(number), notice.run or 0, number, takers)
            for number, (notice, takers) in enumerate(taken, known + 1)
        ]

    def note(self, entry: Entry, channel: str, told: Told, words: str | None = None) -> bool:
        """Note the fate of a notice at a channel, with a line of the log if there are words of it.

        Returns:
            Whether it was noted: not if the notice is gone, or waits no more.
        """
        for _ in range(_ATTEMPTS):
            filed = self.outbox.find(entry.owner, entry.run, entry.number)
            known = filed and filed.told.get(channel)
            if filed is None or known is None or known.state != "waiting":
                return False
            operations = [self.outbox.update(filed, channel, told)]
            found = self.snapshot(entry.owner) if words is not None else None
            if found and filed.notice:
                line = log.notified(found.row, filed.notice, channel, told, words)
                entity = {**found.entity, "logLines": found.lines + 1}
                operations.append(update_unchanged(found.entity, entity))
                operations += _upserts(entities.line_entities(entry.owner, [line], found.lines))
                operations += self._old_lines(entry.owner, found.lines, 1)
            if self._table.commit(operations):
                return True
        raise StoreUnavailable(f"{_ATTEMPTS} others wrote to {entry.owner} at the same time")

    def check_list(self, after: str, size: int, read: Iterable[MonitorRow] = ()) -> str:
        """Put right what a slice of the list tells wrong; see `MonitorList.check`."""
        wrong, end = self.list.check(after, size, {row.id: row for row in read})
        for row in wrong:
            self.sync_indexes(row)
        return end

    def sync_indexes(self, row: MonitorRow) -> None:
        """Bring what helps to find a monitor in line with its row; doing it twice is fine.

        The row may have been read a while ago. So the entry of a live run is made, but takes the
        place of none: that one may tell of the end already. Should the run have ended since, the
        watchdog finds it among the live ones once more.
        """
        entry = entities.list_entity(row)
        if row.state.final:
            self._table.upsert(entry)
            self.drop_live(row.id, row.run)
            return
        self._table.upsert(entities.live_entity(row))
        if self._table.insert(entry):
            return
        for _ in range(_ATTEMPTS):
            known = self._table.find(entities.LIST, entry["RowKey"])
            if known is None:
                return
            with reading():
                newer_by = row.run - known["run"]
            if newer_by < 0:
                return
            new = entry if newer_by else {**known, "labels": entry["labels"]}
            # An entry that went meanwhile must not come back, with nothing in it but labels.
            if self._table.commit([update_unchanged(known, new)]):
                return

    def remark(self, row: MonitorRow) -> None:
        """Bring a live run's entry in `~live` in line with its row; one that is gone stays gone."""
        keys = {"PartitionKey": entities.LIVE, "RowKey": entities.live_key(row.id, row.run)}
        self._table.commit([merge(keys | entities.mark_of(row))])

    def ended(self, ended: Ended) -> Snapshot | None:
        """The row of a run that ended; None if it is gone, or a new run began."""
        found = self.snapshot(ended.monitor_id)
        if found is None or found.row.run != ended.run or not found.row.state.final:
            return None
        return found

    def has_notices(self, known: Snapshot) -> bool:
        """Whether a notice of a monitor waits."""
        return known.notices > 0 and self.outbox.removal(known.row.id) is None

    def remove(self, known: Snapshot) -> bool:
        """Remove an ended monitor and its log; call `list.remove` afterwards.

        Returns:
            Whether this call removed it: not if somebody wrote to its row since it was read, and
            not as long as a notice of it waits.
        """
        entity = known.entity
        keys = [entities.line_key(n) for n in range(1, known.lines + 1)]
        if len(keys) > KEPT:  # some are gone
            found = self._lines(known.row.id, 0, len(keys), select=["RowKey"])
            keys = [line["RowKey"] for line in found]
        name = known.row.id
        notices = self.outbox.removal(name) if known.notices else []
        if notices is None:
            return False
        if notices:
            self.outbox.forget_given_up(name)
        lines: list[Operation] = [("delete", {"PartitionKey": name, "RowKey": k}) for k in keys]
        lines = [*notices, *lines]
        # The row goes last, and only if nobody wrote to it since it was read. A transaction
        # before that fails only if an earlier attempt did the same already.
        while len(lines) >= BATCH:
            self._table.commit(lines[:BATCH])
            lines = lines[BATCH:]
        return self._table.commit([*lines, delete_unchanged(entity)])

    # -- looking up -----------------------------------------------------------------------

    def get(self, monitor_id: str) -> MonitorRow | None:
        """The row of a monitor, or None."""
        found = self.snapshot(monitor_id)
        return found.row if found else None

    def of_job(self, source: str, job_id: str) -> MonitorRow | None:
        """The row of a job's monitor, under the id of release 0.1 if it is there, or None."""
        earlier = ids.earlier_id(source, job_id)
        row = self.get(earlier) if earlier else None
        return row or self.get(ids.monitor_id(source, job_id))

    def with_job(self, job_id: str, sources: Iterable[str]) -> list[MonitorRow]:
        """The monitors of a job id in these sources, newest first."""
        rows = readers.map(lambda source: self.of_job(source, job_id), sources)
        return sorted(filter(None, rows), key=entities.list_key)

    def snapshot(self, monitor_id: str) -> Snapshot | None:
        """The row of a monitor with its entity, or None."""
        found = self._table.find(monitor_id, entities.ROW_KEY)
        if not found:
            return None
        with reading():
            lines, notices = entities.line_count(found), entities.notice_count(found)
            return Snapshot(entities.read_row(found), found, lines, notices)

    def read(self, monitor_id: str, after: int | None = None) -> Stored | None:
        """A monitor with a page of its log, or None.

        Args:
            monitor_id: Whose.
            after: The number of the line after which the page begins; None for the newest lines.
        """
        found = self.snapshot(monitor_id)
        if found is None:
            return None
        count = found.lines
        begin = max(count - PAGE, 0) if after is None else after
        lines = list(islice(self._lines(monitor_id, begin, count, top=PAGE), PAGE))
        with reading():
            last = entities.line_number(lines[-1]) if len(lines) == PAGE else count
            shown = [entities.read_line(line) for line in lines]
        following = last if last < count else None
        return Stored(found.row, shown, count, following, found.notices)

    def _lines(self, monitor_id: str, after: int, last: int, **options: Any) -> Iterator[Entity]:
        """The lines with numbers over `after`, up to `last`."""
        if after >= last:
            return iter(())
        where = "PartitionKey eq @id and RowKey gt @after and RowKey le @last"
        keys = {"after": entities.line_key(after), "last": entities.line_key(last)}
        return self._table.query(where, {"id": monitor_id, **keys}, **options)

    def _old_lines(self, monitor_id: str, known: int, new: int) -> Iterator[Operation]:
        """What removes the lines that are too many with so many new ones."""
        for number in range(max(known - KEPT, 0) + 1, known + new - KEPT + 1):
            line = self._table.find(monitor_id, entities.line_key(number))
            if line and line.get("event") not in OUTCOMES:
                yield "delete", line

    def live(self, after: str = "") -> Iterator[tuple[str, Claim]]:
        """The ids and entries of monitors that may be live, in the order of keys after `after`."""
        return self._entries("RowKey gt @after", {"after": after})

    def live_of(self, source: str, after: str = "", last: str = "~") -> Iterator[tuple[str, Claim]]:
        """The same for one source, up to the key `last`."""
        for begin, end in entities.live_keys(source):
            values = {"after": max(after, begin), "last": min(last, end)}
            if values["after"] < values["last"]:
                yield from self._entries("RowKey gt @after and RowKey le @last", values)

    def _entries(self, where: str, values: dict[str, str]) -> Iterator[tuple[str, Claim]]:
        where = f"PartitionKey eq @live and {where}"
        for entity in self._table.query(where, {"live": entities.LIVE, **values}):
            with reading():
                mark = entity.get("mark")
                claim = Claim(
                    entity["run"],
                    entity["startedAt"],
                    entity["RowKey"],
                    entity.get("jobId"),
                    Mark.model_validate_json(mark) if mark else None,
                )
                monitor_id: str = entity["monitorId"]
            yield monitor_id, claim

    def drop_live(self, monitor_id: str, run: int) -> None:
        """Remove the entry of a run in `~live`."""
        self._table.delete(entities.LIVE, entities.live_key(monitor_id, run))


_MARKED = ("listed", "woken_for", "looked_at", "swept")
_MARKED_IF_SWEPT = ("outcome", "raw_status", "paused")


def _is_remarkable(before: MonitorRow, now: MonitorRow) -> bool:
    """Whether a sweep must know of a write. Only watches that rely on one pay for that."""
    names = (*_MARKED, *(_MARKED_IF_SWEPT if now.swept else ()))
    return any(getattr(before, name) != getattr(now, name) for name in names)


def _channels(notices: Iterable[Addressed]) -> list[str]:
    return sorted({channel for each in notices for channel in each.channels})


def _upserts(entities: Iterable[Entity]) -> list[Operation]:
    return [("upsert", entity) for entity in entities]
