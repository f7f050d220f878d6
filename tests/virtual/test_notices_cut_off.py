"""Notices wherever the way to them is cut off: each is told (I2).

A notice comes twice only if the host died between sending and noting it.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.services import Services
from domain.errors import StoreUnavailable
from tests.api import Body, new_job_id
from tests.faulty_source import FaultySource, Reply
from tests.virtual.conftest import Lab
from tests.virtual.cuts import Act, Cut, How, cuts
from tests.virtual.test_notices import arrived, waiting, watched
from triggers.watchdog import watch_over_all

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"),
]

DONE: Body = {"status": "completed"}

in_any_way = pytest.mark.parametrize("how", How)


@pytest.fixture(autouse=True)
def short_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog holds the list against the rows; each row would be a round of its own."""
    monkeypatch.setattr("triggers.watchdog._LIST_SLICE", 1)


def told(lab: Lab, receiver: FaultySource, cut: Cut, how: How, event: str = "ended") -> None:
    """The message came, and nothing waits."""
    assert waiting(lab) == 0, cut
    found = [json.loads(each.body) for each in receiver.requests if each.target == "/ops"]
    ids = [each["id"] for each in found if each["data"]["monitorId"] == f"demo.{cut.job_id}"]
    assert {each.rpartition("/")[0] for each in ids} == {f"demo.{cut.job_id}/1/1"}, cut
    assert len(ids) <= 1 + (how is How.KILLED), cut
    stored = lab.table.read(f"demo.{cut.job_id}")
    assert stored is not None
    delivered = [(line.from_, line.to) for line in stored.log if line.event == "delivered"]
    assert delivered.count((event, "ops")) == 1, cut


def an_end_to_tell(receiver: FaultySource) -> Callable[[Lab], Act]:
    """A watch of a job that has ended, from its start to the message."""

    def prepare(lab: Lab) -> Act:
        job_id = new_job_id()
        lab.source.behave(job_id, DONE)
        receiver.requests.clear()

        def watch() -> None:
            lab.api.start(jobId=job_id, pollIntervalSeconds=60)
            lab.host.advance(seconds=10)

        return Act(job_id, watch)

    return prepare


@in_any_way
def test_an_end_is_told_wherever_its_way_is_cut_off(
    notices: Lab, receiver: FaultySource, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    twice = 0
    rounds = cuts(notices, monkeypatch, how, an_end_to_tell(receiver), least=10, activities=True)
    for cut in rounds:
        notices.host.run_until(notices.ended(cut.job_id), minutes=30)
        notices.host.advance(minutes=11)
        told(notices, receiver, cut, how)
        twice += len(receiver.requests) - 1
    assert twice <= (5 if how is How.KILLED else 0)  # the reads and the transaction of the note


def terminated(lab: Lab) -> str:
    """A watch that was terminated a moment ago."""
    job_id = watched(lab)
    lab.host.terminate(f"demo.{job_id}", "enough")
    lab.host.wait_for(f"demo.{job_id}", "Terminated", minutes=1)
    return job_id


def a_look_at_an_end(lab: Lab) -> Act:
    """A GET that is the first to see it."""
    job_id = terminated(lab)
    return Act(job_id, lambda: lab.api.call("GET", f"/api/monitors/demo.{job_id}"))


def an_end_for_the_watchdog(lab: Lab) -> Act:
    """The next run of the watchdog finds it."""
    job_id = terminated(lab)
    return Act(job_id, lambda: lab.host.advance(minutes=5))


@pytest.mark.parametrize(
    ("prepare", "how"),
    [
        *((a_look_at_an_end, how) for how in How),
        (an_end_for_the_watchdog, How.KILLED),
        (an_end_for_the_watchdog, How.REFUSED),
    ],
)
def test_an_end_that_is_found_is_told_wherever_its_way_is_cut_off(
    notices: Lab,
    receiver: FaultySource,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Lab], Act],
    how: How,
) -> None:
    for cut in cuts(notices, monkeypatch, how, prepare, least=5):
        notices.host.advance(minutes=11)
        told(notices, receiver, cut, how)


def a_silent_watch(lab: Lab) -> Act:
    """One that the next run of the watchdog flags."""
    job_id = watched(lab)
    lab.host.suspend(f"demo.{job_id}")
    lab.host.advance(minutes=4)
    return Act(job_id, lambda: lab.host.advance(minutes=5))


def test_a_silent_watch_is_told_wherever_the_watchdog_is_cut_off(
    notices: Lab, receiver: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cut in cuts(notices, monkeypatch, How.KILLED, a_silent_watch, least=5):
        notices.host.advance(minutes=30)
        told(notices, receiver, cut, How.KILLED, "stale")
        notices.host.resume(f"demo.{cut.job_id}")  # or the rounds to come would look at it
        notices.source.behave(cut.job_id, DONE)
        notices.host.run_until(notices.ended(cut.job_id), minutes=10)


def a_resend(receiver: FaultySource) -> Callable[[Lab], Act]:
    """The request that sends again what was given up."""

    def prepare(lab: Lab) -> Act:
        receiver.behave("submit", Reply(500))
        job_id = watched(lab)
        lab.source.behave(job_id, DONE)
        lab.host.run_until(lambda: len(lab.table.outbox.given_up("ops")) > 0, minutes=30)
        receiver.behave("submit", Reply(204))
        receiver.requests.clear()
        return Act(job_id, lambda: lab.api.call("POST", "/api/channels/ops/resend"))

    return prepare


@in_any_way
def test_what_is_sent_again_is_told_wherever_the_request_is_cut_off(
    notices: Lab, receiver: FaultySource, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    monkeypatch.setattr("domain.notices.outbox.GIVEN_UP_AFTER", timedelta(seconds=40))
    for cut in cuts(notices, monkeypatch, how, a_resend(receiver), least=6):
        assert notices.api.call("POST", "/api/channels/ops/resend").ok
        notices.host.advance(minutes=6)
        assert notices.table.outbox.given_up("ops") == []
        told(notices, receiver, cut, how)


@in_any_way
def test_trouble_is_told_wherever_the_watchdog_is_cut_off(
    notices: Lab, receiver: FaultySource, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    failing = False

    async def may_fail(client: Any, services: Services, hub_since: datetime | None) -> int:
        if failing:
            raise StoreUnavailable("away")
        return await watch_over_all(client, services, hub_since)

    def a_second_failure(lab: Lab) -> Act:
        nonlocal failing
        receiver.requests.clear()
        failing = True
        lab.host.advance(minutes=5)
        return Act("", lambda: lab.host.advance(minutes=5))

    monkeypatch.setattr("triggers.watchdog.watch_over_all", may_fail)
    for cut in cuts(notices, monkeypatch, how, a_second_failure, least=5):
        notices.host.advance(minutes=10)
        failing = False
        notices.host.advance(minutes=11)
        states = [state for *_, state in arrived(receiver)]
        if how is How.KILLED and states[:2] == ["failing", "failing"]:
            del states[0]
        assert states == ["failing", "over"], cut
        assert waiting(notices) == 0
