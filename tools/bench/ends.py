"""When ends were stored, by the store's own time."""

from typing import Any

from adapters.monitor_table import TABLE
from adapters.table import Table
from demo.azurite import Azurite


def stored_ends(azurite: Azurite) -> dict[str, list[float]]:
    """The Unix time of each `ended` line in the logs, by monitor id."""
    table = Table.connect(TABLE, connection=azurite.connection_string)
    ends: dict[str, list[float]] = {}
    line: Any
    for line in table.query("RowKey ge 'log-' and event eq @ended", {"ended": "ended"}):
        ends.setdefault(line["PartitionKey"], []).append(line.metadata["timestamp"].timestamp())
    return ends
