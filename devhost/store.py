"""The state of the task hub: one SQLite file.

`instances` holds a row for each orchestration, `history` its events of this generation,
`inbox` the messages that wait for it, `tasks` the activities to run; `timers` the last and next
times of timer triggers. A message becomes visible at a time: that is all that a timer is. Messages
and tasks carry the id of the execution (generation) they belong to, so that a result or a timer of
an earlier generation can be told from one of this generation.

One connection, one lock. Every method is one transaction, or part of the caller's
`with store.transaction()`. A process killed at any point leaves the last commit.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from devhost.events import Event, EventType

_APPLICATION_ID = 0x4A4D4448  # "JMDH": tells a state file of ours from any other SQLite file
_HEADER = b"SQLite format 3\0"
_PATIENCE = 0.5  # seconds, for a host that is about to close the file
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE instances (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, status TEXT NOT NULL,
    execution_id TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL,
    input TEXT, output TEXT, custom_status TEXT, parent TEXT
) WITHOUT ROWID;
CREATE TABLE history (
    instance_id TEXT NOT NULL, position INTEGER NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (instance_id, position)
) WITHOUT ROWID;
CREATE TABLE inbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT, instance_id TEXT NOT NULL, execution_id TEXT,
    visible_at TEXT NOT NULL, control INTEGER NOT NULL, timer_id INTEGER, event TEXT NOT NULL
);
CREATE INDEX inbox_visible ON inbox (visible_at);
CREATE INDEX inbox_instance ON inbox (instance_id, visible_at);
CREATE TABLE tasks (
    position INTEGER PRIMARY KEY AUTOINCREMENT, instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL, task_id INTEGER NOT NULL, name TEXT NOT NULL, input TEXT
);
CREATE INDEX tasks_instance ON tasks (instance_id);
"""
# Added to the files of the first version when they are opened.
_TIMERS = "CREATE TABLE IF NOT EXISTS timers (name TEXT PRIMARY KEY, status TEXT) WITHOUT ROWID"

TERMINAL = frozenset({"Completed", "Failed", "Terminated", "Canceled"})
"""The statuses in which an instance does nothing more."""

_CONTROL = frozenset(
    {EventType.EXECUTION_TERMINATED, EventType.EXECUTION_SUSPENDED, EventType.EXECUTION_RESUMED}
)


class StateFileError(Exception):
    """The state file is in use by another host, unreadable, or not one of ours."""


