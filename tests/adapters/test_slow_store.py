"""A store that is slow, or behind odd settings: calls that need not wait for each other do not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.monitor_table import MonitorTable
from domain.monitors.monitor import MonitorRow, State
from tests.conftest import Store
from tests.slow_store import SlowStore

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def new_row(number: int) -> MonitorRow:
    return MonitorRow(
        id=f"demo.job-{number}",
        source="demo",
        job_id=f"job-{number}",
        run=1,
        state=State.MONITORING,
        started_at=NOW + timedelta(seconds=number),
        expire_time=NOW + timedelta(days=1),
        poll_interval_seconds=60,
    )


def test_a_page_reads_its_rows_in_parallel(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Each on a connection that is kept: a pool that is full would drop it with a warning."""
    with SlowStore(store.new_account()) as slow:
        table = MonitorTable.connect(connection=slow.connection)
        for number in range(40):
            table.claim(new_row(number))
        slow.seconds, slow.calls, slow.most_at_once = 0.2, 0, 0
        rows, more = table.list.page(30)
        assert [row.job_id for row in rows] == [f"job-{number}" for number in range(39, 9, -1)]
        assert more
        assert slow.calls == 31
        assert 8 <= slow.most_at_once <= 32
    assert "pool is full" not in caplog.text


def test_a_netrc_does_not_sign_for_the_store(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its password would take the place of the signature, and every call would be refused."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    MonitorTable.connect(connection=store.new_account()).ping()
