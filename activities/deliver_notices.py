"""`DeliverNotices`: one look at the notices that wait for a channel.

1. Notices that an earlier look delivered are noted and not sent again: the members of a digest,
   which the index marks, and what the store did not take, which the progress names.
2. `domain.notices.outbox` decides which messages are sent, and which notices wait on.
3. The fate of each notice is noted before the next message is sent. If the store does not take it,
   the look ends, and its result names what was delivered: only a host that dies in between sends a
   message twice. A digest is marked in the index, a hundred notices at once, and noted as long as
   there is time.
4. A look reads for 15 seconds, and begins no attempt and no note 25 seconds after that began,
   however many notices wait. What is left over is for the next look, which follows at once. Each
   look does something: it sends a message at the least, unless notes take all its time.
5. A notice that only a later release knows is left alone, and given up after a day.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Any

import azure.durable_functions as df

from adapters.event_log import log_event
from adapters.monitor_list import readers
from adapters.outbox import TROUBLE, Found
from adapters.services import Services, get_services
from domain import names
from domain.errors import ChannelDisabled, NoSuchChannel, StoreUnavailable
from domain.notices.channel import Channel
from domain.notices.delivery import RECENT, Attempt, DeliveryProgress, Told
from domain.notices.message import message_of
from domain.notices.notice import Delivery
from domain.notices.outbox import (
    DOWN_AFTER,
    GIVEN_UP_AFTER,
    Entry,
    Item,
    Queue,
    first_owners,
    pause,
    quiet_after,
    sift,
    tried,
)

bp = df.Blueprint()

_SECONDS = 25.0
"""From the beginning of a look to its last attempt, and its last note."""

_READING, _NOTING = 15.0, 10.0
"""For reading what is due, and, before that, for notes of what an earlier look delivered."""

_ENTRIES = 100_000
"""Notices that a look knows of. Those that rest must not hide one that is due."""

_OWNERS = 200
"""Monitors whose notices are told of one by one in a look."""

_TOGETHER = 10_000
"""Monitors that digests tell of in a look."""

_NOTED = 200
"""Notices that an earlier look delivered, and that are read and noted together."""

_UNUSABLE_AGAIN = timedelta(minutes=15)
_UNKNOWN = "a later release wrote this notice"


@bp.function_name(names.DELIVER_NOTICES)
@bp.activity_trigger(input_name="progress")
def deliver_notices(progress: object) -> dict[str, Any]:
    """Send what is due to a channel, and note what became of it.

    Args:
        progress: A `DeliveryProgress` as JSON: the channel, and what was sent but not noted.

    Returns:
        The new `DeliveryProgress` as JSON.
    """
    services = get_services()
    return look(services, DeliveryProgress.model_validate(progress)).to_wire()


def look(services: Services, progress: DeliveryProgress) -> DeliveryProgress:
    """One look; trouble with the store ends it, and is in the progress."""
    this = _Look(services, progress)
    error, look_at = None, None
    try:
        look_at = this.deliver()
    except StoreUnavailable as trouble:
        error, look_at = str(trouble), services.now() + timedelta(seconds=30)
    return DeliveryProgress(
        channel=progress.channel,
        look_at=look_at,
        sent=tuple(sorted(this.sent)),
        gone=this.gone,
        last_error=error,
    )


class _Look:
    """A look at a channel.

    Attributes:
        sent: The ids of notices that were delivered, and are noted neither in them nor in the
            index.
        gone: Whether the channel is not configured, and nothing waits for it.
    """

    def __init__(self, services: Services, progress: DeliveryProgress) -> None:
        self.sent = set(progress.sent)
        self.gone = False
        self._services, self._name = services, progress.channel
        self._monitors, self._outbox = services.monitors, services.monitors.outbox
        self._until = inf  # on the clock of `monotonic`
        self._left = False  # whether there was no time for something

    def deliver(self) -> datetime | None:
        """Send what is due; when to look again, None if nothing waits."""
        self._outbox.note_look(self._name)
        now, channels = self._services.now(), self._services.sources.channels
        entries = self._note_sent(self._outbox.waiting(self._name, _ENTRIES))
        if not entries and not self._left:
            self.gone = self._name not in channels.names
            return None
        self._state = self._outbox.state(self._name)
        if self._state.next_at and now < self._state.next_at:
            return self._or_at_once(self._state.next_at)
        chosen, later = sift(entries, self._state.quiet, now)
        self._until = monotonic() + _SECONDS
        found = self._read(chosen)
        try:
            channel = channels.get(self._name)
        except (NoSuchChannel, ChannelDisabled) as fault:
            why = str(fault) or "the channel is not configured"
            return self._or_at_once(self._unusable(found.items, why))
        items = self._without_filtered(found.items, channel)
        again = self._send_all(channel, items)
        return self._or_at_once(later, found.look_at, again)

    def _or_at_once(self, *times: datetime | None) -> datetime | None:
        """The first of the times to look again; now, if something is left."""
        at_once = self._services.now() if self._left else None
        return min((at for at in (*times, at_once) if at), default=None)

    def _note_sent(self, entries: list[Entry]) -> list[Entry]:
        """Note what an earlier look delivered, before anything else; the entries of the rest."""
        names = {each.rpartition("/")[0] for each in self.sent}
        known = [
            each
            for each in entries
            if each.sent_at or each.name in names or (names and each.owner == TROUBLE)
        ]
        others = set[Entry]()
        for begin in range(0, len(known), _NOTED):
            if begin and monotonic() >= self._until:
                self._left = True
                break
            some = known[begin : begin + _NOTED]
            found = self._outbox.items(self._name, some)
            if not begin:
                self._until = monotonic() + _NOTING  # so that some are noted in each look
            self._outbox.drop(self._name, [each for each in found.stale if each.sent_at])
            sent = [i for i in found.items if i.entry.sent_at or i.notice.id in self.sent]
            self._mark([item for item in sent if not item.entry.sent_at])
            self._note_delivered(sent, "delivered")
            # And those of a later watch, which has the same number.
            others |= {each for each in some if not each.sent_at} - {each.entry for each in sent}
        if len(entries) < _ENTRIES and not self._left:
            self.sent.clear()  # all others were noted after all
        others |= {*entries} - {*known}
        return [each for each in entries if each in others]

    def _mark(self, items: Sequence[Item]) -> None:
        """Mark in the index that notices were delivered. The progress names those left over."""
        entries = [item.entry for item in items]
        marked = {*self._outbox.mark_sent(self._name, entries, self._until)}
        self.sent -= {item.notice.id for item in items if item.entry in marked}

    def _read(self, chosen: Sequence[Entry]) -> Found:
        """The notices of the monitors that waited longest.

        Those that can't be told, or that the receiver refuses, hide none: it goes on to others.
        """
        deadline, all_found = monotonic() + _READING, Found()
        while chosen and not any(map(self._is_due, all_found.items)):
            some = first_owners(chosen, _OWNERS, _TOGETHER)
            taken = {each.owner for each in some}
            chosen = [each for each in chosen if each.owner not in taken]
            found = self._outbox.items(self._name, some, deadline)
            self._outbox.drop(self._name, found.stale)
            all_found.items += found.items
            all_found.unknown += found.unknown
            all_found.look_at = all_found.look_at or found.look_at
            if found.unread:
                self._left = True
                break
        self._left = self._left or bool(chosen)
        self._leave(all_found.unknown)
        return all_found

    def _is_due(self, item: Item) -> bool:
        """Whether a notice can be sent now: of a receiver that is down, one that is new to it."""
        if self._state.failures >= DOWN_AFTER:
            return item.told.attempts == 0
        return item.told.next_at is None or item.told.next_at <= self._services.now()

    def _leave(self, unknown: Sequence[Entry]) -> None:
        """Tell of notices that a later release wrote; give them up after a day, as all others."""
        if not unknown:
            return
        log_event(
            "noticesUnknown",
            None,
            level=logging.WARNING,
            channel=self._name,
            notices=len(unknown),
            id=unknown[0].name,
        )
        now = self._services.now()
        told = Told(state="givenUp", at=now, detail=_UNKNOWN)
        for entry in unknown:
            late = now - entry.written_at >= GIVEN_UP_AFTER and monotonic() < self._until
            if late and self._monitors.note(entry, self._name, told):
                self._outbox.settle(self._name, entry, told)
                self._log_given_up(entry, entry.name, None, _UNKNOWN)

    def _without_filtered(self, items: list[Item], channel: Channel) -> list[Item]:
        takes = channel.filter.takes
        self._end([item for item in items if not takes(item.notice)], "filtered")
        return [item for item in items if takes(item.notice)]

    def _unusable(self, items: list[Item], why: str) -> datetime:
        """Give up what waits for a day for a channel that can't be used."""
        now = self._services.now()
        self._give_up([i for i in items if now - i.entry.written_at >= GIVEN_UP_AFTER], why)
        update = {"last_error": why, "last_error_at": now}
        self._outbox.remember(self._name, self._state.model_copy(update=update))
        return now + _UNUSABLE_AGAIN

    def _send_all(self, channel: Channel, items: list[Item]) -> datetime | None:
        down = self._state.failures >= DOWN_AFTER
        queue = Queue(items, self._services.now(), single=down)
        if not self._end(queue.replaced, "replaced"):
            return None  # the one that takes its place must not be sent before
        try:
            while message := queue.message():
                if self._send(channel, message):
                    queue.delivered(message, self._services.now())
                    if down:
                        return self._services.now()  # for all that waits
                elif self._state.next_at:
                    done = {each.notice.id for each in (*message, *queue.replaced)}
                    self._give_up_after_a_day([i for i in items if i.notice.id not in done])
                    return self._state.next_at
                if monotonic() >= self._until:
                    return self._services.now()
        finally:
            self._outbox.remember(self._name, self._state)
        retries = [at for at in (queue.next_at, *self._state.quiet.values()) if at]
        return min((at for at in retries if at > self._services.now()), default=None)

    def _send(self, channel: Channel, items: Sequence[Item]) -> bool:
        """Send a message, and note what became of it; whether it was delivered."""
        message = message_of([item.notice for item in items])
        delivery = self._services.sender.send(channel, message)
        now, group = self._services.now(), items[0].entry.group
        attempt = Attempt(
            id=message.id,
            at=now,
            delivered=delivery.delivered,
            notices=len(items),
            detail=delivery.detail,
        )
        quiet = {name: at for name, at in self._state.quiet.items() if at > now}
        recent = (attempt, *self._state.recent)[:RECENT]
        self._state = self._state.model_copy(update={"recent": recent, "quiet": quiet})
        self._log(attempt)
        if delivery.delivered:
            if group:
                quiet[group] = now + quiet_after(group)
            up = {"failures": 0, "failing_since": None, "next_at": None, "last_delivered_at": now}
            self._state = self._state.model_copy(update=up)
            self.sent |= {item.notice.id for item in items}
            if len(items) > 1:
                self._mark(items)
            self._note_delivered(items, delivery.detail)
        else:
            self._failed(items, delivery, now)
        return delivery.delivered

    def _log(self, attempt: Attempt) -> None:
        if attempt.delivered:
            log_event(
                "messageSent",
                None,
                channel=self._name,
                id=attempt.id,
                notices=attempt.notices,
                detail=attempt.detail,
            )
            return
        log_event(
            "messageNotSent",
            None,
            level=logging.WARNING,
            channel=self._name,
            id=attempt.id,
            notices=attempt.notices,
            detail=attempt.detail,
        )

    def _failed(self, items: Sequence[Item], delivery: Delivery, now: datetime) -> None:
        """Note an attempt that failed. Of a digest the first notice stands for all."""
        failures = self._state.failures + 1
        down = {
            "failures": failures,
            "failing_since": self._state.failing_since or now,
            "last_error": delivery.detail,
            "last_error_at": now,
        }
        wish = delivery.retry_after_seconds
        if failures >= DOWN_AFTER:
            down["next_at"] = now + pause(failures - DOWN_AFTER + 2, self._name, wish)
        self._state = self._state.model_copy(update=down)
        after = [item._replace(told=self._tried(item, wish, now)) for item in items]
        first = after[0]
        if first.told.state == "waiting":
            told = first.told.model_copy(update={"detail": delivery.detail})
            self._note([first], lambda _: told, delivery.detail)
            if first.entry.group and told.next_at:
                self._state.quiet[first.entry.group] = told.next_at
        self._give_up([each for each in after if each.told.state == "givenUp"], delivery.detail)

    def _tried(self, item: Item, wish: float | None, now: datetime) -> Told:
        since = max(item.entry.written_at, self._state.failing_since or now)
        name = f"{self._name} {item.notice.id}"
        return tried(item.told, name, now, wish=wish, since=since)

    def _give_up_after_a_day(self, items: Sequence[Item]) -> None:
        """Give up what waited for a day behind others, since one attempt is for all of a look."""
        now = self._services.now()
        down_since = self._state.failing_since or now
        late = [
            item for item in items if now - max(item.entry.written_at, down_since) >= GIVEN_UP_AFTER
        ]
        self._give_up(late, self._state.last_error or "")

    def _give_up(self, items: Sequence[Item], why: str) -> None:
        update = {"state": "givenUp", "at": self._services.now(), "detail": why, "next_at": None}
        for item in self._note(items, lambda item: item.told.model_copy(update=update), why):
            source = item.notice.source
            self._log_given_up(item.entry, item.notice.id, source, why)

    def _log_given_up(self, entry: Entry, id_: str, source: str | None, why: str) -> None:
        about = entry.owner if entry.owner != TROUBLE else None
        log_event(
            "noticeGivenUp",
            None,
            level=logging.ERROR,
            channel=self._name,
            id=id_,
            monitor=about,
            source=source,
            run=entry.run if about else None,
            detail=why,
        )

    def _note_delivered(self, items: Sequence[Item], words: str) -> None:
        """Note that notices were delivered."""
        now = self._services.now()

        def told(item: Item) -> Told:
            update = {
                "state": "delivered",
                "attempts": item.told.attempts + 1,
                "since": item.told.since or now,
                "at": now,
                "detail": None,
                "next_at": None,
            }
            return item.told.model_copy(update=update)

        for item in self._note(items, told, words):
            if item.entry.number % self._outbox.TRIM_EVERY == 0:
                self._outbox.trim(item.entry.owner)

    def _end(self, items: Sequence[Item], state: str) -> bool:
        """Note that notices are not sent any more; whether there was time for all."""
        update = {"state": state, "at": self._services.now(), "next_at": None}
        done = self._note(items, lambda item: item.told.model_copy(update=update), None)
        return len(done) == len(items)

    def _note(
        self, items: Sequence[Item], told: Callable[[Item], Told], words: str | None
    ) -> list[Item]:
        """Note the fate of notices, many at once, and bring the indexes in line.

        Args:
            items: The notices.
            told: The fate of each.
            words: For the log of each monitor.

        Returns:
            Those that were noted. There may be no time for others, but for a single one there is.

        Raises:
            StoreUnavailable: The store did not take a note.
        """
        trouble: list[StoreUnavailable] = []

        def note(item: Item) -> Told | None:
            if trouble or (len(items) > 1 and monotonic() >= self._until):
                return None
            fate = told(item)
            try:
                self._monitors.note(item.entry, self._name, fate, words)
                if fate.state == "givenUp":
                    self._outbox.settle(self._name, item.entry, fate)
            except StoreUnavailable as error:
                trouble.append(error)
                return None
            return fate

        fates = readers.map(note, items) if len(items) > 1 else map(note, items)
        noted = [(item, fate) for item, fate in zip(items, fates, strict=True) if fate]
        done = [item for item, _ in noted]
        ended = [i.entry for i, fate in noted if fate.state not in ("waiting", "givenUp")]
        self._outbox.settle_many(self._name, ended)
        self.sent -= {item.notice.id for item in done}
        if trouble:
            raise trouble[0]
        self._left = self._left or len(done) < len(items)
        return done
