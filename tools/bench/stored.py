"""Thousands of stored monitors and instances, quickly, and as the app itself would leave them.

`MonitorTable` writes each monitor's life to a table in memory. The entities then go to the real
table in the largest transactions that it takes. Instances are copies of a real one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from adapters.monitor_table import TABLE, MonitorTable
from adapters.table import BATCH, Entity, Operation, Table
from devhost.events import stamp
from devhost.store import Store
from domain.errors import StoreUnavailable
from domain.monitors.monitor import MonitorRow, State, Verdict
from domain.monitors.monitor_id import monitor_id
from tests.changes import poll, terminate

LIFE = timedelta(minutes=10)
_ATTEMPTS = 20


class _Read(dict[str, Any]):
    """An entity as the client gives it, with an ETag."""

    metadata = {"etag": "any"}  # noqa: RUF012 - the same for all


class Memory(Table):
    """A table for one writer who looks up what it wrote by key."""

    def __init__(self) -> None:
        self.entities: dict[tuple[str, str], _Read] = {}

    def find(self, partition: str, row: str) -> Any | None:
        return self.entities.get((partition, row))

    def upsert(self, entity: Entity) -> None:
        self.entities[entity["PartitionKey"], entity["RowKey"]] = _Read(entity)

    def delete(self, partition: str, row: str) -> None:
        self.entities.pop((partition, row), None)

    def commit(self, operations: Sequence[Operation]) -> bool:
        for operation in operations:
            self.upsert(operation[1])
        return True


def ended_row(number: int, state: State, started_at: datetime) -> MonitorRow:
    """A monitor that has ended, `LIFE` after its start."""
    job_id = f"ended-{number:06}"
    row = MonitorRow(
        id=monitor_id("demo", job_id),
        source="demo",
        job_id=job_id,
        run=1,
        state=State.MONITORING,
        started_at=started_at,
        expire_time=started_at + timedelta(days=1),
        poll_interval_seconds=60,
    )
    verdict = Verdict(state=state, reason="The job ended.", ended_at=started_at + LIFE)
    return row.ended(verdict)


def write_ended(connection: str, rows: Iterable[MonitorRow]) -> int:
    """Write the monitors with their logs, and all that leads to them. Returns the rows' number."""
    memory = Memory()
    monitors = MonitorTable(memory)
    for row in rows:
        claimed = row.model_copy(update={"state": State.MONITORING, "ended_at": None})
        monitors.claim(claimed)
        poll(monitors, claimed, "processing")
        terminate(monitors, row.model_copy(update={"polls": 2, "raw_status": "completed"}))
    write_all(connection, memory)
    return len(memory.entities)


def write_all(connection: str, memory: Memory) -> None:
    """Write all that a table in memory has to the real one."""
    Table.connect(TABLE, connection=connection).ping()
    transactions = list(_transactions(memory))
    parts = [transactions[n::8] for n in range(8)]
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(partial(_write, connection), parts))


def _transactions(memory: Memory) -> Iterator[list[Operation]]:
    partitions: dict[str, list[Operation]] = defaultdict(list)
    for (partition, _), entity in memory.entities.items():
        partitions[partition].append(("upsert", dict(entity)))
    for operations in partitions.values():
        for begin in range(0, len(operations), BATCH):
            yield operations[begin : begin + BATCH]


def _write(connection: str, transactions: list[list[Operation]]) -> None:
    table = Table.connect(TABLE, connection=connection)
    for transaction in transactions:
        _commit(table, transaction)


def _commit(table: Table, transaction: list[Operation]) -> None:
    """Upserts, which may be sent twice: a busy Azurite takes longer than the app waits."""
    for attempt in range(_ATTEMPTS):
        try:
            table.commit(transaction)
        except StoreUnavailable:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def copy_instance(state: Path, model: str, rows: Iterable[MonitorRow]) -> None:
    """Give each monitor a copy of the finished instance `model`; no host may have the file open."""
    store = Store(state)
    with store.transaction():
        instance, history = store.instance(model), store.history(model)
        if instance is None or not instance.ended:
            raise ValueError(f"{model} has not ended")
        for row in rows:
            created = stamp(row.started_at)
            store.save(replace(instance, id=row.id, created=created, updated=created))
            store.append_history(row.id, 0, history)
    store.close()
