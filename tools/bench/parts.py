"""The parts of the bench. The imports of each are its own, since a process loads one app only."""

from importlib import import_module

from tools.bench.figures import Figure

PARTS = {
    "whole": "whole",
    "engine": "engine",
    "sources": "sources",
    "store": "slow_store",
    "price": "price",
    "peers": "peers.compare",
    "scale": "scale",
    "ended": "ended",
    "partition": "partition",
    "digest": "digest",
}
"""The module of each part, by the name of the part."""


def run(part: str) -> list[Figure]:
    """The figures of a part."""
    figures: list[Figure] = import_module(f"tools.bench.{PARTS[part]}").run()
    return figures
