"""Histories out of a task hub's own tables in Azure Storage, which have the turns and task ids.

`<hub>Instances` names the instances, `<hub>History` holds their events: a row for each, under the
instance id, with the execution id of its generation. The row `sentinel` names the generation of
today. Nothing is written. Text over 45 KB is in a blob, which is not read.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from devhost.events import KINDS, Event, EventType, event, moment, stamp

Row = Mapping[str, Any]

LIVE = ("Running", "Pending", "Suspended", "ContinuedAsNew")
_AS_JSON = ("OrchestrationInstance", "ParentInstance", "Tags", "ParentTraceContext")
_OF_ROWS = (
    "PartitionKey",
    "RowKey",
    "EventType",
    "EventId",
    "IsPlayed",
    "_Timestamp",
    "ExecutionId",
)
# A table stores no nulls, and the SDK wants these.
_NULLS = {
    EventType.EXECUTION_STARTED: ("Input", "ParentInstance", "Tags", "Generation"),
    EventType.TASK_COMPLETED: ("Result",),
    EventType.TASK_FAILED: ("Reason", "Details"),
    EventType.SUB_ORCHESTRATION_COMPLETED: ("Result",),
    EventType.SUB_ORCHESTRATION_FAILED: ("Reason", "Details"),
    EventType.EXECUTION_COMPLETED: ("Result",),
    EventType.EXECUTION_TERMINATED: ("Input",),
    EventType.EVENT_RAISED: ("Input",),
}
_TIMEOUTS: Any = {"connection_timeout": 10, "read_timeout": 60, "retry_total": 3}


class HubError(Exception):
    """The hub can't be read, or an instance can't be had from its tables; the text says why."""


def recorded(rows: Iterable[Row]) -> dict[str, Any]:
    """The status of an instance, with whole events, out of its rows of the history table.

    Raises:
        HubError: Something is missing, or is in a blob.
    """
    rows = list(rows)
    sentinel = next((row for row in rows if row["RowKey"] == "sentinel"), None)
    if sentinel is None:
        raise HubError("it has no history yet")
    today = [row for row in rows if row.get("ExecutionId") == sentinel["ExecutionId"]]
    today.sort(key=lambda row: str(row["RowKey"]))
    events = [_event(row) for row in today if row["RowKey"] != "sentinel"]
    started = next((e for e in events if e["EventType"] == EventType.EXECUTION_STARTED), None)
    if started is None:
        raise HubError("its history has no ExecutionStarted")
    ended = (e["OrchestrationStatus"] for e in events if "OrchestrationStatus" in e)
    return {
        "name": started["Name"],
        "instanceId": started["OrchestrationInstance"]["InstanceId"],
        "runtimeStatus": next(ended, "Running"),
        "historyEvents": events,
    }


def _event(row: Row) -> Event:
    kind = KINDS.get(row["EventType"])
    if kind is None:
        raise HubError(f"it has an event {row['EventType']}, which devhost does not serve")
    if blobs := [name for name in row if name.endswith("BlobName")]:
        raise HubError(f"{blobs[0]}: the text is over 45 KB and in a blob; record it with --url")
    fields: Event = dict.fromkeys(_NULLS.get(kind, ()))
    fields |= {name: value for name, value in row.items() if name not in _OF_ROWS}
    for name in _AS_JSON:
        if isinstance(fields.get(name), str):
            fields[name] = json.loads(fields[name])
    if "FireAt" in fields:
        fields["FireAt"] = _time(fields["FireAt"])
    return event(kind, _time(row["_Timestamp"]), row["EventId"], **fields)


def _time(value: datetime | str) -> str:
    return stamp(moment(value) if isinstance(value, str) else value)


@contextmanager
def tables_of(hub: str, connection: str) -> Iterator["HubTables"]:
    """The tables of a hub, by the app setting that leads to its storage.

    The setting `connection` is a connection string. Else `<connection>__tableServiceUri` or
    `<connection>__accountName` names the storage, and the identity is that of azure-identity.

    Raises:
        HubError: No setting leads there, or a package is missing.
    """
    try:
        from azure.data.tables import TableServiceClient  # noqa: PLC0415 - only this needs it
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415
    except ImportError as error:
        raise HubError(
            f"recording from a hub needs azure-data-tables, azure-identity: {error}"
        ) from None
    text = os.environ.get(connection)
    account = os.environ.get(f"{connection}__accountName")
    uri = os.environ.get(f"{connection}__tableServiceUri")
    if text:
        with TableServiceClient.from_connection_string(text, **_TIMEOUTS) as service:
            yield HubTables(service, hub)
    elif uri or account:
        uri = uri or f"https://{account}.table.core.windows.net"
        client_id = os.environ.get(f"{connection}__clientId")
        with (
            DefaultAzureCredential(managed_identity_client_id=client_id) as credential,
            TableServiceClient(uri, credential=credential, **_TIMEOUTS) as service,
        ):
            yield HubTables(service, hub)
    else:
        raise HubError(f"there is no app setting {connection}, nor {connection}__tableServiceUri")


class HubTables:
    """The two tables of a hub; nothing here writes."""

    def __init__(self, service: Any, hub: str) -> None:
        """Take the client of the storage's tables."""
        self._instances = service.get_table_client(f"{hub}Instances")
        self._history = service.get_table_client(f"{hub}History")

    def live(self) -> Iterator[str]:
        """The keys of the instances that have not ended."""
        among = " or ".join(f"RuntimeStatus eq '{status}'" for status in LIVE)
        for row in self._instances.query_entities(among, select=["PartitionKey"]):
            yield str(row["PartitionKey"])

    def rows(self, key: str) -> list[Row]:
        """All rows of an instance in the history table."""
        parameters = {"key": key}
        return list(self._history.query_entities("PartitionKey eq @key", parameters=parameters))
