"""A source goes blind with all its monitors: the notices of all are one message at each channel."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from activities.deliver_notices import look
from adapters.monitor_entities import row_entity
from adapters.outbox import OUTBOX, Addressed, _index_entity
from adapters.services import Services
from adapters.table import BATCH
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.occasions import of_poll
from domain.notices.delivery import DeliveryProgress
from domain.notices.outbox import Entry, group_of
from tests.faulty_source import FaultySource

COUNT = 300
AT = datetime.now(UTC) - timedelta(minutes=3)


def go_blind(services: Services, count: int) -> None:
    """Write the rows of blind monitors with their notices, as the polls of all would."""
    table, outbox = services.monitors._table, services.monitors.outbox

    def write(number: int) -> Entry:
        row = MonitorRow(
            id=f"s.job-{number:05}",
            source="s",
            job_id=f"job-{number:05}",
            run=1,
            state=State.MONITORING,
            started_at=AT,
            expire_time=AT + timedelta(days=1),
            poll_interval_seconds=60,
        )
        blind = row.model_copy(update={"blind": True, "detail": "HTTP 401"})
        [notice] = of_poll(row, blind, AT)
        addressed = [Addressed(notice.numbered(1), 1, 1, ["ops"])]
        entity = row_entity(blind) | {"notices": 1}
        assert table.commit([("create", entity), *outbox.operations(row.id, addressed)])
        return Entry(row.id, 1, 1, group_of(notice), AT)

    with ThreadPoolExecutor(16) as pool:
        entries = list(pool.map(write, range(count)))
    index = [("upsert", _index_entity(OUTBOX, "ops", each)) for each in entries]
    for begin in range(0, count, BATCH):
        assert table.commit(index[begin : begin + BATCH])


@pytest.mark.long
def test_hundreds_of_monitors_that_can_not_be_seen_are_one_message(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the store takes to tell of them, and to take notes."""
    monkeypatch.setattr("activities.deliver_notices._SECONDS", -1.0)
    go_blind(services, COUNT)
    progress = DeliveryProgress(channel="ops")
    carried = []
    for _ in range(2):  # the second takes the notes that the first had no time for
        progress = look(services, progress)
        carried.append(len(progress.sent))
        assert progress.last_error is None
    assert carried == [COUNT - BATCH, 0]
    [request] = server.requests
    event = json.loads(request.body)
    assert (event["type"], event["data"]["count"]) == ("jobmonitor.digest", COUNT)
    assert services.monitors.outbox.waiting("ops") == []
    stored = services.monitors.read("s.job-00007")
    assert stored is not None
    assert [line.event for line in stored.log] == ["delivered"]
