"""The cost of 100,000 ended monitors, all of them removed, and of those of a million rows."""

from tools.bench.ended import Size, take
from tools.bench.figures import Figure

SIZES = (Size(100_000, runs=60), Size(200_000, runs=3))


def run() -> list[Figure]:
    """Take the figures; an hour and a half."""
    return [figure for size in SIZES for figure in take(size)]
