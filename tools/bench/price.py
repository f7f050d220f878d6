"""The price and the ceiling in Azure, computed, and docs/growth.svg, which shows how both grow.

The counts of a poll are those of the real Functions host 4.1037 with the Durable extension 3.19 and
Azurite behind a counting proxy. The prices are assumptions: see docs/performance.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log10

from demo.part import ROOT
from tools.bench.figures import Figure

PICTURE = ROOT / "docs/growth.svg"
JOBS = (100, 10_000, 100_000)
_MINUTES = 60 * 24 * 30  # of a month

QUEUES, TABLES = 11.6, 8.4  # transactions of a poll
IDLE = 75.0  # transactions of an idle hub in a minute, nearly all of them of queues
CORE_SECONDS = 0.068  # CPU of a poll: 36.7 ms of the host, 31.0 ms of the worker
ACTIONS = 4  # of a poll: a generation begins, its timer ends, an activity begins and ends

QUEUE_PRICE = 0.004  # dollars for 10,000 operations, general-purpose v2
TABLE_PRICE = 0.00036  # dollars for 10,000 transactions

CHANGED, ENDED = 0.01, 0.001  # of the jobs in a minute
_ROW = 3  # transactions for a job that changed: read it, write it, its entry in `~live`
_END = (
    20  # for an end besides its poll: the hint, the final row, the indexes, the completed instance
)
_WATCHED = 2 / 5  # the watchdog reads row and instance of each live watch every five minutes
_ASKED_IN_PART = 500


@dataclass(frozen=True)
class Minute:
    """A minute of so many jobs: turns of the engine like that of a poll, and other transactions."""

    turns: float
    rows: float


def polled(jobs: int) -> Minute:
    """Each job is polled by its own watch."""
    return Minute(turns=jobs, rows=jobs * (_WATCHED + ENDED * _END))


def by_list(jobs: int, safety: float = 15) -> Minute:
    """One list of what changed a minute; a watch polls every `safety` minutes, and for its end."""
    rows = jobs * (_WATCHED + CHANGED * _ROW + ENDED * _END)
    return Minute(turns=1 + jobs / safety + ENDED * jobs, rows=4 + rows)


def job_by_job(jobs: int) -> Minute:
    """The jobs are asked for one by one, in activities; so is the safety net of 15 minutes."""
    swept = by_list(jobs)
    parts = max(jobs / _ASKED_IN_PART, 1)
    return Minute(swept.turns + parts / 2, swept.rows + jobs / 1_000 + parts)


def rarely(jobs: int) -> Minute:
    """By a list, with a safety net of six hours."""
    return by_list(jobs, safety=360)


WAYS: dict[str, Callable[[int], Minute]] = {
    "polled": polled,
    "swept job by job": job_by_job,
    "swept by a list": by_list,
    "swept by a list, safety net 6 h": rarely,
}


def dollars(minute: Minute) -> float:
    """The transactions of a month on Azure Storage."""
    queues = minute.turns * QUEUES + IDLE
    tables = minute.turns * TABLES + minute.rows
    return (queues * QUEUE_PRICE + tables * TABLE_PRICE) / 10_000 * _MINUTES


def run() -> list[Figure]:
    """Compute the figures, and draw the picture; no time at all."""
    PICTURE.write_text(picture(), encoding="utf-8")
    figures: list[Figure] = []
    for jobs in JOBS:
        for name, of in WAYS.items():
            minute = of(jobs)
            rate = (minute.turns * (QUEUES + TABLES) + minute.rows + IDLE) / 60
            figures += [
                Figure(f"{jobs:,} jobs {name}: storage transactions", rate, "/s"),
                Figure("  on Azure Storage", dollars(minute), "$/month"),
                Figure("  CPU of host and worker", minute.turns / 60 * CORE_SECONDS, "cores"),
                Figure(
                    "  actions of the Durable Task Scheduler", minute.turns * ACTIONS / 60, "/s"
                ),
                Figure("    a month", minute.turns * ACTIONS * _MINUTES / 1e6, "million"),
            ]
    return figures


# -- the picture -----------------------------------------------------------------------------------

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 760, 400, 70, 50, 30, 190
_FROM, _TO = 100, 100_000
_CHEAP, _DEAR = 1.0, 100_000.0
_LINES = (
    ("polled", "#b3261e", polled),
    ("swept, either way", "#1a6fb0", by_list),
    ("swept by a list, net 6 h", "#1d7a46", rarely),
)


def _x(jobs: float) -> float:
    return _LEFT + (log10(jobs / _FROM) / log10(_TO / _FROM)) * (_WIDTH - _LEFT - _RIGHT)


def _y(price: float) -> float:
    share = log10(max(price, _CHEAP) / _CHEAP) / log10(_DEAR / _CHEAP)
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def picture() -> str:
    """Dollars a month over the number of jobs, both on a logarithmic scale."""
    shapes: list[str] = []
    for power in range(int(log10(_CHEAP)), int(log10(_DEAR)) + 1):
        y = _y(10**power)
        shapes.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ccc"/>')
        shapes.append(_text(_LEFT - 8, y + 4, f"{10**power:,} $", "end"))
    for power in range(int(log10(_FROM)), int(log10(_TO)) + 1):
        x = _x(10**power)
        shapes.append(f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#ccc"/>')
        shapes.append(_text(x, _HEIGHT - _BOTTOM + 18, f"{10**power:,}", "middle"))
    shapes.append(_text(_x(3_000), _HEIGHT - 10, "jobs that are watched at a time", "middle"))
    shapes.append(_text(_LEFT, 18, "Storage transactions, dollars a month", "start"))
    sizes = [round(_FROM * (_TO / _FROM) ** (step / 60)) for step in range(61)]
    for name, color, of in _LINES:
        points = " ".join(f"{_x(n):.1f},{_y(dollars(of(n))):.1f}" for n in sizes)
        shapes.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>'
        )
        end = _y(dollars(of(_TO)))
        shapes.append(_text(_WIDTH - _RIGHT + 8, end + 4, name, "start", color))
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        f' font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, text: str, anchor: str, color: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{text}</text>'
