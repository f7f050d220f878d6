"""The replay gate on what a real hub gave: its own table, and the management API.

`recorded/` has both of the same monitors, from Functions host 4.1037 and Durable extension 3.19.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient

from demo.part import ROOT
from devhost.events import EventType
from devhost.hub_table import HubError, recorded
from devhost.recorded import Mismatch, NotAHistory, check, parse
from tests.conftest import Store
from tests.histories.make import ORCHESTRATORS

HERE = Path(__file__).parent / "recorded"
TABLE: dict[str, list[dict[str, Any]]] = json.loads((HERE / "history-table.json").read_text())
SHOWN: dict[str, Any] = json.loads((HERE / "management.json").read_text())
ENDED = {key for key, rows in TABLE.items() if any("OrchestrationStatus" in row for row in rows)}


@pytest.mark.parametrize("key", TABLE)
def test_a_history_of_the_table_fits(key: str) -> None:
    """I10: of today's generation alone; rows of earlier ones lie behind it."""
    history = parse(json.dumps(recorded(TABLE[key])))
    assert not history.folded
    assert check(history, ORCHESTRATORS) > 0


@pytest.mark.parametrize("name", SHOWN)
def test_a_history_of_the_api_fits(name: str) -> None:
    """I10: its timers fired up to a second early, and one was suspended over a due timer."""
    history = parse(json.dumps(SHOWN[name]))
    assert history.folded
    assert check(history, ORCHESTRATORS) > 0


def test_both_forms_have_the_same_turns() -> None:
    table = parse(json.dumps(recorded(TABLE["demo.ok-1"]))).events
    shown = parse(json.dumps(SHOWN["succeeded"])).events
    keys = ("EventType", "EventId", "TaskScheduledId", "TimerId", "Name")

    def outline(events: list[Any]) -> list[Any]:
        # A new generation has one more end of a turn; the end of an instance takes an id.
        ends = (EventType.ORCHESTRATOR_COMPLETED, EventType.EXECUTION_COMPLETED)
        return [[e.get(key) for key in keys] for e in events if e["EventType"] not in ends]

    assert outline(table) == outline(shown)


def test_a_changed_orchestrator_is_found() -> None:
    rows = [dict(row) for row in TABLE["demo.ok-1"]]
    for row in rows:
        if row.get("Name") == "GetJobStatus":
            row["Name"] = "PollJob"
    with pytest.raises(Mismatch, match="asked for TaskScheduled PollJob"):
        check(parse(json.dumps(recorded(rows))), ORCHESTRATORS)


def test_what_can_not_be_had_from_the_table_is_told() -> None:
    rows = TABLE["demo.ok-1"]
    with pytest.raises(HubError, match="no history yet"):
        recorded([])
    large = [row | {"ResultBlobName": "x/y.json.gz"} for row in rows]
    with pytest.raises(HubError, match="over 45 KB and in a blob"):
        recorded(large)
    entity = [row | {"EventType": "EventSent"} for row in rows]
    with pytest.raises(HubError, match="EventSent, which devhost does not serve"):
        recorded(entity)
    payload = recorded(rows)
    payload["historyEvents"][2]["EventType"] = int(EventType.GENERIC_EVENT)
    with pytest.raises(NotAHistory, match="rewound"):
        parse(json.dumps(payload))


# -- the command ----------------------------------------------------------------------------


def entities(rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Rows with times as the real table has them."""
    for row in rows:
        times = {n: datetime.fromisoformat(row[n]) for n in ("_Timestamp", "FireAt") if n in row}
        yield row | times


@pytest.fixture
def hub(store: Store) -> str:
    """The connection string of a storage account that holds the hub `Recorded`."""
    connection = store.new_account()
    with TableServiceClient.from_connection_string(connection) as service:
        history = service.create_table("RecordedHistory")
        instances = service.create_table("RecordedInstances")
        for key, rows in TABLE.items():
            status = "Completed" if key in ENDED else "Running"
            instances.create_entity({"PartitionKey": key, "RowKey": "", "RuntimeStatus": status})
            for row in entities(rows):
                history.create_entity(row)
    return connection


def command(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devhost", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_all_live_instances_are_recorded_and_replayed(hub: str, tmp_path: Path) -> None:
    done = command("record", "--hub", "Recorded", "-o", tmp_path, AzureWebJobsStorage=hub)
    assert done.returncode == 0, done.stderr
    files = sorted(tmp_path.glob("*.json"))
    assert {file.stem for file in files} == TABLE.keys() - ENDED
    replayed = command("replay", *files)
    assert replayed.returncode == 0, replayed.stdout
    assert replayed.stdout.count("fits") == len(files)


def test_one_instance_by_another_setting(hub: str, tmp_path: Path) -> None:
    one = ("record", "--hub", "Recorded", "--id", "demo.ok-1", "--connection", "Other")
    done = command(*one, "-o", tmp_path, Other=hub)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["demo.ok-1.json"]
    missing = command(*one, "-o", tmp_path)
    assert missing.returncode == 1
    assert "there is no app setting Other, nor Other__tableServiceUri" in missing.stderr
