"""The monitors in Table storage: table `Monitors`, one partition for each monitor.

- Row key `monitor`: the monitor itself.
- Row keys `log-RUN-POLL-N-EVENT`: its log, in the order of the keys.

Azure may run an activity twice, and an old poll may come late. So every write is either an
upsert on a key that follows from what is written, or holds only for the row's ETag and run;
the row and its log line go in one transaction of the partition.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.data.tables import (
    TableClient,
    TableServiceClient,
    TableTransactionError,
    UpdateMode,
)

from domain.errors import StoreUnavailable
from domain.monitor import LogLine, MonitorRow, Watch, row_of
from domain.outcome import StopRequest

TABLE = "Monitors"
_ROW_KEY = "monitor"
_BATCH = 100  # operations a transaction may hold
_ATTEMPTS = 10
_EVENTS = ("started", "status", "ended")  # in the order in which one poll can bring them
_MISMATCH = 412
# Short enough for an HTTP answer; who can wait longer, asks again.
_TIMEOUTS: Mapping[str, Any] = {
    "connection_timeout": 3,
    "read_timeout": 10,
    "retry_total": 2,
    "retry_backoff_factor": 0.2,
}

Operation = tuple[Any, ...]


class Stored(NamedTuple):
    """A monitor with its log, oldest line first."""

    row: MonitorRow
    log: list[LogLine]


class MonitorTable:
    """The store of monitors. Every method raises `StoreUnavailable` if the store fails."""

    def __init__(self, table: TableClient, create: Callable[[], object]) -> None:
        """Use a table; `create` makes it if it is not there."""
        self._table = table
        self._create = create

    @classmethod
    def connect(
        cls,
        *,
        connection: str | None = None,
        endpoint: str | None = None,
        credential: TokenCredential | None = None,
    ) -> "MonitorTable":
        """A store at a connection string, or at an endpoint with a credential; asks nothing."""
        if connection:
            service = TableServiceClient.from_connection_string(connection, **_TIMEOUTS)
        else:
            service = TableServiceClient(str(endpoint), credential=credential, **_TIMEOUTS)
        return cls(
            service.get_table_client(TABLE), lambda: service.create_table_if_not_exists(TABLE)
        )

    def ping(self) -> None:
        """Make sure that the store answers and the table is there."""
        with _store_errors():
            self._create()

    def claim(self, row: MonitorRow) -> bool:
        """Insert a new monitor with its first log line; only one caller can.

        Returns:
            Whether this caller did. If not, the monitor exists.
        """
        started = _log_entity(row.id, _started(row))
        with _store_errors():
            try:
                self._transact(
                    [("create", _row_entity(row)), ("upsert", started)], create_table=True
                )
            except (ResourceExistsError, TableTransactionError) as error:
                if _conflicts(error):
                    return False
                raise
        return True

    def claim_again(self, ended: MonitorRow, row: MonitorRow) -> bool:
        """Put the next run in the place of an ended watch; only one caller can.

        Returns:
            Whether this caller did. If not, the row is no longer that of `ended`.
        """
        lines = [_log_entity(row.id, _ended(ended)), _log_entity(row.id, _started(row))]

        def replace(current: MonitorRow) -> MonitorRow | None:
            return row if current.run == ended.run else None

        return self._change(row.id, replace, lines) is not None

    def get(self, monitor_id: str) -> MonitorRow | None:
        """The row of a monitor, or None."""
        found = self._find(monitor_id)
        return _row(found) if found else None

    def read(self, monitor_id: str) -> Stored | None:
        """A monitor with its log, or None."""
        with _store_errors():
            try:
                entities = list(
                    self._table.query_entities("PartitionKey eq @id", parameters={"id": monitor_id})
                )
            except ResourceNotFoundError:  # the table is not there yet
                return None
        rows = [_row(e) for e in entities if e["RowKey"] == _ROW_KEY]
        log = [_log_line(e) for e in entities if e["RowKey"] != _ROW_KEY]
        return Stored(rows[0], log) if rows else None

    def heartbeat(self, watch: Watch, previous_status: str | None) -> MonitorRow | None:
        """Write what a poll saw, and a log line if the raw status changed.

        A row that is final, of a later run or gone is left alone.

        Returns:
            The row as it is now, with a wish to stop that somebody wrote; None if left alone.
        """
        row = row_of(watch)
        lines = []
        if watch.raw_status != previous_status and watch.last_poll_at:
            line = LogLine(
                at=watch.last_poll_at,
                run=watch.run,
                poll=watch.polls,
                event="status",
                from_=previous_status,
                to=watch.raw_status,
            )
            lines.append(_log_entity(row.id, line))

        def beat(current: MonitorRow) -> MonitorRow | None:
            late = current.run != row.run or current.state.final or current.polls > row.polls
            return None if late else row.model_copy(update={"stop": current.stop})

        return self._change(row.id, beat, lines)

    def request_stop(self, monitor_id: str, run: int, stop: StopRequest) -> bool:
        """Write down the wish to stop a live watch; the next poll reads it.

        Returns:
            Whether it was written. If not, that run has ended.
        """

        def wish(current: MonitorRow) -> MonitorRow | None:
            live = current.run == run and not current.state.final
            return current.model_copy(update={"stop": stop}) if live else None

        return self._change(monitor_id, wish, []) is not None

    def finish(self, row: MonitorRow) -> None:
        """Write the end of a run, unless it has one already or a later run began."""
        line = _log_entity(row.id, _ended(row))

        def end(current: MonitorRow) -> MonitorRow | None:
            return row if current.run == row.run and not current.state.final else None

        with _store_errors():
            if not self._change(row.id, end, [line]) and not self.get(row.id):
                # Somebody deleted the row. The caller was promised an end, so it comes.
                self._transact([("upsert", _row_entity(row)), ("upsert", line)], create_table=True)

    def ended_before(self, cutoff: datetime) -> Iterator[MonitorRow]:
        """Final rows that ended before `cutoff`, page by page, in no order."""
        with _store_errors():
            try:
                for entity in self._table.query_entities(
                    "RowKey eq @key and endedAt lt @cutoff",
                    parameters={"key": _ROW_KEY, "cutoff": cutoff},
                ):
                    yield _row(entity)
            except ResourceNotFoundError:
                return

    def delete(self, row: MonitorRow) -> bool:
        """Remove an ended monitor and its log, unless a new run began.

        Returns:
            Whether it was removed.
        """
        with _store_errors():
            entity = self._find(row.id)
            if entity is None or _row(entity).run != row.run or not _row(entity).state.final:
                return False
            lines = [
                {"PartitionKey": e["PartitionKey"], "RowKey": e["RowKey"]}
                for e in self._table.query_entities(
                    "PartitionKey eq @id and RowKey ne @key",
                    parameters={"id": row.id, "key": _ROW_KEY},
                    select=["PartitionKey", "RowKey"],
                )
            ]
            # The row goes last, and only if it is still the one that was read.
            while len(lines) >= _BATCH:
                batch, lines = lines[:_BATCH], lines[_BATCH:]
                self._transact([("delete", line) for line in batch])
            try:
                self._transact(
                    [*(("delete", line) for line in lines), _if_unchanged("delete", entity)]
                )
            except TableTransactionError as error:
                if _conflicts(error):
                    return False
                raise
        return True

    # -- internals ------------------------------------------------------------------------

    def _find(self, monitor_id: str) -> Mapping[str, Any] | None:
        with _store_errors():
            try:
                return self._table.get_entity(monitor_id, _ROW_KEY)
            except ResourceNotFoundError:
                return None

    def _change(
        self,
        monitor_id: str,
        change: Callable[[MonitorRow], MonitorRow | None],
        lines: Sequence[Mapping[str, Any]],
    ) -> MonitorRow | None:
        """Replace the row by what `change` makes of it, with log lines; None changes nothing.

        Returns:
            The new row, or None if nothing was changed.
        """
        with _store_errors():
            for _ in range(_ATTEMPTS):
                entity = self._find(monitor_id)
                new = change(_row(entity)) if entity else None
                if entity is None or new is None:
                    return None
                update = _if_unchanged("update", entity, _row_entity(new))
                try:
                    if lines:
                        self._transact([update, *(("upsert", line) for line in lines)])
                    else:  # most polls; a transaction costs the client four times as much
                        self._table.update_entity(update[1], **update[2])
                except HttpResponseError as error:
                    if not _conflicts(error):
                        raise
                else:
                    return new
        raise StoreUnavailable(f"{_ATTEMPTS} others wrote to {monitor_id} at the same time")

    def _transact(self, operations: Sequence[Operation], *, create_table: bool = False) -> None:
        try:
            self._table.submit_transaction(operations)
        except (ResourceNotFoundError, TableTransactionError) as error:
            if not create_table or not _is_status(error, 404):
                raise
            self._create()
            self._table.submit_transaction(operations)


@contextmanager
def _store_errors() -> Iterator[None]:
    """Turn the client's errors into ours, without what they quote of the request."""
    try:
        yield
    except HttpResponseError as error:
        code = getattr(error, "error_code", None) or error.reason or "no reason given"
        raise StoreUnavailable(f"Table storage refused: {error.status_code} {code}") from error
    except AzureError as error:
        raise StoreUnavailable(f"Table storage can't be reached: {type(error).__name__}") from error


