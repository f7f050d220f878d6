"""Thousands of watches that wait, written straight into the table and the hub's file.

A start by HTTP costs the app and Azurite some 50 ms of CPU. So the one watch that was started is
copied: its row, its entries in `~live` and `~list`, and an instance that waits for its next poll.
The copies have no log but what follows. Nobody may have the hub's file open meanwhile.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import AccountSasPermissions, ResourceTypes, generate_account_sas

from adapters import monitor_entities as entities
from adapters.monitor_table import TABLE
from adapters.table import BATCH, Entity, Table
from demo.azurite import ACCOUNT, KEY
from devhost.events import EventType, event, stamp
from devhost.store import Store
from domain.monitors.monitor import MonitorRow
from domain.monitors.monitor_id import monitor_id

_AT_ONCE = 32


def copies(model: MonitorRow, jobs: Sequence[str], wait: timedelta) -> list[MonitorRow]:
    """The rows of watches like the model, whose next polls are spread over a time from now on."""
    now = datetime.now(UTC)
    first = now + timedelta(minutes=1)
    return [
        model.model_copy(
            update={
                "id": monitor_id(model.source, job),
                "job_id": job,
                "last_poll_at": now,
                "next_poll_at": first + wait * (number + 1) / len(jobs),
            }
        )
        for number, job in enumerate(jobs)
    ]


def write_rows(connection: str, endpoint: str, rows: Sequence[MonitorRow]) -> None:
    """Write the rows one by one, and their entries in the indexes a hundred at once."""
    asyncio.run(_put_all(endpoint, map(entities.row_entity, rows)))
    table = Table.connect(TABLE, connection=connection)
    for entity_of in (entities.live_entity, entities.list_entity):
        for begin in range(0, len(rows), BATCH):
            table.commit([("upsert", entity_of(row)) for row in rows[begin : begin + BATCH]])


async def _put_all(endpoint: str, entities: Iterable[Entity]) -> None:
    sas = generate_account_sas(
        AzureNamedKeyCredential(ACCOUNT, KEY),
        resource_types=ResourceTypes(object=True),
        permission=AccountSasPermissions(write=True, add=True, update=True),
        expiry=datetime.now(UTC) + timedelta(hours=2),
    )
    left = iter(entities)

    async def put_some(session: aiohttp.ClientSession) -> None:
        for entity in left:
            partition, row = quote(entity["PartitionKey"]), quote(entity["RowKey"])
            url = f"{endpoint}/{TABLE}(PartitionKey='{partition}',RowKey='{row}')"
            async with session.put(f"{url}?{sas}", json=dict(_typed(entity))) as answer:
                answer.raise_for_status()

    headers = {"x-ms-version": "2019-02-02", "Accept": "application/json;odata=nometadata"}
    async with aiohttp.ClientSession(headers=headers) as session:
        await asyncio.gather(*(put_some(session) for _ in range(_AT_ONCE)))


def _typed(entity: Entity) -> Iterator[tuple[str, Any]]:
    """The properties as the service wants them; its JSON has no type for times."""
    for name, value in entity.items():
        if isinstance(value, datetime):
            yield name, stamp(value)
            yield f"{name}@odata.type", "Edm.DateTime"
        else:
            yield name, value


def write_instances(state: Path, model: str, rows: Iterable[MonitorRow]) -> None:
    """Give each watch an instance that waits for its next poll, after the first turn of `model`."""
    store = Store(state)
    with store.transaction():
        instance = store.instance(model)
        if instance is None:
            raise ValueError(f"there is no {model}")
        turn = _first_turn(store.history(model))
        for row in rows:
            if row.next_poll_at is None:
                raise ValueError(f"{row.id} does not poll")
            fire_at = stamp(row.next_poll_at)
            started, timer = deepcopy(turn[1]), {**turn[2], "FireAt": fire_at}
            execution = {"InstanceId": row.id, "ExecutionId": instance.execution_id}
            given = json.dumps(json.dumps(row.first_watch(row.next_poll_at).to_wire()))
            started |= {"OrchestrationInstance": execution, "Input": given}
            store.save(replace(instance, id=row.id, input=given))
            store.append_history(row.id, 0, [turn[0], started, timer, turn[3]])
            fired = event(EventType.TIMER_FIRED, timer["Timestamp"], TimerId=0, FireAt=fire_at)
            store.send(row.id, fired, execution_id=instance.execution_id, visible_at=fire_at)
    store.close()


def _first_turn(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The turn in which a generation begins and comes to wait for its poll."""
    turn = history[:4]
    kinds = [EventType(each["EventType"]) for each in turn]
    if kinds != [
        EventType.ORCHESTRATOR_STARTED,
        EventType.EXECUTION_STARTED,
        EventType.TIMER_CREATED,
        EventType.ORCHESTRATOR_COMPLETED,
    ]:
        raise ValueError(f"the model's first turn is another: {kinds}")
    return turn
