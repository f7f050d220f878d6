"""The store of monitors, on a real Azurite: who may write what, and what stays."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import UpdateMode

from adapters.monitor_table import Ended, MonitorTable
from adapters.table import Table
from demo.azurite import Azurite
from demo.ports import free_ports
from domain.errors import StoreUnavailable
from domain.monitors.decide import decide, observe
from domain.monitors.monitor import MonitorRow, State, Verdict, Watch
from domain.outcome import Outcome, Poll, StopRequest
from tests.api import new_job_id
from tests.changes import ask_to_stop, claim_again, finish, poll, restart, resume

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


def seen(watch: Watch, status: str, polls: int = 0) -> Watch:
    answer = Poll(outcome=Outcome.RUNNING, raw_status=status, progress=12.5, message="ok")
    return observe(watch.model_copy(update={"polls": polls}), answer, NOW + timedelta(minutes=1))


def finished(watch: Watch, state: State = State.SUCCEEDED) -> Watch:
    verdict = Verdict(state=state, reason="because", ended_at=NOW + timedelta(hours=1))
    return watch.model_copy(update={"verdict": verdict})


def final(row: MonitorRow, watch: Watch) -> MonitorRow:
    """The row that a finished watch comes to."""
    assert watch.verdict is not None
    return row.polled(watch).ended(watch.verdict)


def end_of_run(table: MonitorTable, row: MonitorRow, state: State = State.EXPIRED) -> MonitorRow:
    """Let the run of a row end without a poll, and give its final row."""
    watch = finished(row.first_watch(), state)
    finish(table, watch)
    return final(row, watch)


def ended(table: MonitorTable, monitor_id: str, before: datetime = LATER) -> list[Ended]:
    """What the cleanup finds of a monitor."""
    return [each for each in table.ended_before(before) if each.monitor_id == monitor_id]


def remove(table: MonitorTable, monitor_id: str) -> bool:
    """As the cleanup does."""
    found = ended(table, monitor_id)
    removed = [table.delete(each) for each in found]
    table.unlist(found)
    return removed == [True]


def log(table: MonitorTable, monitor_id: str) -> list[tuple[str, str | None, str | None]]:
    stored = table.read(monitor_id)
    assert stored is not None
    return [(line.event, line.from_, line.to) for line in stored.log]


def test_a_row_comes_back_as_it_went_in(table: MonitorTable, row: MonitorRow) -> None:
    assert table.claim(row)
    assert table.get(row.id) == row
    end = finished(seen(row.first_watch(), "busy"))
    finish(table, end)
    assert table.get(row.id) == final(row, end)


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
    watch = row.first_watch()
    for number, status in enumerate(["queued", "queued", "busy"]):
        watch = seen(watch, status, number)
        assert poll(table, watch)
    stored = table.get(row.id)
    assert stored is not None
    assert (stored.raw_status, stored.progress, stored.polls) == ("busy", 12.5, 3)
    assert stored.last_poll_at == NOW + timedelta(minutes=1)
    assert log(table, row.id) == [
        ("started", None, "Monitoring"),
        ("status", None, "queued"),
        ("status", "queued", "busy"),
    ]


def test_what_the_store_did_not_take_comes_with_the_end(
    table: MonitorTable, row: MonitorRow
) -> None:
    """I2: the line of the last poll is not lost."""
    table.claim(row)
    end = finished(seen(row.first_watch(), "done"))
    for _ in range(2):
        finish(table, end)
    assert log(table, row.id) == [
        ("started", None, "Monitoring"),
        ("status", None, "done"),
        ("ended", "done", "Succeeded"),
    ]


def test_an_end_that_knows_less_than_the_row_tells_of_no_change(
    table: MonitorTable, row: MonitorRow
) -> None:
    """As the watchdog's, if a poll came after its look."""
    table.claim(row)
    poll(table, seen(row.first_watch(), "busy"))
    finish(table, finished(row.first_watch(), State.TERMINATED))
    assert [line[0] for line in log(table, row.id)] == ["started", "status", "ended"]


def test_a_watch_that_is_resumed_is_noted_until_its_next_poll(
    table: MonitorTable, row: MonitorRow
) -> None:
    table.claim(row)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: resume(table, row, NOW), range(8)))
    noted = table.get(row.id)
    assert noted == row.model_copy(update={"resumed": True})
    assert poll(table, seen(row.first_watch(), "busy"))
    beaten = table.get(row.id)
    assert beaten is not None
    assert not beaten.resumed
    resume(table, row, NOW)
    events = [line[0] for line in log(table, row.id)]
    assert events == ["started", "resumed", "status", "resumed"]
    finish(table, finished(seen(row.first_watch(), "busy")))
    resume(table, row, NOW)
    assert len(log(table, row.id)) == 5


def test_a_poll_that_runs_twice_leaves_one_line(table: MonitorTable, row: MonitorRow) -> None:
    table.claim(row)
    watch = seen(row.first_watch(), "busy")
    assert all(poll(table, watch) for _ in range(2))
    assert log(table, row.id) == [("started", None, "Monitoring"), ("status", None, "busy")]


