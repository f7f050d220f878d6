"""The store of monitors, on a real Azurite: who may write what, and what stays."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import UpdateMode

from adapters.monitor_entities import list_entity, list_key, live_entity
from adapters.monitor_list import Ended
from adapters.monitor_table import MonitorTable
from adapters.table import Table
from demo.azurite import Azurite
from demo.ports import free_ports
from domain.errors import StoreUnavailable
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.monitor_id import earlier_id, monitor_id
from domain.outcome import StopRequest
from tests.api import new_job_id
from tests.changes import ask_to_stop, claim_again, end, poll, restart, resume

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=9)


@pytest.fixture(scope="module")
def table(store: Azurite) -> MonitorTable:
    table = MonitorTable.connect(connection=store.connection_string)
    table.ping()
    return table


@pytest.fixture
def row() -> MonitorRow:
    job_id = new_job_id()
    return MonitorRow(
        id=f"demo.{job_id}",
        source="demo",
        job_id=job_id,
        run=1,
        state=State.MONITORING,
        started_at=NOW,
        expire_time=NOW + timedelta(days=1),
        timeout_seconds=86_400,
        poll_interval_seconds=60,
    )


def for_removal(table: MonitorTable, monitor_id: str, before: datetime = LATER) -> list[Ended]:
    """What the cleanup finds of a monitor."""
    return [each for each in table.list.ended_before(before) if each.monitor_id == monitor_id]


def take_away(table: MonitorTable, ended: Ended) -> bool:
    known = table.ended(ended)
    return known is not None and table.remove(known)


def remove(table: MonitorTable, monitor_id: str) -> bool:
    """As the cleanup does."""
    found = for_removal(table, monitor_id)
    removed = [take_away(table, each) for each in found]
    table.list.remove(found)
    return removed == [True]


def log(table: MonitorTable, monitor_id: str) -> list[tuple[str, str | None, str | None]]:
    stored = table.read(monitor_id)
    assert stored is not None
    return [(line.event, line.from_, line.to) for line in stored.log]


def test_a_row_comes_back_as_it_went_in(table: MonitorTable, row: MonitorRow) -> None:
    assert table.claim(row)
    assert table.get(row.id) == row
    poll(table, row, "busy")
    last = end(table, row)
    assert (last.state, last.raw_status) == (State.SUCCEEDED, "busy")
    assert table.get(row.id) == last


def test_only_one_of_fifty_claims_wins(table: MonitorTable, row: MonitorRow) -> None:
    """I1."""
    with ThreadPoolExecutor(50) as pool:
        won = list(pool.map(lambda _: table.claim(row), range(50)))
    assert len(list(filter(None, won))) == 1
    assert log(table, row.id) == [("started", None, "Monitoring")]


def test_a_monitor_that_is_not_there_is_none(table: MonitorTable) -> None:
    assert table.get("demo.none") is None
    assert table.read("demo.none") is None


def test_a_heartbeat_tells_what_was_seen_and_logs_each_change(
    table: MonitorTable, row: MonitorRow
) -> None:
    table.claim(row)
    for number, status in enumerate(["queued", "queued", "busy"]):
        assert poll(table, row, status, number)
    stored = table.get(row.id)
    assert stored is not None
    assert (stored.raw_status, stored.progress, stored.polls) == ("busy", 12.5, 3)
    assert stored.last_poll_at == NOW + timedelta(minutes=2)
    assert log(table, row.id) == [
        ("started", None, "Monitoring"),
        ("status", None, "queued"),
        ("status", "queued", "busy"),
    ]


def test_a_watch_that_is_resumed_is_noted_until_its_next_poll(
    table: MonitorTable, row: MonitorRow
) -> None:
    table.claim(row)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: resume(table, row, NOW), range(8)))
    noted = table.get(row.id)
    assert noted == row.model_copy(update={"resumed": True})
    assert poll(table, row, "busy")
    beaten = table.get(row.id)
    assert beaten is not None
    assert not beaten.resumed
    resume(table, row, NOW)
    events = [line[0] for line in log(table, row.id)]
    assert events == ["started", "resumed", "status", "resumed"]
    end(table, row)
    resume(table, row, NOW)
    assert len(log(table, row.id)) == 5


def test_a_poll_that_runs_twice_leaves_one_line(table: MonitorTable, row: MonitorRow) -> None:
    table.claim(row)
    assert all(poll(table, row, "busy") for _ in range(2))
    assert log(table, row.id) == [("started", None, "Monitoring"), ("status", None, "busy")]


def test_a_late_poll_does_not_overwrite_a_final_row(table: MonitorTable, row: MonitorRow) -> None:
    """I3."""
    table.claim(row)
    last = end(table, row)
    assert not poll(table, row, "busy", 99)
    assert table.get(row.id) == last


def test_a_late_poll_does_not_overwrite_a_newer_one(table: MonitorTable, row: MonitorRow) -> None:
    table.claim(row)
    poll(table, row, "new", 5)
    assert not poll(table, row, "old", 3)
    stored = table.get(row.id)
    assert stored is not None
    assert stored.raw_status == "new"


def test_a_wish_to_stop_is_there_until_the_end(table: MonitorTable, row: MonitorRow) -> None:
    """A heartbeat that comes between must not lose it."""
    stop = StopRequest(reason="not needed", cancel_job=True)
    assert not ask_to_stop(table, row, stop)
    table.claim(row)
    assert ask_to_stop(table, row, stop)
    beaten = poll(table, row, "busy")
    assert beaten is not None
    assert beaten.now.stop == stop
    stored = table.get(row.id)
    assert stored is not None
    assert stored.stop == stop
    end(table, row, State.STOPPED)
    assert not ask_to_stop(table, row, stop)
    assert not ask_to_stop(table, row.model_copy(update={"run": 2}), stop)


def test_an_end_is_written_once(table: MonitorTable, row: MonitorRow) -> None:
    """I2, I3: the activity may run twice, and a second verdict changes nothing."""
    table.claim(row)
    first = end(table, row)
    assert end(table, row) == first
    assert end(table, row, State.EXPIRED) == first
    assert [line[0] for line in log(table, row.id)] == ["started", "ended"]


def test_a_new_run_keeps_the_earlier_outcome_and_outlives_its_late_writes(
    table: MonitorTable, row: MonitorRow
) -> None:
    """I3."""
    table.claim(row)
    expired = end(table, row, State.EXPIRED)
    again = row.model_copy(update={"run": 2})
    assert claim_again(table, expired, again)
    end(table, row, State.LOST)
    assert not poll(table, row, "old", 7)
    assert table.get(row.id) == again
    assert log(table, row.id) == [
        ("started", None, "Monitoring"),
        ("ended", None, "Expired"),
        ("started", None, "Monitoring"),
    ]


def test_only_one_of_many_begins_the_next_run(table: MonitorTable, row: MonitorRow) -> None:
    """I1."""
    table.claim(row)
    expired = end(table, row, State.EXPIRED)
    again = row.model_copy(update={"run": 2})
    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(lambda _: claim_again(table, expired, again), range(20)))
    assert len(list(filter(None, won))) == 1


def test_a_removed_monitor_takes_its_log_along(
    table: MonitorTable, row: MonitorRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.claim(row)
    for number in range(120):  # more than a transaction holds
        poll(table, row, f"status-{number}", number)
    end(table, row)
    commit = Table.commit
    made: list[Any] = []

    def once(*given: Any) -> bool:
        if made:
            raise StoreUnavailable("cut off")
        made.append(given)
        return commit(*given)

    with monkeypatch.context() as patch:
        patch.setattr(Table, "commit", once)
        with pytest.raises(StoreUnavailable):
            remove(table, row.id)
    left = table._table.query("PartitionKey eq @id", {"id": row.id})
    assert len(list(left)) == 1 + 122 - 100
    assert remove(table, row.id)
    assert not list(table._table.query("PartitionKey eq @id", {"id": row.id}))
    assert not for_removal(table, row.id)


def whole_log(table: MonitorTable, monitor_id: str) -> list[tuple[str, str | None]]:
    """All that is there, page by page."""
    lines: list[tuple[str, str | None]] = []
    after: int | None = 0
    while after is not None:
        stored = table.read(monitor_id, after)
        assert stored
        lines += [(line.event, line.to) for line in stored.log]
        after = stored.next
    return lines


def test_a_log_is_read_in_pages(
    table: MonitorTable, row: MonitorRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.monitor_table.PAGE", 3)
    table.claim(row)
    for number in range(6):
        poll(table, row, f"status-{number}", number)
    newest = table.read(row.id)
    assert newest
    assert [line.to for line in newest.log] == ["status-3", "status-4", "status-5"]
    assert (newest.lines, newest.next) == (7, None)
    first = table.read(row.id, 0)
    assert first
    assert [line.to for line in first.log] == ["Monitoring", "status-0", "status-1"]
    assert first.next == 3
    assert len(whole_log(table, row.id)) == 7
    beyond = table.read(row.id, 99)
    assert beyond
    assert (beyond.log, beyond.next) == ([], None)


def test_the_log_of_a_job_that_flaps_has_an_end_and_keeps_the_outcomes(
    table: MonitorTable, row: MonitorRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I3: how earlier runs ended is not crowded out."""
    monkeypatch.setattr("adapters.monitor_table.KEPT", 5)
    monkeypatch.setattr("adapters.monitor_table.PAGE", 4)
    table.claim(row)
    for number in range(20):
        poll(table, row, f"first-{number}", number)
    expired = end(table, row, State.EXPIRED)
    again = row.model_copy(update={"run": 2, "started_at": NOW + timedelta(days=1)})
    claim_again(table, expired, again)
    for number in range(20):
        poll(table, again, f"second-{number}", number)
    end(table, again)
    assert whole_log(table, row.id) == [
        ("started", "Monitoring"),
        ("ended", "Expired"),
        ("started", "Monitoring"),
        *[("status", f"second-{number}") for number in range(16, 20)],
        ("ended", "Succeeded"),
    ]
    stored = table.read(row.id)
    assert stored
    assert stored.lines == 44
    assert [line.event for line in stored.log] == ["status", "status", "status", "ended"]
    assert remove(table, row.id)
    assert not list(table._table.query("PartitionKey eq @id", {"id": row.id}))


