"""`make bench`: the figures, in one table. Each part runs in a process of its own."""

import json
import subprocess
import sys

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure

_PARTS = ("whole", "engine")


def main() -> None:
    if len(sys.argv) > 1:
        module = __import__(f"tests.bench.{sys.argv[1]}", fromlist=["run"])
        print(json.dumps(module.run()))  # noqa: T201 - read by the process above
        return
    table = Table(title="Figures of this machine, at this moment")
    table.add_column("What")
    table.add_column("Figure", justify="right")
    table.add_column("")
    for part in _PARTS:
        output = subprocess.run(
            [sys.executable, "-m", "tests.bench", part],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=600,
        ).stdout
        for figure in (Figure(*each) for each in json.loads(output.splitlines()[-1])):
            table.add_row(figure.name, f"{figure.value:,.2f}", figure.unit)
        table.add_section()
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
