"""`DeliverNotices`: one look at the notices that wait for a channel.

1. Notices that an earlier look delivered, and that the store did not note, are noted and not sent
   again.
2. `domain.notices.outbox` decides which messages are sent, and which notices wait on.
3. The fate of each notice is noted before the next message is sent. If the store does not take it,
   the look ends, and its result names what was delivered: only a host that dies in between sends a
   message twice.
4. A look begins no attempt 25 seconds after its first, however long the store took before: the
   notices of a digest are read and noted one by one. So each look sends a message at the least.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import azure.durable_functions as df

from adapters.event_log import log_event
from adapters.monitor_list import readers
from adapters.outbox import TROUBLE
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
_ENTRIES = 100_000
"""Notices that a look knows of. Those that rest must not hide one that is due."""

_OWNERS = 200
"""Monitors whose notices are told of one by one in a look."""

_TOGETHER = 10_000
"""Monitors that digests tell of in a look."""

_UNUSABLE_AGAIN = timedelta(minutes=15)


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
        sent: The ids of notices that were delivered, and are not noted yet.
        gone: Whether the channel is not configured, and nothing waits for it.
    """

    def __init__(self, services: Services, progress: DeliveryProgress) -> None:
        self.sent = set(progress.sent)
        self.gone = False
        self._services, self._name = services, progress.channel
        self._monitors, self._outbox = services.monitors, services.monitors.outbox

    def deliver(self) -> datetime | None:
        """Send what is due; when to look again, None if nothing waits."""
        now, channels = self._services.now(), self._services.sources.channels
        entries = self._note_sent(self._outbox.waiting(self._name, _ENTRIES))
        if not entries:
            self.gone = self._name not in channels.names
            return None
        self._state = self._outbox.state(self._name)
        if self._state.next_at and now < self._state.next_at:
            return self._state.next_at
        chosen, later = sift(entries, self._state.quiet, now)
        some = first_owners(chosen, _OWNERS, _TOGETHER)
        items, stale, awaited = self._outbox.items(self._name, some)
        self._outbox.drop(self._name, stale)
        try:
            channel = channels.get(self._name)
        except (NoSuchChannel, ChannelDisabled) as fault:
            return self._unusable(items, str(fault) or "the channel is not configured")
        items = self._without_filtered(items, channel)
        again = self._send_all(channel, items)
        more = now if len(some) < len(chosen) else None
        return min((at for at in (later, awaited, again, more) if at), default=None)

    def _note_sent(self, entries: list[Entry]) -> list[Entry]:
        """Note what an earlier look delivered, before anything else; the entries of the rest."""
        if not self.sent:
            return entries
        names = {each.rpartition("/")[0] for each in self.sent}
        known = [
            each
            for each in entries
            if f"{each.owner}/{each.run}/{each.number}" in names or each.owner == TROUBLE
        ]
        items, _, _ = self._outbox.items(self._name, known)
        sent = [each for each in items if each.notice.id in self.sent]
        self._delivered(sent, "delivered")
        if len(entries) < _ENTRIES:
            self.sent.clear()  # all others were noted after all
        noted = {each.entry[:3] for each in sent}
        return [each for each in entries if each[:3] not in noted]

    def _without_filtered(self, items: list[Item], channel: Channel) -> list[Item]:
        left = []
        for item in items:
            if channel.filter.takes(item.notice):
                left.append(item)
            else:
                self._end(item, "filtered")
        return left

    def _unusable(self, items: list[Item], why: str) -> datetime:
        """Give up what waits for a day for a channel that can't be used."""
        now = self._services.now()
        for item in items:
            if now - item.entry.written_at >= GIVEN_UP_AFTER:
                self._give_up(item, why)
        update = {"last_error": why, "last_error_at": now}
        self._outbox.remember(self._name, self._state.model_copy(update=update))
        return now + _UNUSABLE_AGAIN

    def _send_all(self, channel: Channel, items: list[Item]) -> datetime | None:
        down = self._state.failures >= DOWN_AFTER
        queue = Queue(items, self._services.now(), single=down)
        for item in queue.replaced:
            self._end(item, "replaced")
        deadline = monotonic() + _SECONDS
        try:
            while message := queue.message():
                if self._send(channel, message):
                    queue.delivered(message, self._services.now())
                    if down:
                        return self._services.now()  # for all that waits
                elif self._state.next_at:
                    done = {each.notice.id for each in (*message, *queue.replaced)}
                    rest = [each for each in items if each.notice.id not in done]
                    self._give_up_after_a_day(rest, deadline)
                    return self._state.next_at
                if monotonic() >= deadline:
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
            self._delivered(items, delivery.detail)
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
        for number, item in enumerate(items):
            since = max(item.entry.written_at, self._state.failing_since or now)
            name = f"{self._name} {item.notice.id}"
            told = tried(item.told, name, now, wish=wish, since=since)
            if number == 0 or told.state == "givenUp":
                told = told.model_copy(update={"detail": delivery.detail})
                self._note(item, told, delivery.detail)
            if number == 0 and item.entry.group and told.next_at:
                self._state.quiet[item.entry.group] = told.next_at

    def _give_up_after_a_day(self, items: Sequence[Item], deadline: float) -> None:
        """Give up what waited for a day behind others, since one attempt is for all of a look."""
        now = self._services.now()
        down_since = self._state.failing_since or now
        for item in items:
            late = now - max(item.entry.written_at, down_since) >= GIVEN_UP_AFTER
            if late and monotonic() < deadline:
                self._give_up(item, self._state.last_error or "")

    def _give_up(self, item: Item, why: str) -> None:
        update = {"state": "givenUp", "at": self._services.now(), "detail": why, "next_at": None}
        self._note(item, item.told.model_copy(update=update), why)

    def _delivered(self, items: Sequence[Item], words: str) -> None:
        """Note that notices were delivered."""
        now = self._services.now()

        def note(item: Item) -> None:
            told = item.told.model_copy(
                update={
                    "state": "delivered",
                    "attempts": item.told.attempts + 1,
                    "since": item.told.since or now,
                    "at": now,
                    "detail": None,
                    "next_at": None,
                }
            )
            self._monitors.note(item.entry, self._name, told, words)
            self.sent.discard(item.notice.id)

        if len(items) == 1:
            note(items[0])
        else:
            list(readers.map(note, items))
        self._outbox.settle_many(self._name, [item.entry for item in items])
        for item in items:
            self._trim(item.entry)

    def _end(self, item: Item, state: str) -> None:
        """Note that a notice is not sent any more."""
        told = item.told.model_copy(
            update={"state": state, "at": self._services.now(), "next_at": None}
        )
        self._note(item, told, None)

    def _note(self, item: Item, told: Told, words: str | None) -> None:
        self._monitors.note(item.entry, self._name, told, words)
        if told.state == "waiting":
            return
        self._outbox.settle(self._name, item.entry, told)
        if told.state == "givenUp":
            log_event(
                "noticeGivenUp",
                None,
                level=logging.ERROR,
                channel=self._name,
                id=item.notice.id,
                monitor=item.notice.monitor_id,
                source=item.notice.source,
                run=item.notice.run,
                detail=told.detail,
            )

    def _trim(self, entry: Entry) -> None:
        if entry.number % self._outbox.TRIM_EVERY == 0:
            self._outbox.trim(entry.owner)
