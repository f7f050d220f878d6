"""The list of all runs in Table storage, newest first: an index of the monitors.

The list is read in the order of its keys, since Table storage sorts by nothing else. An entry may
be out of date: the row of its monitor says what holds. `adapters.monitor_table` writes the entries.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from adapters import monitor_entities as entities
from adapters.event_log import log_event
from adapters.table import BATCH, Entity, Table, delete_unchanged, reading
from domain.errors import StoreUnavailable
from domain.monitors.monitor import MonitorRow, State

_ENTRIES_READ = 5_000  # in one request, for a filter that the store has no index for

readers = ThreadPoolExecutor(32, "reader")
"""Threads that read rows, for all lists that are asked for at once."""


class Ended(NamedTuple):
    """An entry in `~list` of a run that ended.

    Attributes:
        monitor_id: The id of the monitor.
        run: The number of the run.
        key: The row key of the entry.
    """

    monitor_id: str
    run: int
    key: str


class Tally(NamedTuple):
    """A run that ended.

    Attributes:
        source: Its source.
        state: How it ended.
        seconds: How long the watch lasted.
        polls: How many polls it made; 0 in the entries of release 0.1.
        failed_polls: How many of them could not see the job.
    """

    source: str
    state: State
    seconds: float
    polls: int
    failed_polls: int


class Tallies(NamedTuple):
    """What a count found.

    Attributes:
        live: The live monitors by source.
        ends: The runs that ended.
        all_live: Whether no live monitor was left out.
        all_ends: Whether no end was.
    """

    live: Counter[str]
    ends: list[Tally]
    all_live: bool
    all_ends: bool


class MonitorList:
    """The entries of `~list`. Every method raises `StoreUnavailable` if the store fails."""

    def __init__(self, table: Table, row: Callable[[str], MonitorRow | None]) -> None:
        """Use the entries in a table; `row` reads the row of a monitor."""
        self._table, self._row = table, row

    def page(
        self,
        size: int,
        after: str = "",
        *,
        label: str | None = None,
        prefix: str | None = None,
        **equal: str | None,
    ) -> tuple[list[MonitorRow], str | None]:
        """Monitors, newest first.

        Args:
            size: How many at the most.
            after: The key that the page before returned; empty for the first page.
            label: `name:value`; a filter that the store has no index for, so that the page may be
                short.
            prefix: The beginning of the job's id; a filter of the same kind.
            **equal: Filters by `state` and `source`; None filters nothing.

        Returns:
            The rows, and the key after which the next page begins; None at the end.
        """
        where = "PartitionKey eq @list and RowKey gt @after"
        filters = {name: value for name, value in equal.items() if value is not None}
        where += "".join(f" and {name} eq @{name}" for name in filters)
        values = {"list": entities.LIST, "after": after, **filters}
        picks = label or prefix
        entries = self._table.query(where, values, top=None if picks else size + 1)
        found: list[Entity] = []
        last = ""
        for entry in islice(entries, _ENTRIES_READ if picks else size + 1):
            if len(found) == size:
                break
            with reading():
                if entities.fits(entry, label, prefix):
                    found.append(entry)
                last = entry["RowKey"]
        else:
            at_end = next(entries, None) is None
            return self._rows(found, filters), None if at_end else last
        return self._rows(found, filters), last

    def _rows(self, entries: list[Entity], filters: Mapping[str, str]) -> list[MonitorRow]:
        rows = readers.map(lambda entry: self._listed(entry, filters), entries)
        return [row for row in rows if row]

    def _listed(self, entity: Entity, filters: Mapping[str, str]) -> MonitorRow | None:
        """The monitor of a list entry as it is now; None if the entry is out of date."""
        with reading():
            monitor_id, run = entity["monitorId"], entity["run"]
        row = self._row(monitor_id)
        if row is None or row.run != run:
            return None
        return row if filters.get("state", row.state) == row.state else None

    def tallies(self, since: datetime) -> Tallies:
        """Count the live monitors and the runs that ended since then; 5,000 of each at most."""
        where = {"live": entities.LIVE, "list": entities.LIST, "since": since}
        lives = self._table.query("PartitionKey eq @live", where, select=["monitorId"])
        told = ["RowKey", "source", "state", "endedAt", "polls", "failedPolls"]
        ended = self._table.query("PartitionKey eq @list and endedAt ge @since", where, select=told)
        first, then = list(islice(lives, _ENTRIES_READ)), list(islice(ended, _ENTRIES_READ))
        with reading():
            live = Counter(re.split("[.~]", each["monitorId"])[0] for each in first)
            ends = [
                Tally(
                    each["source"],
                    State(each["state"]),
                    (each["endedAt"] - entities.moment_of(each["RowKey"])).total_seconds(),
                    each.get("polls", 0),
                    each.get("failedPolls", 0),
                )
                for each in then
            ]
        return Tallies(live, ends, len(first) < _ENTRIES_READ, len(then) < _ENTRIES_READ)

    def ended_before(self, cutoff: datetime, after: str = "") -> Iterator[Ended]:
        """Runs that ended before `cutoff`, from the key `after` of the list on, newest first.

        All began before it, so the list is read from there.
        """
        begin = max(entities.moment_key(cutoff), after)
        for entity in self._table.query(
            "PartitionKey eq @list and RowKey gt @begin and endedAt lt @cutoff",
            {"list": entities.LIST, "begin": begin, "cutoff": cutoff},
        ):
            with reading():
                ended = Ended(entity["monitorId"], entity["run"], entity["RowKey"])
            yield ended

    def check(
        self, after: str, size: int, read: Mapping[str, MonitorRow]
    ) -> tuple[list[MonitorRow], str]:
        """Hold a slice of the list against the rows; an entry without a row of its run is removed.

        Args:
            after: Where the slice before ended; empty for the beginning.
            size: How many entries the slice has at the most.
            read: Rows that the caller just read, by their ids. An entry that fits one is right.

        Returns:
            The rows of which the list tells another state, and where the slice ended: empty at the
            end of the list.
        """
        where, values = "PartitionKey eq @list and RowKey gt @after", {"list": entities.LIST}
        found = list(islice(self._table.query(where, {**values, "after": after}, top=size), size))
        wrong = []
        for entry in found:
            try:
                row = self._misfit(entry, read)
            except StoreUnavailable as error:  # it must not keep the others from being checked
                log_event("notChecked", None, monitor=entry.get("monitorId"), detail=str(error))
            else:
                wrong += [row] if row else []
        return wrong, found[-1]["RowKey"] if len(found) == size else ""

    def _misfit(self, entry: Entity, read: Mapping[str, MonitorRow]) -> MonitorRow | None:
        """The row of an entry, if the entry tells otherwise; one of another run is removed."""
        with reading():
            monitor_id, run, state = entry["monitorId"], entry["run"], entry["state"]
        told = (run, state, entry.get("labels", "{}"))
        if monitor_id in read and _told(read[monitor_id]) == told:
            return None
        row = self._row(monitor_id)
        if row is None or row.run != run:
            # Only as it was read: a restart may have taken the place meanwhile.
            self._table.commit([delete_unchanged(entry)])
            return None
        return row if _told(row) != told else None

    def remove(self, gone: Sequence[Ended]) -> None:
        """Remove the list entries of monitors that were removed, or went on as the next run."""
        for begin in range(0, len(gone), BATCH):
            keys = [each.key for each in gone[begin : begin + BATCH]]
            deletes = [("delete", {"PartitionKey": entities.LIST, "RowKey": key}) for key in keys]
            if not self._table.commit(deletes):
                # One entry was gone already, so the transaction removed none.
                for key in keys:
                    self._table.delete(entities.LIST, key)


def _told(row: MonitorRow) -> tuple[object, ...]:
    """What the entry of a run must tell: run, state and labels."""
    return row.run, row.state, json.dumps(row.labels)
