"""A sweeper on a real table: its sights may be old by the time that it writes them."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import azure.durable_functions as df

from adapters.monitor_table import MonitorTable
from adapters.sweeper import Seen, Sweeper
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.sweep import Look, Mark
from domain.outcome import Outcome, Poll
from domain.sources.page import Sight
from tests.changes import claim_again, end, poll
from tests.conftest import Store
from tests.own_client import make_services

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
DONE = Poll(outcome=Outcome.SUCCEEDED, raw_status="done")


def first_run(table: MonitorTable) -> MonitorRow:
    row = MonitorRow(
        id="demo.a",
        source="demo",
        job_id="a",
        run=1,
        state=State.MONITORING,
        started_at=NOW,
        expire_time=NOW + timedelta(days=1),
        poll_interval_seconds=60,
    )
    assert table.claim(row)
    assert poll(table, row, "busy")
    return row


def test_what_a_sweep_saw_of_another_run_is_not_written(store: Store) -> None:
    """Rule 1: neither after the end of the run that it knew, nor once the next one is live."""
    services = make_services(store.new_account())
    table, nobody = services.monitors, df.DurableOrchestrationClient(json.dumps(NO_HOST))
    row = first_run(table)
    known = table.get(row.id)
    assert known
    look = Look(NOW + timedelta(minutes=9), timedelta(0))
    seen = Seen(row.id, Sight("a", DONE), look, run=1, mark=Mark.of(known))
    ended = end(table, row)
    assert asyncio.run(Sweeper(nobody, services).take(seen))
    assert table.get(row.id) == ended
    again = row.model_copy(update={"run": 2, "started_at": NOW + timedelta(hours=2)})
    assert claim_again(table, ended, again)
    assert poll(table, again, "busy")
    live = table.get(row.id)
    later = seen._replace(look=look._replace(at=NOW + timedelta(hours=9)))
    assert asyncio.run(Sweeper(nobody, services).take(later))
    assert table.get(row.id) == live


NO_HOST = {
    "taskHubName": "none",
    "creationUrls": {},
    "managementUrls": {"id": "ID", "statusQueryGetUri": "http://127.0.0.1:9/ID"},
    "rpcBaseUrl": "http://127.0.0.1:9/",
}