@dataclass
class Instance:
    """A row of `instances`. Times as `events.stamp`; input, output, custom status as JSON text.

    `parent` is the JSON text of the ParentInstance of a sub-orchestration.
    """

    id: str
    name: str
    version: str
    status: str
    execution_id: str
    created: str
    updated: str
    input: str | None = None
    output: str | None = None
    custom_status: str | None = None
    parent: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the instance is in a terminal status."""
        return self.status in TERMINAL


@dataclass(frozen=True)
class Message:
    """A row of `inbox`."""

    position: int
    execution_id: str | None
    visible_at: str
    control: bool
    event: Event


@dataclass(frozen=True)
class Task:
    """A row of `tasks`: an activity to run. `input` as the SDK encoded it."""

    position: int
    instance_id: str
    execution_id: str
    task_id: int
    name: str
    input: str | None


_COLUMNS = [column.name for column in fields(Instance)]
_UPSERT = (
    f"INSERT INTO instances ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS)}"
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM instances"  # noqa: S608


def _check_header(path: Path | str) -> None:
    """Refuse what is no database. SQLite itself takes a file of a few bytes for an empty one."""
    file = Path(path)
    try:
        with file.open("rb") as opened:
            head = opened.read(len(_HEADER))
    except OSError:
        return  # it is not there yet, or SQLite says what is the matter
    if head and head != _HEADER:
        raise StateFileError(f"{path} is not a state file of devhost; it was left as it is")


class Store:
    """The task hub's state in one file, locked against a second host."""

    def __init__(self, path: Path | str) -> None:
        """Open or create the file.

        Raises:
            StateFileError: The file is in use, unreadable, or not a state file of this host.
        """
        _check_header(path)
        self._lock = threading.RLock()
        try:
            with ExitStack() as on_fault:
                self._db = sqlite3.connect(
                    path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
                )
                on_fault.callback(self._db.close)
                self._lay_out(path)
                on_fault.pop_all()
        except sqlite3.OperationalError as error:
            locked = "locked" in str(error)
            why = "is in use by another host" if locked else f"can't be opened: {error}"
            raise StateFileError(f"{path} {why}") from error
        except sqlite3.DatabaseError as error:
            raise StateFileError(f"{path} is not a state file of devhost: {error}") from error

    def _lay_out(self, path: Path | str) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")  # takes the lock, which the mode then keeps
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        empty = not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if not empty and application != _APPLICATION_ID:
            raise StateFileError(f"{path} is not a state file of devhost; it was left as it is")
        if not empty and version != _SCHEMA_VERSION:
            raise StateFileError(
                f"{path} was written by another version of devhost (schema {version}, "
                f"this one reads {_SCHEMA_VERSION}); it was left as it is"
            )
        if empty:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        db.execute(_TIMERS)
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing; a power cut may lose the last commits, which is
        # fair for development and saves a disk flush a turn.
        db.execute("PRAGMA synchronous = NORMAL")

    def close(self) -> None:
        """Close the file and give up its lock."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested uses join the outermost."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield

    def _rows(self, sql: str, *arguments: object) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, arguments).fetchall()

    def _write(self, sql: str, *arguments: object) -> int:
        with self.transaction():
            return self._db.execute(sql, arguments).rowcount

    # -- instances ------------------------------------------------------------------------

    def instance(self, id_: str) -> Instance | None:
        """The instance, or None."""
        rows = self._rows(f"{_SELECT} WHERE id = ?", id_)
        return Instance(*rows[0]) if rows else None

    def instances(
        self,
        *,
        prefix: str = "",
        created: tuple[str, str] = ("", "9999"),
        statuses: Sequence[str] = (),
        after: str = "",
        limit: int = -1,
    ) -> list[Instance]:
        """Instances by id that match all filters.

        `created` bounds the time of creation, both ends included; `limit` -1 is all of them.
        """
        # The names of the statuses are bound; only their number is formatted in.
        among = f"AND status IN ({', '.join('?' * len(statuses))})" if statuses else ""
        rows = self._rows(
            f"{_SELECT} WHERE substr(id, 1, length(?)) = ? AND id > ?"
            f" AND created >= ? AND created <= ? {among} ORDER BY id LIMIT ?",
            *(prefix, prefix, after, *created, *statuses, limit),
        )
        return [Instance(*row) for row in rows]

    def save(self, instance: Instance) -> None:
        """Insert or replace the row of an instance."""
        self._write(_UPSERT, *(getattr(instance, name) for name in _COLUMNS))

    def delete(self, id_: str) -> None:
        """Remove an instance and all that belongs to it."""
        with self.transaction():
            self._write("DELETE FROM instances WHERE id = ?", id_)
            self.clear(id_)

    def clear(self, id_: str) -> None:
        """Remove the history, the messages and the activities of an instance."""
        with self.transaction():
            for table in ("history", "inbox", "tasks"):
                self._write(f"DELETE FROM {table} WHERE instance_id = ?", id_)  # noqa: S608

    # -- history --------------------------------------------------------------------------

    def history(self, id_: str) -> list[Event]:
        """The events of the current generation, in order."""
        rows = self._rows("SELECT event FROM history WHERE instance_id = ? ORDER BY position", id_)
        return [json.loads(row[0]) for row in rows]

    def append_history(self, id_: str, start: int, events: Iterable[Event]) -> None:
        """Write events at the positions from `start` on; 0 begins a new generation."""
        with self.transaction():
            if start == 0:
                self._write("DELETE FROM history WHERE instance_id = ?", id_)
            self._db.executemany(
                "INSERT INTO history VALUES (?, ?, ?)",
                [(id_, start + n, json.dumps(event)) for n, event in enumerate(events)],
            )

    # -- messages -------------------------------------------------------------------------

    def send(
        self,
        id_: str,
        event: Event,
        *,
        execution_id: str | None = None,
        visible_at: str = "",
    ) -> None:
        """Put a message into the inbox of an instance.

        `execution_id` binds it to one generation; `visible_at` delays it. Without that it is
        visible whatever the clock says, so that a clock set back delays nothing but timers.
        """
        self._write(
            "INSERT INTO inbox (instance_id, execution_id, visible_at, control, timer_id, event)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            *(id_, execution_id, visible_at),
            *(event["EventType"] in _CONTROL, event.get("TimerId"), json.dumps(event)),
        )

    def ready(self, now: str) -> list[str]:
        """Ids of up to 100 instances with something to do at `now`, longest waiting first."""
        rows = self._rows(
            "SELECT instance_id, min(position) FROM inbox INDEXED BY inbox_visible"
            " JOIN instances ON id = instance_id"
            " WHERE visible_at <= ?"
            " GROUP BY instance_id ORDER BY 2 LIMIT 100",
            now,
        )
        return [row[0] for row in rows]

    def next_due(self) -> str | None:
        """When the next message becomes visible."""
        rows = self._rows(
            "SELECT visible_at FROM inbox JOIN instances ON id = instance_id"
            " ORDER BY visible_at LIMIT 1"
        )
        return rows[0][0] if rows else None

    def messages(self, id_: str, now: str) -> list[Message]:
        """The visible messages of an instance, in the order in which they became so."""
        rows = self._rows(
            "SELECT position, execution_id, visible_at, control, event FROM inbox"
            " WHERE instance_id = ? AND visible_at <= ? ORDER BY position",
            *(id_, now),
        )
        return _in_order([_message(*row) for row in rows])

    def postpone(self, positions: Iterable[int], visible_at: str) -> None:
        """Make messages visible at a later time."""
        with self.transaction():
            self._db.executemany(
                "UPDATE inbox SET visible_at = ? WHERE position = ?",
                [(visible_at, position) for position in positions],
            )

    def consume(self, positions: Iterable[int]) -> None:
        """Remove messages that were dealt with."""
        with self.transaction():
            self._db.executemany("DELETE FROM inbox WHERE position = ?", [(p,) for p in positions])

    def cancel_timers(self, id_: str, execution_id: str, timer_ids: Iterable[int]) -> None:
        """Remove timers that need not fire any more."""
        with self.transaction():
            self._db.executemany(
                "DELETE FROM inbox WHERE instance_id = ? AND execution_id = ? AND timer_id = ?",
                [(id_, execution_id, timer_id) for timer_id in timer_ids],
            )

    # -- timer triggers -------------------------------------------------------------------

    def timer(self, name: str) -> dict[str, str] | None:
        """What was stored of a timer trigger, or None."""
        rows = self._rows("SELECT status FROM timers WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else None

    def save_timer(self, name: str, status: dict[str, str]) -> None:
        """Store the times of a timer trigger."""
        self._write("INSERT OR REPLACE INTO timers VALUES (?, ?)", name, json.dumps(status))

    # -- activities -----------------------------------------------------------------------

    def add_task(
        self, id_: str, execution_id: str, task_id: int, name: str, input_: str | None
    ) -> Task:
        """Record an activity that is to run."""
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO tasks (instance_id, execution_id, task_id, name, input)"
                " VALUES (?, ?, ?, ?, ?)",
                (id_, execution_id, task_id, name, input_),
            )
            return Task(int(cursor.lastrowid or 0), id_, execution_id, task_id, name, input_)

    def tasks(self) -> list[Task]:
        """All activities that are to run: after a restart, those that were cut off too."""
        rows = self._rows(
            "SELECT position, instance_id, execution_id, task_id, name, input"
            " FROM tasks ORDER BY position"
        )
        return [Task(*row) for row in rows]

    def finish_task(self, task: Task, result: Event) -> None:
        """Exchange an activity for the message with its result; a purged one is ignored."""
        with self.transaction():
            if self._write("DELETE FROM tasks WHERE position = ?", task.position):
                self.send(task.instance_id, result, execution_id=task.execution_id)


def _message(
    position: int, execution_id: str | None, visible_at: str, control: int, event: str
) -> Message:
    return Message(position, execution_id, visible_at, bool(control), json.loads(event))


def _in_order(messages: list[Message]) -> list[Message]:
    """In the order in which they came: a timer when it became visible, not when it was made.

    All others stay in the order in which they were sent, whatever the clock did meanwhile.
    """
    times, latest = {}, ""
    for message in messages:
        if message.event["EventType"] == EventType.TIMER_FIRED:
            times[message.position] = max(latest, message.visible_at)
        else:
            times[message.position] = latest = max(latest, message.event["Timestamp"])
    return sorted(messages, key=lambda message: times[message.position])
