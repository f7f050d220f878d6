"""What a write costs Azurite while a partition grows: why the benches stop where they do.

Azurite finds an entity by its partition and looks through that (`findOne` of LokiJS takes the first
index of the two keys). Table storage finds it by both keys.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.table import BATCH, Table
from tools.bench.azurite import CountedAzurite
from tools.bench.figures import Figure
from tools.bench.processes import cpu_of

_SIZES = (1_000, 5_000, 10_000, 20_000)
_MEASURED = 500  # writes at each size


def run() -> list[Figure]:
    """Take the figures; two minutes."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with CountedAzurite(folder / "azurite.log") as azurite:
            table = Table.connect("Entries", connection=azurite.connection_string)
            table.ping()
            figures, begin = [], 0
            for size in _SIZES:
                _write(table, range(begin, size - _MEASURED))
                spent = cpu_of(azurite.pid)
                _write(table, range(size - _MEASURED, size))
                spent, begin = cpu_of(azurite.pid) - spent, size
                what = f"a write into a partition of {size:,}, Azurite's CPU"
                figures.append(Figure(what, spent / _MEASURED * 1e3, "ms"))
            return figures


def _write(table: Table, numbers: range) -> None:
    for begin in range(0, len(numbers), BATCH):
        some = numbers[begin : begin + BATCH]
        table.commit(
            [("upsert", {"PartitionKey": "~list", "RowKey": f"{each:09}"}) for each in some]
        )
