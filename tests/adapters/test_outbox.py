"""The indexes of the outbox, while a look at a channel and other writers meet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.deliver_notices import look
from adapters.outbox import GIVEN_UP, Addressed, Outbox
from adapters.services import Services
from domain.errors import StoreUnavailable
from domain.notices.delivery import ChannelState, DeliveryProgress, Told
from domain.notices.notice import Event, Notice
from domain.notices.outbox import Entry
from tests.faulty_source import FaultySource, Reply

OWNER = "demo.job-1"
DAY, LONG_AGO = timedelta(days=1), timedelta(days=2)


def addressed(owner: str, event: Event = Event.ENDED) -> list[Addressed]:
    at = datetime.now(UTC)
    notice = Notice(event=event, at=at, monitor_id=owner, run=1, state="Failed")
    return [Addressed(notice.numbered(1), 1, 1, ["ops"])]


def announce(
    services: Services,
    ago: timedelta = timedelta(0),
    owner: str = OWNER,
    event: Event = Event.ENDED,
) -> None:
    writer = Outbox(services.monitors._table, lambda: services.now() - ago)
    writer.announce(owner, addressed(owner, event))


def write(services: Services, owner: str = OWNER, event: Event = Event.ENDED) -> Entry:
    """Write a notice whose entry in the index is there."""
    operations = services.monitors.outbox.operations(owner, addressed(owner, event))
    assert services.monitors._table.commit([*operations])
    [entry] = [each for each in services.monitors.outbox.waiting("ops") if each.owner == owner]
    return entry


def given_up(services: Services) -> None:
    """A notice that was given up."""
    announce(services, LONG_AGO)
    outbox, told = services.monitors.outbox, Told(state="givenUp")
    entry = write(services)
    assert services.monitors.note(entry, "ops", told)
    outbox.settle("ops", entry, told)
    assert outbox.given_up("ops") == [entry]


def resend(services: Services) -> int:
    outbox = services.monitors.outbox
    return outbox.resend("ops", outbox.given_up("ops"))


def look_now(services: Services) -> None:
    look(services, DeliveryProgress(channel="ops"))


def test_what_is_sent_again_during_a_look_is_not_lost(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up(services)
    update = Outbox.update

    def late_update(*args: Any) -> Any:
        """The entry is there again, and the notice does not wait yet."""
        monkeypatch.setattr(Outbox, "update", update)
        look_now(services)
        return update(*args)

    monkeypatch.setattr(Outbox, "update", late_update)
    assert resend(services) == 1
    look_now(services)
    assert len(server.requests) == 1
    assert services.monitors.outbox.waiting("ops") == []


def test_what_is_sent_again_as_it_is_given_up_is_not_lost(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(services, LONG_AGO)
    entry, told = write(services), Told(state="givenUp")
    assert services.monitors.note(entry, "ops", told)
    table = services.monitors._table
    upsert = table.upsert

    def then_resend(entity: Any) -> None:
        upsert(entity)
        if entity["PartitionKey"] == GIVEN_UP:
            assert resend(services) == 1

    monkeypatch.setattr(table, "upsert", then_resend)
    services.monitors.outbox.settle("ops", entry, told)
    look_now(services)
    assert len(server.requests) == 1


def test_what_a_look_gave_up_before_it_was_cut_off_can_be_sent_again(
    services: Services, server: FaultySource
) -> None:
    announce(services, LONG_AGO)
    assert services.monitors.note(write(services), "ops", Told(state="givenUp"))
    look_now(services)
    assert services.monitors.outbox.waiting("ops") == []
    assert resend(services) == 1
    look_now(services)
    assert len(server.requests) == 1


def test_a_notice_that_takes_over_an_entry_that_was_left_is_not_lost(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(services, timedelta(hours=1))  # its writer died
    items = Outbox.items

    def then_written(*args: Any) -> Any:
        found = items(*args)
        monkeypatch.setattr(Outbox, "items", items)
        announce(services)
        write(services)
        return found

    monkeypatch.setattr(Outbox, "items", then_written)
    look_now(services)
    look_now(services)
    assert len(server.requests) == 1


def test_all_that_waited_a_day_for_a_receiver_that_is_gone_is_given_up(
    services: Services, server: FaultySource
) -> None:
    server.behave("submit", Reply(500))
    outbox, begin = services.monitors.outbox, services.now()
    services.monitors.outbox.remember("ops", ChannelState(failures=9, failing_since=begin - DAY))
    for name, ago in (("a", DAY), ("b", DAY), ("c", DAY), ("d", timedelta(hours=23))):
        announce(services, ago, f"demo.{name}")
        write(services, f"demo.{name}")
    look_now(services)
    assert len(server.requests) == 1  # which failed for all
    assert [each.owner for each in outbox.given_up("ops")] == ["demo.a", "demo.b", "demo.c"]
    assert [each.owner for each in outbox.waiting("ops")] == ["demo.d"]


def test_a_look_carries_along_what_it_could_not_note_alone(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        announce(services, DAY, f"demo.{name}", Event.BLIND)
        write(services, f"demo.{name}", Event.BLIND)
    note = services.monitors.note

    def fails(entry: Entry, *args: Any) -> bool:
        if entry.owner == "demo.c":
            raise StoreUnavailable("away")
        return note(entry, *args)

    with monkeypatch.context() as during:
        during.setattr(services.monitors, "note", fails)
        progress = look(services, DeliveryProgress(channel="ops"))
    assert [each.split("/")[0] for each in progress.sent] == ["demo.c"]
    assert look(services, progress).sent == ()  # at once, though the next digest waits
    told = [services.monitors.outbox.find(f"demo.{name}", 1, 1) for name in "abc"]
    assert [each and each.told["ops"].state for each in told] == ["delivered"] * 3
    assert len(server.requests) == 1