def test_a_late_poll_does_not_overwrite_a_final_row(table: MonitorTable, row: MonitorRow) -> None:
    """I3."""
    table.claim(row)
    end = finished(row.first_watch())
    finish(table, end)
    assert not poll(table, seen(row.first_watch(), "busy", 9))
    assert table.get(row.id) == final(row, end)


def test_a_late_poll_does_not_overwrite_a_newer_one(table: MonitorTable, row: MonitorRow) -> None:
    table.claim(row)
    poll(table, seen(row.first_watch(), "new", 5))
    assert not poll(table, seen(row.first_watch(), "old", 3))
    stored = table.get(row.id)
    assert stored is not None
    assert stored.raw_status == "new"


def test_a_wish_to_stop_is_there_until_the_end(table: MonitorTable, row: MonitorRow) -> None:
    """A heartbeat that comes between must not lose it."""
    stop = StopRequest(reason="not needed", cancel_job=True)
    assert not ask_to_stop(table, row, stop)
    table.claim(row)
    assert ask_to_stop(table, row, stop)
    beaten = poll(table, seen(row.first_watch(), "busy"))
    assert beaten is not None
    assert beaten.now.stop == stop
    stored = table.get(row.id)
    assert stored is not None
    assert stored.stop == stop
    finish(table, finished(row.first_watch(), State.STOPPED))
    assert not ask_to_stop(table, row, stop)
    assert not ask_to_stop(table, row.model_copy(update={"run": 2}), stop)


def test_an_end_is_written_once(table: MonitorTable, row: MonitorRow) -> None:
    """I2, I3: the activity may run twice, and a second verdict changes nothing."""
    table.claim(row)
    first = finished(row.first_watch())
    for end in (first, first, finished(row.first_watch(), State.EXPIRED)):
        finish(table, end)
    assert table.get(row.id) == final(row, first)
    assert [line[0] for line in log(table, row.id)] == ["started", "ended"]


def test_a_new_run_keeps_the_earlier_outcome_and_outlives_its_late_writes(
    table: MonitorTable, row: MonitorRow
) -> None:
    """I3."""
    table.claim(row)
    expired = end_of_run(table, row)
    again = row.model_copy(update={"run": 2})
    assert claim_again(table, expired, again)
    finish(table, finished(row.first_watch(), State.LOST))
    assert not poll(table, seen(row.first_watch(), "old", 7))
    assert table.get(row.id) == again
    assert log(table, row.id) == [
        ("started", None, "Monitoring"),
        ("ended", None, "Expired"),
        ("started", None, "Monitoring"),
    ]


def test_only_one_of_many_begins_the_next_run(table: MonitorTable, row: MonitorRow) -> None:
    """I1."""
    table.claim(row)
    expired = end_of_run(table, row)
    again = row.model_copy(update={"run": 2})
    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(lambda _: claim_again(table, expired, again), range(20)))
    assert len(list(filter(None, won))) == 1


