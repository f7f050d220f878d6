"""`make bench`: the figures, in one table. Each part runs in a process of its own."""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from rich.console import Console
from rich.table import Table

from tools.bench.parts import PARTS, run


def main() -> None:
    """Run the parts that are named, or those that take a minute or two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=["whole", "engine", "sources", "store", "price"],
    )
    table = Table(title="Figures of this machine, at this moment")
    table.add_column("What")
    table.add_column("Figure", justify="right")
    table.add_column("")
    parts = parser.parse_args().parts
    clean = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    with clean as pool:
        for part in parts:
            for figure in pool.submit(run, part).result():
                table.add_row(figure.name, f"{figure.value:,.2f}", figure.unit)
            table.add_section()
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
