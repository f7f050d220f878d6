"""The notices in Table storage, from the change that makes them to the last channel that took them.

A notice lies in the partition of its monitor and is written in the transaction that changes the
row, so it is as safe as the row. Its entity has the facts, and the fate at each channel. It is
written only if a channel takes it.

Two partitions beside the monitors lead to notices, by channel, monitor, run and number:

- `~outbox`: those that wait. An entry is written before its notice, so that none is overlooked. An
  entry without a notice is left over from a writer that died or was overtaken; it is dropped after
  a quarter of an hour.
- `~givenup`: those that were given up.

`~channels` has the state of each channel, and the signs of life of its delivery. `~trouble` is the
partition of the notices that are about no monitor.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import inf
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from azure.data.tables import UpdateMode
from pydantic import ValidationError

from adapters.monitor_list import readers
from adapters.table import (
    BATCH,
    Entity,
    Operation,
    Table,
    delete_unchanged,
    reading,
    update_unchanged,
)
from domain.errors import StoreUnavailable
from domain.monitors.recovery import CLAIM_GRACE
from domain.notices.delivery import ChannelReport, ChannelState, Signs, Told
from domain.notices.notice import Notice
from domain.notices.outbox import Entry, Item, group_of

Known = TypeVar("Known", Notice, Told)

OUTBOX, GIVEN_UP, CHANNELS, TROUBLE = "~outbox", "~givenup", "~channels", "~trouble"
_ATTEMPTS = 10
COUNTED = 10_000
"""Notices of a channel that are counted at the most."""

SHOWN = 50
"""Notices of a monitor that are shown, the newest ones."""

KEPT = 100
"""Notices of a monitor that are kept, the newest ones; more, if they wait."""

_FIRST, _LAST = "notice-", "notice."  # all row keys of notices are between these two


class Addressed(NamedTuple):
    """A notice with its id, and the channels that take it."""

    notice: Notice
    run: int
    number: int
    channels: Sequence[str]


class Filed(NamedTuple):
    """A notice as it is stored.

    Attributes:
        entity: Its entity, with its ETag.
        notice: The notice; None for one that only a later release knows.
        told: Its fate at each channel, as far as this release knows such fates.
        waits: Whether some channel has neither taken it nor given it up.
    """

    entity: Any
    notice: Notice | None
    told: dict[str, Told]
    waits: bool


@dataclass
class Found:
    """The notices that entries of the index lead to.

    Attributes:
        items: The notices.
        stale: Entries that lead to none.
        unknown: Entries of notices that only a later release knows.
        unread: Entries for which there was no time.
        look_at: When to look again for notices that are about to be written, if there are such.
    """

    items: list[Item] = field(default_factory=list)
    stale: list[Entry] = field(default_factory=list)
    unknown: list[Entry] = field(default_factory=list)
    unread: list[Entry] = field(default_factory=list)
    look_at: datetime | None = None


class Outbox:
    """The notices. Every method raises `StoreUnavailable` if the store fails."""

    TRIM_EVERY = 50
    """Notices of a monitor after which the oldest are removed."""

    def __init__(self, table: Table, now: Callable[[], datetime]) -> None:
        """Use the notices in a table."""
        self._table, self._now = table, now
        self._woken: dict[str, datetime] = {}

    # -- writing --------------------------------------------------------------------------

    def announce(self, owner: str, notices: Iterable[Addressed]) -> None:
        """Write the index entries of notices, before the notices themselves."""
        now = self._now()
        for notice, run, number, channels in notices:
            for channel in channels:
                entry = Entry(owner, run, number, group_of(notice), now)
                self._table.upsert(_index_entity(OUTBOX, channel, entry))

    def operations(self, owner: str, notices: Iterable[Addressed]) -> Iterator[Operation]:
        """What writes notices, in a transaction in the partition of their owner."""
        for notice, run, number, channels in notices:
            told = {channel: Told() for channel in channels}
            entity = {
                "PartitionKey": owner,
                "RowKey": notice_key(run, number),
                "notice": notice.model_dump_json(by_alias=True),
                "told": json.dumps({name: each.to_wire() for name, each in told.items()}),
            }
            # A release before may have removed the monitor without its notices.
            yield "upsert", entity, {"mode": UpdateMode.REPLACE}

    def update(self, filed: Filed, channel: str, told: Told) -> Operation:
        """What notes the fate of a notice at a channel, unless somebody wrote to it since."""
        fates = {**json.loads(filed.entity["told"]), channel: told.to_wire()}
        return update_unchanged(filed.entity, {**filed.entity, "told": json.dumps(fates)})

    def settle(self, channel: str, entry: Entry, told: Told) -> None:
        """Bring the indexes in line with the end of a notice at a channel."""
        if told.state == "givenUp":
            self._table.upsert(_index_entity(GIVEN_UP, channel, entry))
            self.drop(channel, [entry])  # somebody may have it sent again already
        else:
            self._table.delete(OUTBOX, _index_key(channel, entry))

    def drop(self, channel: str, entries: Sequence[Entry]) -> None:
        """Take entries out of the index that led to no waiting notice.

        One that was written again since it was read stays: its notice is about to wait.
        """

        def drop(entry: Entry) -> None:
            known = self._table.find(OUTBOX, _index_key(channel, entry))
            with reading():
                same = known is not None and known["writtenAt"] == entry.written_at
            if same:
                self._table.commit([delete_unchanged(known)])

        list(readers.map(drop, entries))

    def mark_sent(self, channel: str, entries: Sequence[Entry], until: float) -> list[Entry]:
        """Note in the index that notices were delivered: a hundred of them at once.

        Args:
            channel: The channel.
            entries: Their entries.
            until: When to note no more, on the clock of `time.monotonic`. There is time for the
                first hundred.

        Returns:
            Those that were noted.
        """
        now, done = self._now(), list[Entry]()
        for begin in range(0, len(entries), BATCH):
            if done and monotonic() >= until:
                break
            some = entries[begin : begin + BATCH]
            marked = [_index_entity(OUTBOX, channel, e._replace(sent_at=now)) for e in some]
            self._table.commit([("upsert", each) for each in marked])
            done += some
        return done

    def settle_many(self, channel: str, entries: Sequence[Entry]) -> None:
        """Take notices that are sent no more out of the index of those that wait."""
        for begin in range(0, len(entries), BATCH):
            keys = [_index_key(channel, each) for each in entries[begin : begin + BATCH]]
            deletes: list[Operation] = [
                ("delete", {"PartitionKey": OUTBOX, "RowKey": key}) for key in keys
            ]
            if not self._table.commit(deletes):
                # One entry was gone already, so the transaction removed none.
                for key in keys:
                    self._table.delete(OUTBOX, key)

    def wakes(self, channel: str) -> bool:
        """Whether to wake a channel's delivery now: once a second, which looks twice then."""
        now, last = self._now(), self._woken.get(channel)
        if last and timedelta(0) <= now - last < _WAKE_EVERY:
            return False
        self._woken[channel] = now
        return True

    def resend(self, channel: str, entries: Iterable[Entry]) -> int:
        """Have notices that were given up wait again.

        Returns:
            How many.
        """
        return sum(self._resend(channel, entry) for entry in entries)

    def _resend(self, channel: str, entry: Entry) -> bool:
        again = entry._replace(written_at=self._now())
        self._table.upsert(_index_entity(OUTBOX, channel, again))  # before the notice, as ever
        for _ in range(_ATTEMPTS):
            filed = self.find(entry.owner, entry.run, entry.number)
            known = filed and filed.told.get(channel)
            given_up = known is not None and known.state == "givenUp"
            if filed and given_up and not self._table.commit([self.update(filed, channel, Told())]):
                continue
            self._table.delete(GIVEN_UP, _index_key(channel, entry))
            return given_up
        raise StoreUnavailable(f"{_ATTEMPTS} others wrote to {entry.owner} at the same time")

    def try_at_once(self, channel: str) -> None:
        """End the pause of a channel whose receiver was down."""
        state = self.state(channel)
        if state.next_at:
            self.remember(channel, state.model_copy(update={"next_at": None}))

    # -- looking up -----------------------------------------------------------------------

    def channels_with_notices(self) -> Iterator[str]:
        """The channels that notices wait for, configured or not: one question for each."""
        after = ""
        while True:
            where = "PartitionKey eq @p and RowKey gt @after"
            found = self._table.query(where, {"p": OUTBOX, "after": after}, ["RowKey"], top=1)
            entry = next(iter(found), None)
            if entry is None:
                return
            with reading():
                channel = str(entry["RowKey"]).partition(" ")[0]
            yield channel
            after = f"{channel}!"  # the character after the space

    def waiting(self, channel: str, limit: int = COUNTED) -> list[Entry]:
        """The entries of the notices that wait for a channel, in the order of their keys."""
        return list(self._entries(OUTBOX, channel, limit=limit))

    def given_up(self, channel: str, owner: str = "", limit: int = COUNTED) -> list[Entry]:
        """The entries of the notices that a channel was given up for."""
        after = f"{channel} {owner} " if owner else ""
        found = self._entries(GIVEN_UP, channel, after, limit)
        return [each for each in found if not owner or each.owner == owner]

    def _entries(
        self, partition: str, channel: str, after: str = "", limit: int = COUNTED
    ) -> Iterator[Entry]:
        where = "PartitionKey eq @p and RowKey gt @after and RowKey lt @end"
        begin = after or f"{channel} "
        values = {"p": partition, "after": begin, "end": f"{channel}!"}
        for entity in islice(self._table.query(where, values), limit):
            with reading():
                keys = ("owner", "run", "number", "group", "writtenAt")
                entry = Entry(*(entity[key] for key in keys))
                sent_at = entity.get("sentAt")
                if sent_at and sent_at >= entry.written_at:  # and not of a notice before
                    entry = entry._replace(sent_at=sent_at)
            yield entry

    def items(self, channel: str, entries: Sequence[Entry], until: float = inf) -> Found:
        """The notices of entries, those that wait.

        Of a monitor all are read, or none: they go out in their order.

        Args:
            channel: The channel.
            entries: The entries, in their order.
            until: When to read no more, on the clock of `time.monotonic`.
        """
        found, cut = Found(), set[str]()
        now = self._now()

        def read(entry: Entry) -> Filed | _Unread | None:
            late = monotonic() >= until
            return _Unread() if late else self.find(entry.owner, entry.run, entry.number)

        for entry, filed in zip(entries, readers.map(read, entries), strict=True):
            if isinstance(filed, _Unread):
                cut.add(entry.owner)
                found.unread.append(entry)
                continue
            told = filed.told.get(channel) if filed else None
            if filed and not filed.notice and (told is None or told.state == "waiting"):
                found.unknown.append(entry)
                continue
            if filed and filed.notice and told and told.state == "waiting":
                right = entry._replace(group=group_of(filed.notice))
                if right != entry:  # by a writer that was overtaken
                    self._table.upsert(_index_entity(OUTBOX, channel, right))
                found.items.append(Item(right, filed.notice, told))
                continue
            given_up = told is not None and told.state == "givenUp"
            if (filed is None or given_up) and now < entry.written_at + CLAIM_GRACE:
                found.look_at = now + _SOON  # it is about to be written, or to be sent again
                continue
            if given_up:  # by a look that was cut off
                self._table.upsert(_index_entity(GIVEN_UP, channel, entry))
            found.stale.append(entry)
        if cut:
            found.unread += [each.entry for each in found.items if each.entry.owner in cut]
            found.items = [each for each in found.items if each.entry.owner not in cut]
        return found

    def find_many(self, entries: Sequence[Entry]) -> list[Filed | None]:
        """The notices of entries, each None if there is none."""
        return list(readers.map(lambda each: self.find(each.owner, each.run, each.number), entries))

    def find(self, owner: str, run: int, number: int) -> Filed | None:
        """A notice, or None."""
        found = self._table.find(owner, notice_key(run, number))
        return _filed(found) if found else None

    def of(self, owner: str) -> list[Filed]:
        """The notices of a monitor, oldest first."""
        where = "PartitionKey eq @p and RowKey gt @first and RowKey lt @last"
        values = {"p": owner, "first": _FIRST, "last": _LAST}
        return [_filed(entity) for entity in self._table.query(where, values)]

    def removal(self, owner: str) -> list[Operation] | None:
        """What removes the notices of a monitor, except their index entries; None if one waits."""
        found = self.of(owner)
        if any(each.waits for each in found):
            return None
        return [("delete", _keys_of(each.entity)) for each in found]

    def forget_given_up(self, owner: str) -> None:
        """Remove the entries in `~givenup` of a monitor that is about to be removed."""
        for each in self.of(owner):
            for channel, told in each.told.items():
                if told.state == "givenUp":
                    self._table.delete(GIVEN_UP, _index_key(channel, _entry_of(each.entity, owner)))

    def trim(self, owner: str) -> None:
        """Remove the oldest notices of a monitor that has many, as far as they wait no more."""
        for each in self.of(owner)[:-KEPT]:
            if not each.waits and all(told.state != "givenUp" for told in each.told.values()):
                self._table.commit([delete_unchanged(each.entity)])

    # -- channels -------------------------------------------------------------------------

    def state(self, channel: str) -> ChannelState:
        """How the deliveries of a channel go."""
        return _state(self._channel(channel))

    def remember(self, channel: str, state: ChannelState) -> None:
        """Store how the deliveries of a channel go."""
        keys = {"PartitionKey": CHANNELS, "RowKey": channel}
        self._table.upsert({**keys, "state": state.model_dump_json(by_alias=True)})

    def note_look(self, channel: str) -> None:
        """Note that a look at a channel begins: a sign of life of its delivery."""
        self._table.upsert({"PartitionKey": CHANNELS, "RowKey": channel, "lookedAt": self._now()})

    def is_silent(self, channel: str) -> bool:
        """Whether a channel's delivery was woken in vain; notes that it is about to be woken."""
        now, signs = self._now(), self.signs(channel)
        silent = signs.is_silent(now)
        if silent or signs.answered:
            self._table.upsert({"PartitionKey": CHANNELS, "RowKey": channel, "wokenAt": now})
        return silent

    def signs(self, channel: str) -> Signs:
        """The signs of life of a channel's delivery."""
        return _signs(self._channel(channel))

    def channel_report(self, channel: str) -> ChannelReport:
        """A channel as `GET /api/channels` shows it; `to_wire()` makes JSON of it."""
        found = self._channel(channel)
        state = _state(found)
        return ChannelReport(
            waiting=len(self.waiting(channel)),
            given_up=len(self.given_up(channel)),
            last_look_at=_signs(found).looked_at,
            failing_since=state.failing_since,
            next_attempt_at=state.next_at,
            last_delivered_at=state.last_delivered_at,
            last_error=state.last_error,
            last_error_at=state.last_error_at,
            recent=state.recent,
        )

    def _channel(self, channel: str) -> Entity:
        return self._table.find(CHANNELS, channel) or {}