def _is_status(error: AzureError, *statuses: int) -> bool:
    return getattr(error, "status_code", None) in statuses


def _conflicts(error: AzureError) -> bool:
    """Whether somebody else was first: the row exists, changed, or is gone."""
    return _is_status(error, 404, 409, _MISMATCH)


def _if_unchanged(operation: str, entity: Any, new: Mapping[str, Any] | None = None) -> Operation:
    """An operation on an entity that was read, void if somebody wrote to it since."""
    condition = {"etag": entity.metadata["etag"], "match_condition": MatchConditions.IfNotModified}
    if new is None:
        return operation, entity, condition
    return operation, new, {**condition, "mode": UpdateMode.REPLACE}


def _row_entity(row: MonitorRow) -> dict[str, Any]:
    values = row.model_dump(by_alias=True, exclude={"id"}, exclude_none=True)
    plain = {k: _plain(v) for k, v in values.items()}
    return {"PartitionKey": row.id, "RowKey": _ROW_KEY, **plain}


def _plain(value: object) -> object:
    """A property that Table storage has a type for; a nested object as JSON text."""
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value) if isinstance(value, StrEnum) else value


def _row(entity: Mapping[str, Any]) -> MonitorRow:
    known = {field.alias for field in MonitorRow.model_fields.values()}
    values = {k: v for k, v in entity.items() if k in known}
    if "stop" in values:
        values["stop"] = json.loads(values["stop"])
    return MonitorRow.model_validate({"id": entity["PartitionKey"]} | values)


def _log_entity(monitor_id: str, line: LogLine) -> dict[str, Any]:
    key = f"log-{line.run:06}-{line.poll:09}-{_EVENTS.index(line.event)}-{line.event}"
    values = line.model_dump(by_alias=True, exclude_none=True)
    return {"PartitionKey": monitor_id, "RowKey": key, **values}


def _log_line(entity: Mapping[str, Any]) -> LogLine:
    known = {field.alias for field in LogLine.model_fields.values()}
    return LogLine.model_validate({k: v for k, v in entity.items() if k in known})


def _started(row: MonitorRow) -> LogLine:
    return LogLine(at=row.started_at, run=row.run, poll=0, event="started", to=row.state)


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
