"""State files that are not opened; whatever is the matter with one, it stays as it is."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from devhost.store import StateFileError, Store


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


def refused(state: Path) -> str:
    before = state.read_bytes()
    with pytest.raises(StateFileError) as caught:
        Store(state)
    assert state.read_bytes() == before
    assert str(state) in str(caught.value)
    return str(caught.value)


def test_one_that_another_host_uses(state: Path) -> None:
    store = Store(state)
    with pytest.raises(StateFileError, match="is in use by another host"):
        Store(state)
    store.close()
    Store(state).close()


@pytest.mark.parametrize(
    "content",
    [b"x", b"just text\n" * 1000, bytes(range(256)) * 64, b"SQLite format 3\0" + b"x" * 5000],
)
def test_one_that_is_no_database(state: Path, content: bytes) -> None:
    """SQLite alone would take a file of one byte for an empty one."""
    state.write_bytes(content)
    assert "is not a state file of devhost" in refused(state)


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_foreign_database(state: Path, journal: str) -> None:
    with closing(sqlite3.connect(state)) as db:
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.execute("CREATE TABLE instances (id)")
        db.execute("INSERT INTO instances VALUES ('mine')")
        db.commit()
    assert "is not a state file of devhost; it was left as it is" in refused(state)
    with closing(sqlite3.connect(state)) as db:
        assert db.execute("SELECT id FROM instances").fetchall() == [("mine",)]


def test_one_of_another_version(state: Path) -> None:
    Store(state).close()
    with closing(sqlite3.connect(state)) as db:
        db.execute("PRAGMA user_version = 99")
    assert "was written by another version of devhost (schema 99" in refused(state)


@pytest.mark.parametrize("size", [16, 600, 5000])
def test_one_that_was_cut_off(state: Path, size: int) -> None:
    Store(state).close()
    state.write_bytes(state.read_bytes()[:size])
    refused(state)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StateFileError, match="can't be opened"):
        Store(tmp_path)


def test_an_empty_file_becomes_one(state: Path) -> None:
    state.touch()
    Store(state).close()
    assert state.stat().st_size > 0
