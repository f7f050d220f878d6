"""The state of the app as a whole, in partitions beside the monitors.

- `~watchdog`: the watchdog's place among the live monitors and in the list, its last run, and the
  task hub that it saw. The cleanup carries an id of the hub and a count of runs that only grows, so
  the app recognises a task hub that was lost or put back from an old copy.
- `~watched`: what the watchdog's last run saw of the live monitors, by source.
- `~sources`: the sources whose polls somebody holds.
- `~sweeps`: the state of each source's sweep.
- `~ends`: the ends that the watchdog has not counted yet.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from adapters.table import BATCH, Entity, Table, reading
from domain.monitors.census import End, WatchdogRun, Watched
from domain.monitors.cleanup import SeenHub
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.sweep import Sweep, SweepState

T = TypeVar("T")

_WATCHDOG, _WATCHED, _ENDS = "~watchdog", "~watched", "~ends"
_SOURCES, _SWEEPS = "~sources", "~sweeps"
_RUN = "run"
_ENDS_TAKEN = 5_000
_KEPT = timedelta(seconds=5)  # each poll asks; a pause may take this long to reach all hosts
_WAITS = 2.0  # seconds


class Place(NamedTuple):
    """The watchdog's place: keys of the last live monitor and list entry; empty at the end."""

    live: str
    listed: str


