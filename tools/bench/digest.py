"""A source goes blind with 10,000 monitors: the messages of a channel, and the cost of each look.

The monitors are written straight into the table. Then one process looks as `DeliverNotices` does,
until nothing waits. A look must end within the minute that hides its message, and fit into the
memory of a host.
"""

import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from activities.deliver_notices import look
from adapters.monitor_entities import row_entity
from adapters.outbox import Addressed, Outbox
from adapters.services import get_services
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.monitor_id import monitor_id
from domain.monitors.occasions import of_poll
from domain.notices.delivery import DeliveryProgress
from tests.faulty_source import FaultySource, Reply
from tools.bench.azurite import CountedAzurite
from tools.bench.figures import Figure
from tools.bench.stored import Memory, write_all

_COUNT = 10_000
_LOOKS = 100  # at the most
_SOON, _AGO = timedelta(minutes=1), timedelta(minutes=5)
_CHANNEL = """
[channels.ops]
kind = "webhook"
url = "{url}/ops"
allow_http = true
"""


def run() -> list[Figure]:
    """Take the figures; five minutes, most of them to write the monitors."""
    with TemporaryDirectory() as name, FaultySource() as receiver:
        folder = Path(name)
        receiver.behave("submit", Reply(204))
        (folder / "sources.toml").write_text(_CHANNEL.format(url=receiver.url))
        with CountedAzurite(folder / "azurite.log") as azurite:
            connection = azurite.connection_string
            _go_blind(connection)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                settings = {
                    "AzureWebJobsStorage": connection,
                    "JOB_SOURCES_FILE": str(folder / "sources.toml"),
                }
                figures = pool.submit(_looks, settings).result()
        sizes = [len(each.body) for each in receiver.requests]
    return [
        Figure(f"{_COUNT:,} monitors go blind: messages", len(sizes), ""),
        Figure("  longest message", max(sizes) / 1024, "KiB"),
        *figures,
    ]


def _go_blind(connection: str) -> None:
    """Write live monitors whose polls were refused five minutes ago, with their notices."""
    memory, at = Memory(), datetime.now(UTC) - _AGO
    outbox = Outbox(memory, lambda: at)
    for number in range(_COUNT):
        job_id = f"job-{number:06}"
        row = MonitorRow(
            id=monitor_id("demo", job_id),
            source="demo",
            job_id=job_id,
            run=1,
            state=State.MONITORING,
            started_at=at - _AGO,
            expire_time=at + timedelta(days=1),
            poll_interval_seconds=60,
            raw_status="RUNNING",
            message="Step 3 of 7: reading the partitions of yesterday.",
        )
        blind = row.model_copy(update={"blind": True, "detail": "HTTP 401: the token expired"})
        [notice] = of_poll(row, blind, at)
        addressed = [Addressed(notice.numbered(1), 1, 1, ["ops"])]
        outbox.announce(row.id, addressed)
        memory.upsert(row_entity(blind) | {"notices": 1})
        memory.commit([*outbox.operations(row.id, addressed)])
    write_all(connection, memory)


def _looks(settings: dict[str, str]) -> list[Figure]:
    os.environ |= settings
    services = get_services()
    services.monitors.ping()
    progress, seconds, before, carried = DeliveryProgress(channel="ops"), [], _peak(), 0
    for _ in range(_LOOKS):
        begin = time.perf_counter()
        progress = look(services, progress)
        seconds.append(time.perf_counter() - begin)
        carried = max(carried, len(progress.model_dump_json()))
        if progress.last_error:
            raise AssertionError(progress.last_error)
        if not progress.look_at or progress.look_at > services.now() + _SOON:
            break
    left = len(services.monitors.outbox.waiting("ops"))
    return [
        Figure("  looks", len(seconds), ""),
        Figure("  longest look", max(seconds), "s"),
        Figure("  all looks", sum(seconds), "s"),
        Figure("  longest result of a look", carried / 1024, "KiB"),
        Figure("  memory beyond that of the process", _peak() - before, "MiB"),
        Figure("  notices that wait for the next digest", left, ""),
    ]


def _peak() -> float:
    """The most memory that this process had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