def test_a_removed_monitor_takes_its_log_along(
    table: MonitorTable, row: MonitorRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.claim(row)
    watch = row.first_watch()
    for number in range(220):  # more than two transactions hold
        watch = seen(watch, f"status-{number}", number)
        poll(table, watch)
    finish(table, finished(watch))
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
    stored = table.read(row.id)
    assert stored is not None
    assert len(stored.log) == 222 - 100
    assert remove(table, row.id)
    assert not list(table._table.query("PartitionKey eq @id", {"id": row.id}))
    assert not ended(table, row.id)


def test_a_live_monitor_is_not_removed(table: MonitorTable, row: MonitorRow) -> None:
    """I8: not even if it was final when the cleanup read it."""
    table.claim(row)
    assert not table.delete(Ended(row.id, 1, "as if it had ended"))
    expired = end_of_run(table, row)
    found = ended(table, row.id)
    again = row.model_copy(update={"run": 2, "started_at": NOW + timedelta(days=1)})
    claim_again(table, expired, again)
    assert not table.delete(found[0])
    table.unlist(found)  # it is not there any more
    assert table.get(row.id) == again
    assert listed(table, jobId=row.job_id) == [row.id]
    finish(table, finished(again.first_watch()))
    assert not table.delete(found[0])
    assert table.get(row.id) is not None


def test_the_list_loses_what_was_removed_and_nothing_else(
    table: MonitorTable, row: MonitorRow
) -> None:
    """More than a transaction holds, and one that somebody else took away."""
    ids = [f"many.{row.job_id}-{number:03}" for number in range(210)]
    for number, id_ in enumerate(ids):
        started_at = NOW + timedelta(seconds=number)
        each = row.model_copy(update={"id": id_, "source": row.job_id, "started_at": started_at})
        table.claim(each)
        finish(table, finished(each.first_watch()))
    found = [each for each in table.ended_before(LATER) if each.monitor_id in ids]
    assert [each.monitor_id for each in found] == ids[::-1]
    table.unlist(found[7:8])
    table.unlist(found[:209])
    left = [each for each in table.ended_before(LATER) if each.monitor_id in ids]
    assert left == found[209:]


def test_only_ended_monitors_past_the_cutoff_are_for_removal(
    table: MonitorTable, row: MonitorRow
) -> None:
    """I8."""
    ended_at = NOW + timedelta(hours=1)
    table.claim(row)
    long_after = ended_at + timedelta(days=999)
    assert not ended(table, row.id, long_after)
    finish(table, finished(row.first_watch()))
    assert not ended(table, row.id, ended_at)
    assert ended(table, row.id, ended_at + timedelta(seconds=1))


def listed(table: MonitorTable, **equal: str | None) -> list[str]:
    """Ids on all pages of the list, two at a time."""
    ids: list[str] = []
    after: str | None = ""
    while after is not None:
        rows, after = table.page(2, after, **equal)
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
    finish(table, finished(rows[1].first_watch()))
    assert listed(table, source=row.job_id, state="Succeeded") == [rows[1].id]
    live = [each for each in newest_first if each != rows[1].id]
    assert listed(table, source=row.job_id, state="Monitoring") == live
    assert listed(table, source="nope") == []


def test_a_monitor_is_listed_once_whatever_its_runs(table: MonitorTable, row: MonitorRow) -> None:
    table.claim(row)
    expired = end_of_run(table, row)
    again = row.model_copy(update={"run": 2, "started_at": NOW + timedelta(days=1)})
    claim_again(table, expired, again)
    assert listed(table, jobId=row.job_id) == [row.id]
    assert listed(table, jobId=row.job_id, state="Expired") == []
    assert not ended(table, row.id)
    finish(table, finished(again.first_watch()))
    assert remove(table, row.id)
    assert listed(table, jobId=row.job_id) == []


def test_only_what_may_be_live_is_for_the_watchdog(table: MonitorTable, row: MonitorRow) -> None:
    """I4: what it goes through does not grow with the stored results."""
    table.claim(row)
    assert row.id in {each for each, _ in table.live()}
    finish(table, finished(row.first_watch()))
    assert row.id not in {each for each, _ in table.live()}


def test_an_end_that_was_cut_off_is_completed_by_the_next_attempt(
    table: MonitorTable, row: MonitorRow
) -> None:
    """I2: the row was written, what helps to find it was not."""
    table.claim(row)
    end = finished(row.first_watch())
    finish(table, end)
    table.sync_indexes(row)  # as it was before
    assert row.id in {each for each, _ in table.live()}
    finish(table, end)
    assert row.id not in {each for each, _ in table.live()}
    assert ended(table, row.id)


def test_a_run_that_is_begun_again_outlives_the_one_before(
    table: MonitorTable, row: MonitorRow
) -> None:
    """I3: nothing that a stuck instance still writes counts."""
    table.claim(row)
    again = restart(table, row, NOW)
    assert again is not None
    assert again.run == 2
    assert restart(table, row, NOW) is None
    assert not poll(table, seen(row.first_watch(), "late", 9))
    finish(table, finished(row.first_watch()))
    assert table.get(row.id) == again


def test_a_decided_watch_is_stored_whole(table: MonitorTable, row: MonitorRow) -> None:
    table.claim(row)
    answer = Poll(outcome=Outcome.UNREACHABLE, detail="HTTP 500")
    watch = decide(row.first_watch(), answer, row.expire_time)
    finish(table, watch)
    stored = table.get(row.id)
    assert stored is not None
    assert (stored.state, stored.outcome, stored.detail, stored.failures) == (
        State.UNREACHABLE,
        Outcome.UNREACHABLE,
        "HTTP 500",
        1,
    )


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
        lambda: poll(table, row.first_watch()),
        lambda: finish(table, finished(row.first_watch())),
        lambda: list(table.ended_before(NOW)),
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
        assert list(table.ended_before(NOW)) == []
        assert not poll(table, row.first_watch())
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

    poll(table, seen(row.first_watch(), "busy"))
    assert stored() == later
    again = restart(table, row, NOW)
    assert again is not None
    assert stored() == later
    finish(table, finished(again.first_watch()))
    assert stored() == TOMORROW


def test_indexes_keep_what_a_later_release_stored(table: MonitorTable, row: MonitorRow) -> None:
    table.claim(row)
    (listed_at,) = table._table.query("PartitionKey eq '~list' and monitorId eq @i", {"i": row.id})
    (live_at,) = table._table.query("PartitionKey eq '~live' and monitorId eq @i", {"i": row.id})
    for entry in (listed_at, live_at):
        table._table._client.update_entity({**entry, **TOMORROW}, mode=UpdateMode.MERGE)
    table.sync_indexes(row)
    finish(table, finished(row.first_watch()))
    (entry,) = table._table.query("PartitionKey eq '~list' and monitorId eq @i", {"i": row.id})
    assert {name: entry[name] for name in TOMORROW} == TOMORROW
