"""The indexes of the outbox, while a look at a channel and other writers meet."""

import json
import logging
from datetime import UTC, datetime, timedelta
from itertools import count
from math import inf
from typing import Any

import pytest

from activities.deliver_notices import look
from adapters.outbox import GIVEN_UP, Addressed, Outbox
from adapters.services import Services
from domain.errors import StoreUnavailable
from domain.notices.channel import Filter
from domain.notices.delivery import ChannelState, DeliveryProgress, Told
from domain.notices.notice import Event, Notice
from domain.notices.outbox import Entry
from domain.notices.trouble import Part
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


@pytest.mark.parametrize("failures", [0, 3])
def test_notices_that_the_receiver_refuses_hide_no_other(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    monkeypatch.setattr("activities.deliver_notices._OWNERS", 2)
    now = services.now()
    refused = Told(attempts=3, since=now - DAY / 24, next_at=now + DAY / 100, detail="HTTP 400")
    for name in "abcd":
        announce(services, DAY / 24, f"demo.{name}")
        write(services, f"demo.{name}")
        rewrite(services, f"demo.{name}", told=json.dumps({"ops": refused.to_wire()}))
    announce(services, owner="demo.e")
    write(services, "demo.e")
    services.monitors.outbox.remember("ops", ChannelState(failures=failures))
    progress = look(services, DeliveryProgress(channel="ops"))
    told = [json.loads(each.body)["data"]["monitorId"] for each in server.requests]
    assert told == ["demo.e"]
    if failures == 0:  # else all that waits is tried at once, as the receiver is up again
        assert progress.look_at == refused.next_at


def test_a_look_carries_along_what_it_could_not_note_alone(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind(services, *"abc")
    note = services.monitors.note

    def fails(entry: Entry, *args: Any) -> bool:
        if entry.owner == "demo.c":
            raise StoreUnavailable("away")
        return note(entry, *args)

    with monkeypatch.context() as during:
        during.setattr(services.monitors, "note", fails)
        progress = look(services, DeliveryProgress(channel="ops"))
    assert (progress.sent, progress.last_error) == ((), "away")
    [left] = services.monitors.outbox.waiting("ops")
    assert left.owner == "demo.c"
    assert left.sent_at is not None
    assert look(services, progress).sent == ()  # at once, though the next digest waits
    assert fates(services, *"abc") == ["delivered"] * 3
    assert len(server.requests) == 1


def test_a_digest_that_the_index_does_not_take_is_carried_along(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind(services, *"abc")

    def away(*_: Any) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as during:
        during.setattr(Outbox, "mark_sent", away)
        progress = look(services, DeliveryProgress(channel="ops"))
    assert [each.split("/")[0] for each in progress.sent] == ["demo.a", "demo.b", "demo.c"]
    assert look(services, progress).sent == ()
    assert fates(services, *"abc") == ["delivered"] * 3
    assert len(server.requests) == 1


def test_what_was_delivered_is_not_sent_again_however_long_the_notes_take(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind(services, *"abcdef")
    monkeypatch.setattr("activities.deliver_notices._NOTED", 2)
    monkeypatch.setattr("activities.deliver_notices._NOTING", 1.5)
    monkeypatch.setattr("activities.deliver_notices._READING", inf)
    noted: list[Entry] = []
    note = services.monitors.note

    def then_later(entry: Entry, *args: Any) -> bool:
        noted.append(entry)
        return note(entry, *args)

    monkeypatch.setattr(services.monitors, "note", then_later)
    monkeypatch.setattr("activities.deliver_notices.monotonic", lambda: float(len(noted)))

    def away(*_: Any) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as during:
        during.setattr(Outbox, "mark_sent", away)
        progress = look(services, DeliveryProgress(channel="ops"))
    left = []
    for _ in range(3):
        services.monitors.outbox.remember("ops", ChannelState())  # or the next digest would wait
        progress = look(services, progress)
        left.append(len(services.monitors.outbox.waiting("ops")))
    assert left == [4, 2, 0]
    assert progress.sent == ()
    assert len(server.requests) == 1


def test_a_notice_that_takes_over_the_entry_of_one_that_was_delivered_is_not_lost(
    services: Services, server: FaultySource
) -> None:
    blind(services, "a", ago=LONG_AGO)
    services.monitors.outbox.mark_sent("ops", services.monitors.outbox.waiting("ops"), 0.0)
    server.forget()
    server.behave("submit", Reply(204))
    later = Outbox(services.monitors._table, lambda: services.now() + timedelta(seconds=1))
    later.announce("demo.a", addressed("demo.a", Event.ENDED))
    write(services, "demo.a", Event.ENDED)
    look_now(services)
    assert len(server.requests) == 1


def blind(services: Services, *names: str, ago: timedelta = DAY) -> None:
    for name in names:
        announce(services, ago, f"demo.{name}", Event.BLIND)
        write(services, f"demo.{name}", Event.BLIND)


def fates(services: Services, *names: str) -> list[str]:
    found = [services.monitors.outbox.find(f"demo.{name}", 1, 1) for name in names]
    return [each.told["ops"].state if each else "none" for each in found]


# -- what a later release wrote, before a roll-back -----------------------------------------------


def rewrite(services: Services, owner: str, **properties: str) -> None:
    """Have the notice of a monitor be as another release wrote it."""
    keys = {"PartitionKey": owner, "RowKey": "notice-000001-00000001"}
    services.monitors._table.upsert({**keys, **properties})


def of_a_later_release(services: Services, owner: str, ago: timedelta = DAY / 2) -> str:
    """A notice of an event that this release does not know; its text as this release has it."""
    announce(services, ago, owner)
    write(services, owner)
    filed = services.monitors.outbox.find(owner, 1, 1)
    assert filed
    text = str(filed.entity["notice"])
    assert text.count('"event":"ended"') == 1
    rewrite(services, owner, notice=text.replace('"event":"ended"', '"event":"evicted","to":["x"]'))
    return text


def test_a_notice_of_a_later_release_stops_no_other_and_is_kept_for_it(
    services: Services,
    server: FaultySource,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("activities.deliver_notices._OWNERS", 2)
    texts = [of_a_later_release(services, f"demo.{name}") for name in "abc"]
    announce(services, owner="demo.d")
    write(services, "demo.d")
    with caplog.at_level(logging.WARNING):
        progress = look(services, DeliveryProgress(channel="ops"))
    assert progress.last_error is None
    assert progress.look_at is None  # for they are not looked at again and again
    assert [json.loads(each.body)["data"]["monitorId"] for each in server.requests] == ["demo.d"]
    [line] = [json.loads(each.message) for each in caplog.records if "Unknown" in each.message]
    assert line == {"event": "noticesUnknown", "channel": "ops", "notices": 3, "id": "demo.a/1/1"}
    outbox = services.monitors.outbox
    assert [each.owner for each in outbox.waiting("ops")] == ["demo.a", "demo.b", "demo.c"]
    assert outbox.removal("demo.a") is None  # nor does the cleanup take it away
    rewrite(services, "demo.a", notice=texts[0])
    look_now(services)
    assert len(server.requests) == 2


def test_a_notice_of_a_later_release_is_given_up_after_a_day_and_sent_again_by_it(
    services: Services, server: FaultySource, caplog: pytest.LogCaptureFixture
) -> None:
    text = of_a_later_release(services, OWNER, LONG_AGO)
    look_now(services)
    [line] = [json.loads(each.message) for each in caplog.records if "GivenUp" in each.message]
    assert (line["monitor"], line["detail"]) == (OWNER, "a later release wrote this notice")
    outbox = services.monitors.outbox
    assert (outbox.waiting("ops"), len(outbox.given_up("ops"))) == ([], 1)
    rewrite(services, OWNER, notice=text)
    assert resend(services) == 1
    look_now(services)
    assert len(server.requests) == 1


def test_a_fate_that_only_a_later_release_knows_survives(
    services: Services, server: FaultySource
) -> None:
    announce(services)
    write(services)
    later = {"state": "muted", "until": "2031"}
    rewrite(services, OWNER, told=json.dumps({"ops": {"state": "waiting"}, "later": later}))
    look_now(services)
    assert len(server.requests) == 1
    filed = services.monitors.outbox.find(OWNER, 1, 1)
    assert filed
    assert filed.told["ops"].state == "delivered"
    assert json.loads(filed.entity["told"])["later"] == later
    assert filed.waits  # as far as anybody knows


def test_trouble_with_a_part_that_only_a_later_release_has_stops_nothing(
    services: Services,
) -> None:
    def note(detail: str | None) -> None:
        services.troubles.note({Part.CLEANUP: detail}, services.now(), lambda _: ())

    note("fails")
    table = services.monitors._table
    stored = table.find("~trouble", "state")
    assert stored
    later = {"since": "2026-01-01T00:00:00Z", "told": True, "more": 1}
    troubles = {**json.loads(stored["troubles"]), "sweeps": later}
    table.upsert({**stored, "troubles": json.dumps(troubles)})
    note(None)
    after = table.find("~trouble", "state")
    assert after
    assert json.loads(after["troubles"]) == {"sweeps": later}


# -- the time of a look ---------------------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each note takes a second of the time of a look."""
    ticks = count()
    monkeypatch.setattr("activities.deliver_notices.monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr("activities.deliver_notices._READING", inf)


def looks(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Look until nothing is left to do at once; how many notes each look took."""
    made = [0]
    note = services.monitors.note

    def counted(*args: Any) -> bool:
        made[-1] += 1
        return note(*args)

    monkeypatch.setattr(services.monitors, "note", counted)
    progress = DeliveryProgress(channel="ops")
    while (progress := look(services, progress)).look_at:
        assert progress.last_error is None
        assert len(made) < 20
        made.append(0)
    return made


MANY = [f"{number:02}" for number in range(40)]


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("why", ["filtered", "givenUp", "delivered"])
def test_many_notes_are_made_in_the_time_of_several_looks(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    outbox = services.monitors.outbox
    blind(services, *MANY, ago=DAY + DAY / 24)
    if why == "givenUp":
        server.behave("submit", Reply(500))
        outbox.remember("ops", ChannelState(failures=1, failing_since=services.now() - LONG_AGO))
    if why == "filtered":
        channels = services.sources.channels
        ops = channels.get("ops").model_copy(update={"filter": Filter(events=(Event.ENDED,))})
        monkeypatch.setitem(channels.by_name, "ops", ops)
    made = looks(services, monkeypatch)
    assert fates(services, *MANY) == [why] * 40
    assert outbox.waiting("ops") == []
    assert sum(made) == 40
    assert max(made) <= 25
    if why != "givenUp":
        told = [json.loads(each.body)["data"].get("count", 1) for each in server.requests]
        assert sum(told) == (40 if why == "delivered" else 0)


@pytest.mark.usefixtures("slow")
def test_no_newer_notice_is_sent_before_the_older_ones_are_noted(
    services: Services, server: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 41):
        at = services.now()
        facts: Any = {"monitorId": OWNER, "run": 1, "source": "demo"}
        notice = Notice(event=Event.PROGRESS, at=at, progress=number, **facts).numbered(number)
        filed = [Addressed(notice, 1, number, ["ops"])]
        services.monitors.outbox.announce(OWNER, filed)
        assert services.monitors._table.commit([*services.monitors.outbox.operations(OWNER, filed)])
    channels = services.sources.channels
    ops = channels.get("ops").model_copy(update={"filter": Filter(events=(Event.PROGRESS,))})
    monkeypatch.setitem(channels.by_name, "ops", ops)
    made = looks(services, monkeypatch)
    assert len(made) > 1
    [request] = server.requests
    assert json.loads(request.body)["data"]["progress"] == 40


def test_of_a_monitor_all_notices_are_read_or_none(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a later one would be told before an earlier one, for want of time."""
    blind(services, "a", "b")
    outbox = services.monitors.outbox
    a, b = outbox.waiting("ops")
    ticks = count()
    monkeypatch.setattr("adapters.outbox.monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr("adapters.outbox.readers", OneReader)
    found = outbox.items("ops", [a, b, b._replace(number=2)], until=2.0)
    assert [each.entry.owner for each in found.items] == ["demo.a"]
    assert sorted(each.number for each in found.unread) == [1, 2]


class OneReader:
    map = map