class _Kept(Generic[T]):
    """An answer of the store that each poll asks for, five seconds old at the most."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._known: tuple[datetime, T] | None = None
        self._asking = threading.Lock()

    def get(self, now: datetime) -> T:
        """The answer. Polls that come together ask once; each asks if the store hangs."""
        first = self._asking.acquire(timeout=_WAITS)
        try:
            known = self._known
            if known is None or not timedelta(0) <= now - known[0] < _KEPT:
                known = self._known = (now, self._ask())
            return known[1]
        finally:
            if first:
                self._asking.release()

    def forget(self) -> None:
        """Ask anew the next time."""
        self._known = None


class AppState:
    """The state of the app. Every method raises `StoreUnavailable` if the store fails."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._pauses = _Kept(self._read_pauses)
        self._sweeps = _Kept(self._read_sweeps)

    def place(self) -> Place:
        """The place after which the watchdog goes on."""
        found = self._table.find(_WATCHDOG, _WATCHDOG) or {}
        return Place(str(found.get("after", "")), str(found.get("listed", "")))

    def remember_place(self, place: Place) -> None:
        """Store the watchdog's place."""
        keys = {"PartitionKey": _WATCHDOG, "RowKey": _WATCHDOG}
        self._table.upsert({**keys, "after": place.live, "listed": place.listed})

    def watchdog_run(self) -> WatchdogRun:
        """The watchdog's newest run."""
        found = self._table.find(_WATCHDOG, _RUN) or {}
        with reading():
            return WatchdogRun.model_validate(dict(found))

    def note_run(self, **fields: object) -> None:
        """Store the fields of a `WatchdogRun`; the others stay."""
        run = WatchdogRun.model_validate(fields)
        known = run.model_dump(by_alias=True, include={*fields})
        self._table.upsert({"PartitionKey": _WATCHDOG, "RowKey": _RUN, **known})

    def note_watched(self, seen: Mapping[str, Watched]) -> None:
        """Store what the watchdog saw of the live monitors of each source."""
        rows = [
            {"PartitionKey": _WATCHED, "RowKey": source, **each.model_dump(by_alias=True)}
            for source, each in seen.items()
        ]
        for begin in range(0, len(rows), BATCH):
            self._table.commit([("upsert", each) for each in rows[begin : begin + BATCH]])

    def watched(self) -> dict[str, Watched]:
        """What the newest run of the watchdog saw, by source. Of one with nothing live: nothing."""
        run = self.watchdog_run()
        if run.ended_at is None:
            return {}
        values = {"p": _WATCHED, "at": run.ended_at}
        found = self._table.query("PartitionKey eq @p and at eq @at", values)
        with reading():
            return {each["RowKey"]: Watched.model_validate(dict(each)) for each in found}

    def hub(self) -> SeenHub | None:
        """The task hub that was seen last."""
        found = self._table.find(_WATCHDOG, "hub")
        with reading():
            return SeenHub(found["hub"], int(found["runs"]), found["since"]) if found else None

    def note_hub(self, seen: SeenHub) -> None:
        """Note the task hub that was seen."""
        self._table.upsert({"PartitionKey": _WATCHDOG, "RowKey": "hub", **seen._asdict()})

    def note_end(self, row: MonitorRow, lag_seconds: float) -> None:
        """Note an end, for the watchdog to count; doing it twice counts it once."""
        keys = {"PartitionKey": _ENDS, "RowKey": f"{row.id} {row.run:06}"}
        end = {"source": row.source, "state": str(row.state), "lag": lag_seconds}
        self._table.upsert({**keys, **end})

    def take_ends(self) -> list[End]:
        """The ends since the last call, 5,000 at the most.

        A crash, or two calls at once, may have some counted twice or not at all.
        """
        found = list(islice(self._table.query("PartitionKey eq @p", {"p": _ENDS}), _ENDS_TAKEN))
        for begin in range(0, len(found), BATCH):
            keys = ("PartitionKey", "RowKey")
            some = [{key: each[key] for key in keys} for each in found[begin : begin + BATCH]]
            self._table.commit([("delete", each) for each in some])
        return [End(each["source"], State(each["state"]), each["lag"]) for each in found]

    def pause(self, source: str, now: datetime) -> None:
        """Hold the polls of a source."""
        self._table.insert({"PartitionKey": _SOURCES, "RowKey": source, "since": now})
        self._pauses.forget()

    def resume(self, source: str) -> None:
        """Let the polls of a source go on."""
        self._table.delete(_SOURCES, source)
        self._pauses.forget()

    def paused_sources(self, now: datetime) -> dict[str, datetime]:
        """The sources whose polls are held, and since when; at most five seconds old."""
        return self._pauses.get(now)

    def _read_pauses(self) -> dict[str, datetime]:
        found = self._table.query("PartitionKey eq @p", {"p": _SOURCES})
        with reading():
            return {each["RowKey"]: each["since"] for each in found}

    def sweep(self, source: str) -> Sweep:
        """The state of a source's sweep; a new one if there is none."""
        return self.sweep_state(source).sweep

    def sweep_state(self, source: str) -> SweepState:
        """The same, with when it was last heard of."""
        found = self._table.find(_SWEEPS, source)
        with reading():
            return _sweep(found) if found else SweepState(Sweep(), None)

    def save_sweep(self, source: str, sweep: Sweep, now: datetime) -> None:
        """Store the state of a source's sweep, of which this is a sign of life."""
        keys = {"PartitionKey": _SWEEPS, "RowKey": source}
        self._table.upsert({**keys, "state": sweep.model_dump_json(), "aliveAt": now})
        self._sweeps.forget()

    def note_sweep(self, source: str, now: datetime) -> None:
        """Note a sign of life of a source's sweep."""
        self._table.upsert({"PartitionKey": _SWEEPS, "RowKey": source, "aliveAt": now})

    def sweeps(self, now: datetime) -> dict[str, SweepState]:
        """The state of each source's sweep; at most five seconds old."""
        return self._sweeps.get(now)

    def _read_sweeps(self) -> dict[str, SweepState]:
        found = self._table.query("PartitionKey eq @p", {"p": _SWEEPS})
        with reading():
            return {each["RowKey"]: _sweep(each) for each in found}


def _sweep(entity: Entity) -> SweepState:
    state = entity.get("state")
    sweep = Sweep.model_validate_json(state) if state else Sweep()
    return SweepState(sweep, entity.get("aliveAt"))
