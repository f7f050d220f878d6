"""Which of the waiting notices of a channel are sent now, in which order, and which wait on.

1. Of a monitor, notices go out in their order. A newer `blind` or `seen`, `stale` or `progress`
   takes the place of an older one that was not delivered. Nothing takes the place of `ended`.
2. Notices of one kind from one source, that wait at the same time, are one message: a digest. The
   ends of jobs are not: somebody waits for each.
3. `blind`, `seen` and `stale` are rarely about one job alone. So the first waits 90 s for others,
   and the next digest of them comes a quarter of an hour later. A later notice of the
   same monitor does not wait for that: it brings the earlier one along.
4. After an attempt that failed, the notices of that monitor wait, longer each time. After three in
   a row the whole channel waits, and then tries single notices until one is delivered.
5. After a day of failures a notice is given up.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from domain.notices.delivery import Told
from domain.notices.notice import Event, Notice

GIVEN_UP_AFTER = timedelta(hours=24)
DOWN_AFTER = 3
"""Failures in a row that mean the receiver rather than one message."""

_HOLD, _QUIET, _PAUSE = timedelta(seconds=90), timedelta(minutes=15), timedelta(minutes=1)
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=10), timedelta(minutes=15)
_LONGEST_WISH = timedelta(hours=1)

_OF_THE_SOURCE = (Event.BLIND, Event.SEEN, Event.STALE)
_REPLACED_BY = {
    Event.BLIND: "sight",
    Event.SEEN: "sight",
    Event.STALE: "stale",
    Event.PROGRESS: "progress",
}
_JOB_ENDS = ("Succeeded", "Failed", "Cancelled", "Stopped")
"""Ends that somebody brought about, so that somebody waits for each."""


class Entry(NamedTuple):
    """A notice that waits for a channel, as the index has it.

    Attributes:
        owner: The monitor, or what else has notices.
        run: The run.
        number: The number of the notice.
        group: The notices that it may be told of with; empty for one that is told of alone.
        written_at: When it was written.
        sent_at: When it was delivered, in a digest; its fate is to be noted.
    """

    owner: str
    run: int
    number: int
    group: str
    written_at: datetime
    sent_at: datetime | None = None

    @property
    def name(self) -> str:
        """The id of the notice, but for the start of the watch."""
        return f"{self.owner}/{self.run}/{self.number}"


class Item(NamedTuple):
    """A notice that waits for a channel, and what was tried so far."""

    entry: Entry
    notice: Notice
    told: Told


def group_of(notice: Notice) -> str:
    """The notices that one is told of with; empty for one that is told of alone."""
    if notice.event is Event.TROUBLE or (notice.event is Event.ENDED and notice.state in _JOB_ENDS):
        return ""
    state = f" {notice.state}" if notice.event is Event.ENDED else ""
    return f"{notice.source} {notice.event}{state}"


def quiet_after(group: str) -> timedelta:
    """How long the next digest of a group waits after one."""
    return _QUIET if _is_held(group) else _PAUSE


def sift(
    entries: Iterable[Entry], quiet: Mapping[str, datetime], now: datetime
) -> tuple[list[Entry], datetime | None]:
    """The entries that are to be looked at now, and when the next of the others is to be.

    Args:
        entries: In any order.
        quiet: Until when each group waits.
        now: The time.
    """
    by_owner: dict[str, list[Entry]] = defaultdict(list)
    oldest: dict[str, datetime] = {}
    for entry in entries:
        by_owner[entry.owner].append(entry)
        oldest[entry.group] = min(entry.written_at, oldest.get(entry.group, entry.written_at))
    due = {
        group: max(at + (_HOLD if _is_held(group) else timedelta(0)), quiet.get(group, at))
        for group, at in oldest.items()
    }
    brought = {
        each.group
        for those in by_owner.values()
        if not all(_is_held(each.group) for each in those)
        for each in those
        if quiet.get(each.group, now) <= now
    }
    due |= dict.fromkeys(brought, now)
    chosen: list[Entry] = []
    later: list[datetime] = []
    for those in by_owner.values():
        soonest = min(due[each.group] if each.group else now for each in those)
        if soonest <= now:
            chosen += those
        else:
            later.append(soonest)
    return sorted(chosen), min(later, default=None)


def first_owners(entries: Sequence[Entry], single: int, together: int) -> list[Entry]:
    """The entries of the monitors to tell of now; those that waited longest come first.

    Args:
        entries: Those that are due.
        single: How many monitors to take that wait for a single message.
        together: How many of the others.
    """
    alone = {entry.owner for entry in entries if not entry.group}
    oldest: dict[str, datetime] = {}
    for entry in entries:
        oldest[entry.owner] = min(entry.written_at, oldest.get(entry.owner, entry.written_at))
    in_turn = sorted(oldest, key=oldest.__getitem__)
    taken = {
        *[owner for owner in in_turn if owner in alone][:single],
        *[owner for owner in in_turn if owner not in alone][:together],
    }
    return [entry for entry in entries if entry.owner in taken]


class Queue:
    """The messages of one look at a channel, one after the other."""

    def __init__(self, items: Iterable[Item], now: datetime, *, single: bool = False) -> None:
        """Take in the notices that wait.

        Args:
            items: In any order.
            now: The time.
            single: Whether each notice is a message of its own, tried already or not.
        """
        self.replaced: list[Item] = []
        """Notices that a newer one takes the place of."""
        self.next_at: datetime | None = None
        """When a notice that waits after a failure is due again."""
        self._single = single
        self._waiting: dict[str, list[Item]] = defaultdict(list)
        for item in sorted(items, key=lambda item: item.entry[:3]):
            self._waiting[item.entry.owner].append(item)
        self._heads: list[tuple[int, datetime, str]] = []
        for owner, those in self._waiting.items():
            kept = [item for item in those if not _is_replaced(item, those)]
            self.replaced += [item for item in those if item not in kept]
            self._waiting[owner] = kept[::-1]
            self._take_head(owner, now)
        heapify(self._heads)

    def _take_head(self, owner: str, now: datetime) -> None:
        if not self._waiting[owner]:
            return
        entry, _, told = self._waiting[owner][-1]
        at = told.next_at
        if at and at > now and not self._single:
            self.next_at = min(at, self.next_at or at)
            return
        # Of a receiver that is down, those are tried first that were not yet: one message may be
        # at fault.
        attempts = told.attempts if self._single else 0
        heappush(self._heads, (attempts, at or entry.written_at, owner))

    def message(self) -> list[Item]:
        """The next message: a notice, or several for a digest; empty at the end.

        Its monitors have no other turn before `delivered` says so.
        """
        if not self._heads:
            return []
        *_, owner = heappop(self._heads)
        first = self._waiting[owner][-1]
        if not first.entry.group or self._single:
            return [first]
        group = first.entry.group
        same = {o for *_, o in self._heads if self._waiting[o][-1].entry.group == group}
        self._heads = [head for head in self._heads if head[-1] not in same]
        heapify(self._heads)
        return [first, *(self._waiting[other][-1] for other in sorted(same))]

    def delivered(self, message: Sequence[Item], now: datetime) -> None:
        """Give the monitors of a message their next turn."""
        for item in message:
            self._waiting[item.entry.owner].pop()
            self._take_head(item.entry.owner, now)


def tried(
    told: Told,
    name: str,
    now: datetime,
    *,
    wish: float | None = None,
    since: datetime | None = None,
) -> Told:
    """What is known of a notice after one more attempt that failed, but for its outcome.

    Args:
        told: What was known.
        name: Of channel and notice, which vary the wait.
        now: The time.
        wish: The pause that the receiver asked for, in seconds.
        since: Since when it could not be delivered, if it waited behind others.
    """
    since = told.since or since or now
    attempts = told.attempts + 1
    update = {"attempts": attempts, "since": since, "at": now}
    if now - since >= GIVEN_UP_AFTER:
        return told.model_copy(update={**update, "state": "givenUp", "next_at": None})
    wait = pause(attempts, name, wish)
    return told.model_copy(update={**update, "next_at": now + wait})


def pause(failures: int, name: str, wish: float | None = None) -> timedelta:
    """How long to wait after so many failures in a row: 10 s, 20 s, 40 s, ... up to 15 minutes.

    The wait varies by a tenth, which the name and the number give. A receiver may ask for a longer
    one, up to an hour.
    """
    digest = hashlib.sha256(f"{name} {failures}".encode()).digest()
    part = 0.9 + 0.2 * int.from_bytes(digest[:4]) / 2**32
    doubled: int = 2 ** min(failures - 1, 20)
    wait = min(_FIRST_WAIT * doubled, _LONGEST_WAIT) * part
    return max(wait, min(timedelta(seconds=wish or 0), _LONGEST_WISH))


def _is_held(group: str) -> bool:
    return group.partition(" ")[2] in _OF_THE_SOURCE


def _is_replaced(item: Item, those: Sequence[Item]) -> bool:
    """Whether a newer notice of the same monitor makes one pointless."""
    kind = _REPLACED_BY.get(item.notice.event)
    return kind is not None and any(
        other.entry > item.entry and _REPLACED_BY.get(other.notice.event) == kind for other in those
    )