def test_a_log_that_a_release_before_wrote_without_end_goes_as_a_whole(
    table: MonitorTable, row: MonitorRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.claim(row)
    for number in range(120):
        poll(table, row, f"status-{number}", number)
    monkeypatch.setattr("adapters.monitor_table.KEPT", 5)
    poll(table, row, "one more", 120)
    end(table, row)
    assert len(whole_log(table, row.id)) == 121  # no longer than it was
    assert remove(table, row.id)
    assert not list(table._table.query("PartitionKey eq @id", {"id": row.id}))


def test_the_monitors_of_a_job_are_looked_up_by_their_ids(
    table: MonitorTable, row: MonitorRow
) -> None:
    """Of each source that is asked for, newest first; under an id of 0.1, too."""
    job_id = "a" * 98 + row.job_id[-2:]
    ids = [monitor_id("one", job_id), earlier_id("two", job_id)]
    for number, (id_, source) in enumerate(zip(ids, ["one", "two"], strict=True)):
        started_at = NOW + timedelta(minutes=number)
        update = {"id": id_, "source": source, "job_id": job_id, "started_at": started_at}
        table.claim(row.model_copy(update=update))
    found = table.with_job(job_id, ["one", "two", "three"])
    assert [each.id for each in found] == ids[::-1]
    assert [each.id for each in table.with_job(job_id, ["one"])] == ids[:1]
    assert table.with_job("none", ["one", "two"]) == []


def test_a_live_monitor_is_not_removed(table: MonitorTable, row: MonitorRow) -> None:
    """I8: not even if it was final when the cleanup read it."""
    table.claim(row)
    assert not take_away(table, Ended(row.id, 1, "as if it had ended"))
    expired = end(table, row, State.EXPIRED)
    found = for_removal(table, row.id)
    read_before = table.ended(found[0])
    again = row.model_copy(update={"run": 2, "started_at": NOW + timedelta(days=1)})
    claim_again(table, expired, again)
    assert not take_away(table, found[0])
    assert read_before
    assert not table.remove(read_before)
    table.list.remove(found)  # it is not there any more
    assert table.get(row.id) == again
    assert listed(table, jobId=row.job_id) == [row.id]
    end(table, again)
    assert not take_away(table, found[0])
    assert table.get(row.id) is not None


def test_the_list_loses_what_was_removed_and_nothing_else(
    table: MonitorTable, row: MonitorRow
) -> None:
    """More than a transaction holds, and one that somebody else took away."""
    ids = [f"many.{row.job_id}-{number:03}" for number in range(110)]
    entries = []
    for number, id_ in enumerate(ids):
        began = {"started_at": NOW + timedelta(seconds=number), "ended_at": NOW}
        each = row.model_copy(update={"id": id_, "source": row.job_id, **began})
        entries.append(("upsert", list_entity(each)))
    assert table._table.commit(entries[:55])
    assert table._table.commit(entries[55:])
    found = [each for each in table.list.ended_before(LATER) if each.monitor_id in ids]
    assert [each.monitor_id for each in found] == ids[::-1]
    table.list.remove(found[7:8])
    table.list.remove(found[:109])
    left = [each for each in table.list.ended_before(LATER) if each.monitor_id in ids]
    assert left == found[109:]


def test_only_ended_monitors_past_the_cutoff_are_for_removal(
    table: MonitorTable, row: MonitorRow
) -> None:
    """I8."""
    ended_at = NOW + timedelta(hours=1)
    table.claim(row)
    long_after = ended_at + timedelta(days=999)
    assert not for_removal(table, row.id, long_after)
    end(table, row)
    assert not for_removal(table, row.id, ended_at)
    assert for_removal(table, row.id, ended_at + timedelta(seconds=1))


def listed(table: MonitorTable, **equal: str | None) -> list[str]:
    """Ids on all pages of the list, two at a time."""
    ids: list[str] = []
    after: str | None = ""
    while after is not None:
        rows, after = table.list.page(2, after, **equal)
        ids += [each.id for each in rows]
    return ids


def test_the_list_is_newest_first_and_paged(table: MonitorTable, row: MonitorRow) -> None:
    """The source is one of its own, for other tests write to the same table."""
    rows = []
    for number in range(5):
        started_at = NOW + timedelta(seconds=number)
        job_id = f"{row.job_id}-{number}"
        update = {"id": f"lister.{job_id}", "source": row.job_id, "job_id": job_id}
        rows.append(row.model_copy(update={**update, "started_at": started_at}))
        table.claim(rows[-1])
    newest_first = [each.id for each in reversed(rows)]
    assert listed(table, source=row.job_id) == newest_first
    assert listed(table, source=row.job_id, jobId=rows[3].job_id) == [rows[3].id]
    end(table, rows[1])
    assert listed(table, source=row.job_id, state="Succeeded") == [rows[1].id]
    live = [each for each in newest_first if each != rows[1].id]
    assert listed(table, source=row.job_id, state="Monitoring") == live
    assert listed(table, source="nope") == []


def test_a_monitor_is_listed_once_whatever_its_runs(table: MonitorTable, row: MonitorRow) -> None:
    table.claim(row)
    expired = end(table, row, State.EXPIRED)
    again = row.model_copy(update={"run": 2, "started_at": NOW + timedelta(days=1)})
    claim_again(table, expired, again)
    assert listed(table, jobId=row.job_id) == [row.id]
    assert listed(table, jobId=row.job_id, state="Expired") == []
    assert not for_removal(table, row.id)
    end(table, again)
    assert remove(table, row.id)
    assert listed(table, jobId=row.job_id) == []


def test_only_what_may_be_live_is_for_the_watchdog(table: MonitorTable, row: MonitorRow) -> None:
    """I4: what it goes through does not grow with the stored results."""
    table.claim(row)
    assert row.id in {each for each, _ in table.live()}
    end(table, row)
    assert row.id not in {each for each, _ in table.live()}


def test_indexes_that_were_cut_off_are_brought_in_line(
    table: MonitorTable, row: MonitorRow
) -> None:
    """I2: the row was written, its indexes were not."""
    table.claim(row)
    last = end(table, row)
    table._table.upsert(live_entity(row))
    assert row.id in {each for each, _ in table.live()}
    table.sync_indexes(last)
    assert row.id not in {each for each, _ in table.live()}
    assert for_removal(table, row.id)


def test_a_stale_repair_takes_no_end_from_the_list(table: MonitorTable, row: MonitorRow) -> None:
    """I3: whoever read the row before its end may bring its indexes in line after it."""
    table.claim(row)
    end(table, row)
    table.sync_indexes(row)
    assert listed(table, jobId=row.job_id, state="Succeeded") == [row.id]
    assert for_removal(table, row.id)


def test_a_repair_brings_back_no_entry_that_went(
    table: MonitorTable, row: MonitorRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run began between the look at the entry and the write: the list stays readable."""
    table.claim(row)
    find = table._table.find

    def overtaken(*key: str) -> Any:
        found = find(*key)
        table._table.delete(*key)
        return found

    monkeypatch.setattr(table._table, "find", overtaken)
    table.sync_indexes(row)
    monkeypatch.undo()
    assert table._table.find("~list", list_entity(row)["RowKey"]) is None
    assert listed(table, jobId=row.job_id) in ([], [row.id])


def test_the_list_is_held_against_the_rows(table: MonitorTable, row: MonitorRow) -> None:
    """A list that says other than the row, and an entry of a run that is gone, are put right."""
    table.claim(row)
    end(table, row)
    wrong = {**list_entity(row), "state": "Monitoring"}
    gone = {**wrong, "RowKey": f"{wrong['RowKey']}-gone", "run": 7}
    for entry in (wrong, gone):
        table._table.upsert(entry)
    after = ""
    while after := table.check_list(after, 50):
        pass
    found = table._table.query("PartitionKey eq '~list' and monitorId eq @i", {"i": row.id})
    assert [(entry["run"], entry["state"]) for entry in found] == [(1, "Succeeded")]


def test_the_list_is_held_against_rows_that_were_just_read(
    table: MonitorTable, row: MonitorRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that fits such a row is right; of any other the row is read anew."""
    table.claim(row)
    looked_up: list[str] = []
    look_up = table.list._row

    def spy(monitor_id: str) -> MonitorRow | None:
        looked_up.append(monitor_id)
        return look_up(monitor_id)

    monkeypatch.setattr(table.list, "_row", spy)
    before = list_key(row)[:-1]
    table.check_list(before, 1, [row])
    assert looked_up == []
    table._table.upsert({**list_entity(row), "state": "Succeeded"})
    table.check_list(before, 1, [row])
    assert looked_up == [row.id]


def test_a_restart_stays_in_the_list(table: MonitorTable, row: MonitorRow) -> None:
    table.claim(row)
    assert restart(table, row, NOW)
    assert listed(table, jobId=row.job_id) == [row.id]


def test_a_page_by_label_goes_on_where_it_stopped(
    table: MonitorTable, row: MonitorRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table storage has no index for labels or for beginnings of job ids, so a request reads a part
    of the list."""
    monkeypatch.setattr("adapters.monitor_list._ENTRIES_READ", 3)
    ids = []
    for number in range(8):
        labels = {"team": "sales" if number % 4 == 0 else "hr"}
        each = row.model_copy(
            update={
                "id": f"{row.id}-{number}",
                "source": row.job_id,
                "job_id": f"{labels['team']}/Job-{number}",
                "labels": labels,
                "started_at": NOW + timedelta(seconds=number),
            }
        )
        table.claim(each)
        ids += [each.id] if number % 4 == 0 else []
    assert listed(table, source=row.job_id, label="team:sales") == ids[::-1]
    assert listed(table, source=row.job_id, label="team:none") == []
    assert listed(table, source=row.job_id, prefix="sales/Job-") == ids[::-1]
    assert listed(table, source=row.job_id, prefix="sales/Job-4") == ids[1:]
    assert listed(table, source=row.job_id, prefix="sales/", label="team:hr") == []
    for other in ("sales/job-", "Job-4", "sales/Job-44"):
        assert listed(table, source=row.job_id, prefix=other) == []


def test_a_run_that_is_begun_again_outlives_the_one_before(
    table: MonitorTable, row: MonitorRow
) -> None:
    """I3: nothing that a stuck instance still writes counts."""
    table.claim(row)
    again = restart(table, row, NOW)
    assert again is not None
    assert again.run == 2
    assert restart(table, row, NOW) is None
    assert not poll(table, row, "late", 9)
    end(table, row)
    assert table.get(row.id) == again


@pytest.fixture
def nowhere() -> str:
    [port] = free_ports(1)
    return (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0;"
        f"TableEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )


def test_a_store_that_is_down_is_told_without_its_key(nowhere: str, row: MonitorRow) -> None:
    """I9."""
    table = MonitorTable.connect(connection=nowhere)
    calls = (
        table.ping,
        lambda: table.claim(row),
        lambda: table.get(row.id),
        lambda: poll(table, row, "busy"),
        lambda: end(table, row),
        lambda: list(table.list.ended_before(NOW)),
    )
    for call in calls:
        with pytest.raises(StoreUnavailable) as error:
            call()
        assert "c2VjcmV0" not in str(error.value)


def test_a_table_that_is_not_there_yet_is_made(tmp_path: Path, row: MonitorRow) -> None:
    with Azurite(tmp_path / "data", tmp_path / "azurite.log") as azurite:
        table = MonitorTable.connect(connection=azurite.connection_string)
        assert table.get(row.id) is None
        assert table.read(row.id) is None
        assert list(table.list.ended_before(NOW)) == []
        assert not poll(table, row, "busy")
        assert table.claim(row)
        assert table.get(row.id) == row


TOMORROW = {"priority": 7, "owner": "sales", "marks": '["a"]'}
"""Properties that a later release may store."""


def test_what_a_later_release_stored_survives_the_writes_of_this_one(
    table: MonitorTable, row: MonitorRow
) -> None:
    """Machines are updated one by one, and an update may be taken back."""
    table.claim(row)
    stop = StopRequest(reason="not needed")
    ask_to_stop(table, row, stop)
    later = {"stop": '{"reason": "not needed", "cancelJob": false, "by": "ann"}', **TOMORROW}
    keys = {"PartitionKey": row.id, "RowKey": "monitor"}
    table._table._client.update_entity({**keys, **later}, mode=UpdateMode.MERGE)

    def stored() -> dict[str, Any]:
        found = table._table.find(row.id, "monitor")
        assert found is not None
        return {name: found[name] for name in later if name in found}

    poll(table, row, "busy")
    assert stored() == later
    again = restart(table, row, NOW)
    assert again is not None
    assert stored() == later
    end(table, again)
    assert stored() == TOMORROW


def test_indexes_keep_what_a_later_release_stored(table: MonitorTable, row: MonitorRow) -> None:
    table.claim(row)
    (listed_at,) = table._table.query("PartitionKey eq '~list' and monitorId eq @i", {"i": row.id})
    (live_at,) = table._table.query("PartitionKey eq '~live' and monitorId eq @i", {"i": row.id})
    for entry in (listed_at, live_at):
        table._table._client.update_entity({**entry, **TOMORROW}, mode=UpdateMode.MERGE)
    table.sync_indexes(row)
    end(table, row)
    (entry,) = table._table.query("PartitionKey eq '~list' and monitorId eq @i", {"i": row.id})
    assert {name: entry[name] for name in TOMORROW} == TOMORROW