class _Unread:
    """In the place of a notice that there was no time for."""


_WAKE_EVERY = timedelta(seconds=1)
_SOON = timedelta(seconds=10)
_NEVER = datetime.min.replace(tzinfo=UTC)


def notice_key(run: int, number: int) -> str:
    """The row key of a notice. With the run: a release before may forget the number of the last."""
    return f"{_FIRST}{run:06}-{number:08}"


def _index_key(channel: str, entry: Entry) -> str:
    return f"{channel} {entry.owner} {entry.run:06} {entry.number:08}"


def _index_entity(partition: str, channel: str, entry: Entry) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "PartitionKey": partition,
        "RowKey": _index_key(channel, entry),
        "owner": entry.owner,
        "run": entry.run,
        "number": entry.number,
        "group": entry.group,
        "writtenAt": entry.written_at,
    }
    return {**entity, "sentAt": entry.sent_at} if entry.sent_at else entity


def _filed(entity: Entity) -> Filed:
    """The notice of an entity. A later release, before a roll-back, may have written it."""
    with reading():
        text, fates = entity["notice"], json.loads(entity["told"])
        told = {name: known for name, fate in fates.items() if (known := _known(Told, fate))}
        waits = len(told) < len(fates) or any(each.state == "waiting" for each in told.values())
        return Filed(entity, _known(Notice, json.loads(text)), told, waits)


def _known(model: type[Known], data: object) -> Known | None:
    """The data as this release knows it, or None."""
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _entry_of(entity: Entity, owner: str) -> Entry:
    run, _, number = str(entity["RowKey"]).removeprefix(_FIRST).partition("-")
    return Entry(owner, int(run), int(number), "", _NEVER)


def _state(entity: Entity) -> ChannelState:
    with reading():
        state = entity.get("state")
        return ChannelState.model_validate_json(state) if state else ChannelState()


def _signs(entity: Entity) -> Signs:
    return Signs(entity.get("lookedAt"), entity.get("wokenAt"))


def _keys_of(entity: Entity) -> Entity:
    return {key: entity[key] for key in ("PartitionKey", "RowKey")}
