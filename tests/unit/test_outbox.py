"""Which notices are sent now, in which order, and which wait on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from domain.notices.delivery import Told
from domain.notices.message import message_of
from domain.notices.notice import Event, Notice
from domain.notices.outbox import (
    GIVEN_UP_AFTER,
    Entry,
    Item,
    Queue,
    first_owners,
    group_of,
    pause,
    quiet_after,
    sift,
    tried,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
BLIND, SEEN, STALE = "s blind", "s seen", "s stale"
EXPIRED, OVERDUE, ALONE = "s ended Expired", "s overdue", ""


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def entry(owner: str, number: int, group: str = ALONE, seconds: float = 0) -> Entry:
    """One that was written so many seconds ago."""
    return Entry(owner, 1, number, group, ago(seconds))


def item(owner: str, number: int, what: str = "ended Succeeded", told: Told | None = None) -> Item:
    """A notice of the source `s`: its event, and the state of an end."""
    event, _, state = what.partition(" ")
    notice = Notice(event=Event(event), at=NOW, source="s", state=state or "Monitoring")
    return Item(entry(owner, number, group_of(notice)), notice, told or Told())


def names(items: Sequence[Entry | Item]) -> list[str]:
    """Owner and number of each."""
    entries = [each.entry if isinstance(each, Item) else each for each in items]
    return [f"{each.owner}{each.number}" for each in entries]


@pytest.mark.parametrize(
    ("event", "state", "group"),
    [
        (Event.ENDED, "Succeeded", ALONE),
        (Event.ENDED, "Failed", ALONE),
        (Event.ENDED, "Cancelled", ALONE),
        (Event.ENDED, "Stopped", ALONE),
        (Event.ENDED, "Expired", EXPIRED),
        (Event.ENDED, "Lost", "s ended Lost"),
        (Event.ENDED, "Unreachable", "s ended Unreachable"),
        (Event.ENDED, "Terminated", "s ended Terminated"),
        (Event.BLIND, "Monitoring", BLIND),
        (Event.SEEN, "Monitoring", SEEN),
        (Event.STALE, "Monitoring", STALE),
        (Event.OVERDUE, "Monitoring", OVERDUE),
        (Event.PROGRESS, "Monitoring", "s progress"),
        (Event.TROUBLE, "failing", ALONE),
    ],
)
def test_notices_that_are_told_of_together(event: Event, state: str, group: str) -> None:
    notice = Notice(event=event, at=NOW, source="s", state=state)
    assert group_of(notice) == group


@pytest.mark.parametrize(("group", "minutes"), [(BLIND, 15), (STALE, 15), (EXPIRED, 1)])
def test_the_pause_between_two_digests(group: str, minutes: int) -> None:
    assert quiet_after(group) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("entries", "quiet", "chosen", "later"),
    [
        ([], {}, [], None),
        ([entry("a", 1)], {}, ["a1"], None),
        ([entry("a", 1, seconds=-3)], {}, ["a1"], None),  # by a host whose clock is ahead
        ([entry("b", 1), entry("a", 2), entry("a", 1)], {}, ["a1", "a2", "b1"], None),
        # Held ones wait 90 s for others, counted from the first of them.
        ([entry("a", 1, BLIND, 89)], {}, [], 1),
        ([entry("a", 1, BLIND, 90)], {}, ["a1"], None),
        ([entry("a", 1, BLIND, 90), entry("b", 1, BLIND, 1)], {}, ["a1", "b1"], None),
        ([entry("a", 1, STALE, 80), entry("b", 1, SEEN, 85)], {}, [], 5),
        # Others wait for none, but for the pause of their group.
        ([entry("a", 1, EXPIRED)], {}, ["a1"], None),
        ([entry("a", 1, EXPIRED)], {EXPIRED: 20}, [], 20),
        ([entry("a", 1, EXPIRED)], {EXPIRED: 0}, ["a1"], None),
        ([entry("a", 1, BLIND, 100)], {BLIND: 300}, [], 300),
        ([entry("a", 1, BLIND, 80)], {BLIND: 300}, [], 300),
        ([entry("a", 1, BLIND, 80)], {BLIND: 5}, [], 10),
        ([entry("a", 1, EXPIRED)], {BLIND: 300}, ["a1"], None),
        # A later notice of the same monitor brings a held one along, unless its group rests.
        ([entry("a", 1, BLIND, 5), entry("a", 2)], {}, ["a1", "a2"], None),
        (
            [entry("a", 1, BLIND, 5), entry("a", 2), entry("b", 1, BLIND)],
            {},
            ["a1", "a2", "b1"],
            None,
        ),
        ([entry("a", 1, BLIND, 5), entry("b", 1)], {}, ["b1"], 85),
        ([entry("a", 1, BLIND, 5), entry("a", 2, SEEN, 1)], {}, [], 85),
        # An end is not kept back by the pause of what waits before it.
        ([entry("a", 1, BLIND, 5), entry("a", 2)], {BLIND: 300}, ["a1", "a2"], None),
    ],
)
def test_what_is_looked_at_now(
    entries: list[Entry], quiet: dict[str, float], chosen: list[str], later: float | None
) -> None:
    until = {group: NOW + timedelta(seconds=seconds) for group, seconds in quiet.items()}
    found, at = sift(entries, until, NOW)
    assert names(found) == chosen
    assert at == (None if later is None else NOW + timedelta(seconds=later))


def test_of_many_monitors_those_that_waited_longest_come_first() -> None:
    entries = [
        *(entry(f"m{n}", 1, seconds=n) for n in range(5)),
        entry("m4", 2, BLIND),
        *(entry(f"d{n}", 1, BLIND, n) for n in range(5)),
    ]
    assert names(first_owners(entries, 2, 9)) == [
        "m31",
        "m41",
        "m42",
        *(f"d{n}1" for n in range(5)),
    ]
    assert names(first_owners(entries, 1, 2)) == ["m41", "m42", "d31", "d41"]
    assert first_owners(entries, 9, 9) == entries


def drained(queue: Queue) -> list[list[str]]:
    """The messages, if each is delivered."""
    sent = []
    while message := queue.message():
        sent.append(names(message))
        queue.delivered(message, NOW)
    return sent


def waiting(seconds: float, attempts: int = 1) -> Told:
    """A notice that was tried, and is due again then."""
    return Told(attempts=attempts, since=ago(60), next_at=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("items", "sent", "replaced"),
    [
        ([], [], []),
        ([item("a", 2), item("a", 1), item("b", 1)], [["a1"], ["a2"], ["b1"]], []),
        ([item("a", 1, "blind"), item("b", 1, "blind")], [["a1", "b1"]], []),
        ([item("a", 1, "blind"), item("b", 1, "stale")], [["a1"], ["b1"]], []),
        ([item("a", 1, "ended Lost"), item("b", 1, "ended Expired")], [["a1"], ["b1"]], []),
        ([item("a", 1, "ended Lost"), item("b", 1, "ended Lost")], [["a1", "b1"]], []),
        # A newer one of the kind takes the place of an older one, of the same monitor alone.
        ([item("a", 1, "blind"), item("a", 2, "seen")], [["a2"]], ["a1"]),
        (
            [item("a", 1, "blind"), item("a", 2, "seen"), item("a", 3, "blind")],
            [["a3"]],
            ["a1", "a2"],
        ),
        ([item("a", 1, "progress"), item("a", 2, "progress")], [["a2"]], ["a1"]),
        ([item("a", 1, "stale"), item("b", 2, "stale")], [["a1", "b2"]], []),
        ([item("a", 1, "blind"), item("a", 2, "stale")], [["a1"], ["a2"]], []),
        ([item("a", 1, "overdue"), item("a", 2, "overdue")], [["a1"], ["a2"]], []),
        # Nothing takes the place of an end, and an end takes that of nothing.
        ([item("a", 1), item("a", 2), item("a", 3, "blind")], [["a1"], ["a2"], ["a3"]], []),
        ([item("a", 1, "blind"), item("a", 2)], [["a1"], ["a2"]], []),
        # In their order: what is first joins a digest, and what stands behind waits for its turn.
        (
            [item("a", 1), item("a", 2, "blind"), item("b", 1, "blind")],
            [["a1"], ["a2", "b1"]],
            [],
        ),
    ],
)
def test_the_messages_of_a_look(
    items: list[Item], sent: list[list[str]], replaced: list[str]
) -> None:
    queue = Queue(items, NOW)
    assert names(queue.replaced) == replaced
    assert drained(queue) == sent


def test_what_waits_after_a_failure_holds_up_its_monitor_alone() -> None:
    queue = Queue([item("a", 1, told=waiting(20)), item("a", 2), item("b", 1)], NOW)
    assert drained(queue) == [["b1"]]
    assert queue.next_at == NOW + timedelta(seconds=20)
    due = Queue([item("a", 1, told=waiting(0)), item("a", 2)], NOW)
    assert drained(due) == [["a1"], ["a2"]]
    assert due.next_at is None


def test_a_monitor_whose_message_failed_has_no_other_turn() -> None:
    queue = Queue([item("a", 1), item("a", 2), item("b", 1)], NOW)
    assert names(queue.message()) == ["a1"]
    assert drained(queue) == [["b1"]]


def test_a_receiver_that_was_down_is_tried_with_single_notices_the_untried_first() -> None:
    items = [
        item("a", 1, "blind", waiting(900, attempts=3)),
        item("b", 1, "blind"),
        item("c", 1, told=waiting(900)),
    ]
    assert drained(Queue(items, NOW, single=True)) == [["b1"], ["c1"], ["a1"]]


def test_ten_thousand_monitors_that_can_not_be_seen_are_one_message() -> None:
    entries = [entry(f"m{n:05}", 1, BLIND, 90) for n in range(10_000)]
    chosen, later = sift(entries, {}, NOW)
    assert (first_owners(chosen, 200, 10_000), later) == (entries, None)
    queue = Queue([item(each.owner, 1, "blind") for each in chosen], NOW)
    digest = message_of([each.notice for each in queue.message()])
    assert (digest.type, digest.data["count"]) == ("jobmonitor.digest", 10_000)
    assert len(digest.model_dump_json()) < 200_000
    assert queue.message() == []


@pytest.mark.parametrize(
    ("failures", "wish", "least", "most"),
    [
        (1, None, 9, 11),
        (2, None, 18, 22),
        (3, 0, 36, 44),
        (8, None, 810, 990),
        (99, None, 810, 990),
        (1, 60, 60, 60),
        (99, 60, 810, 990),
        (1, 1e9, 3_600, 3_600),
        (1, -5, 9, 11),
    ],
)
def test_the_wait_after_failures(
    failures: int, wish: float | None, least: float, most: float
) -> None:
    waits = {pause(failures, f"ops {n}", wish).total_seconds() for n in range(20)}
    assert all(least <= each <= most for each in waits)
    assert (len(waits) > 1) == (least < most)


@pytest.mark.parametrize(
    ("known", "since", "state", "given"),
    [
        (Told(), None, "waiting", NOW),
        (Told(), ago(600), "waiting", ago(600)),
        (Told(attempts=2, since=ago(60)), ago(600), "waiting", ago(60)),
        (Told(since=NOW - GIVEN_UP_AFTER + timedelta(seconds=1)), None, "waiting", None),
        (Told(since=NOW - GIVEN_UP_AFTER), None, "givenUp", None),
        (Told(), NOW - GIVEN_UP_AFTER, "givenUp", None),
    ],
)
def test_what_is_known_after_an_attempt_that_failed(
    known: Told, since: datetime | None, state: str, given: datetime | None
) -> None:
    told = tried(known, "ops a", NOW, since=since)
    assert (told.state, told.attempts, told.at) == (state, known.attempts + 1, NOW)
    assert (told.next_at is None) == (state == "givenUp")
    assert given in (None, told.since)
