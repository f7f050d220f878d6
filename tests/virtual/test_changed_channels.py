"""Channels that change while notices wait: they break, go away, and come back."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from adapters.services import get_services
from domain.names import delivery_instance
from tests.api import Body
from tests.faulty_source import FaultySource, Reply
from tests.virtual.conftest import Lab
from tests.virtual.test_notices import DONE, arrived, waiting, watched
from tests.virtual.test_who import told

pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")

FAILED: Body = {"status": "failed"}


def rewrite(old: str, new: str) -> None:
    """A deployment with another file of sources."""
    path = Path(os.environ["JOB_SOURCES_FILE"])
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    get_services.cache_clear()


def ended(lab: Lab, answer: dict[str, Any], **settings: Any) -> str:
    """A watch of a job that ended so."""
    job_id = watched(lab, **settings)
    lab.source.behave(job_id, answer)
    lab.host.run_until(lab.ended(job_id), minutes=2)
    return job_id


def fate(lab: Lab, job_id: str, channel: str) -> dict[str, Any] | None:
    """What became of the notice of an end; None if it was not for the channel."""
    [notice] = lab.api.get(f"demo.{job_id}")["notices"]
    found: dict[str, Any] | None = notice["channels"].get(channel)
    return found


def test_a_channel_that_turns_faulty_keeps_its_notices_until_it_is_mended(
    notices: Lab, receiver: FaultySource
) -> None:
    receiver.behave("submit", Reply(503))
    before = ended(notices, FAILED)
    kind, broken = 'states = ["Failed"]', 'states = ["Gone"]'
    rewrite(kind, broken)
    receiver.behave("submit", Reply(204))
    failed, succeeded = ended(notices, FAILED), ended(notices, DONE)
    notices.host.advance(hours=1)
    [shown] = notices.api.call("GET", "/api/channels").json()["disabled"]
    assert shown["name"] == "failures"
    assert len(arrived(receiver)) >= 3  # the others go on
    assert {row for *_, row in arrived(receiver, "failures")} <= {"Failed"}
    assert waiting(notices, "failures") == 3  # nobody knows its filter
    receiver.requests.clear()
    rewrite(broken, kind)
    notices.host.advance(minutes=20)
    assert waiting(notices, "failures") == 0
    assert [state for *_, state in arrived(receiver, "failures")] == ["Failed", "Failed"]
    fates = [fate(notices, each, "failures") for each in (before, failed, succeeded)]
    assert [each and each["state"] for each in fates] == ["delivered", "delivered", "filtered"]


@pytest.mark.long
def test_a_channel_that_is_removed_gives_its_notices_up_after_a_day_and_rests(
    notices: Lab, receiver: FaultySource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receiver.behave("submit", Reply(503))
    job_id = ended(notices, FAILED)
    rewrite('"ops", "failures", "steps"', '"ops"')
    table = "[channels.failures]"
    rewrite(table, "[channels.renamed]")
    receiver.behave("submit", Reply(204))
    receiver.requests.clear()
    later = ended(notices, FAILED)
    assert fate(notices, later, "failures") is None
    notices.host.advance(hours=23)
    assert waiting(notices, "failures") == 1
    notices.host.advance(hours=2)
    assert waiting(notices, "failures") == 0
    [event] = told(caplog, "noticeGivenUp")
    assert (event["channel"], event["detail"]) == ("failures", "the channel is not configured")
    notices.host.advance(hours=2)
    assert notices.host.status(delivery_instance("failures"))["runtimeStatus"] == "Completed"
    assert arrived(receiver, "failures") == []
    rewrite("[channels.renamed]", table)
    assert notices.api.call("POST", "/api/channels/failures/resend").json()["resent"] == 1
    notices.host.advance(seconds=5)
    assert arrived(receiver, "failures") == [("ended", 1, "Failed")]
    found = fate(notices, job_id, "failures")
    assert found is not None
    assert found["state"] == "delivered"


def test_a_live_watch_is_told_to_other_channels_from_now_on(
    notices: Lab, receiver: FaultySource
) -> None:
    job_id = watched(notices, notify=["failures"])
    monitor = f"/api/monitors/demo.{job_id}"
    answer = notices.api.call("PATCH", monitor, json={"notify": ["ops", "nobody", "Nobody"]})
    assert answer.status_code == 400
    [fault] = answer.json()["errors"]
    assert fault["field"] == "notify"
    assert (
        "names nobody, Nobody, not configured; there are: ops, failures, steps" in fault["message"]
    )
    answer = notices.api.call("PATCH", monitor, json={"notify": ["ops", "ops"]})
    assert answer.json()["monitor"]["notify"] == ["ops"]
    notices.source.behave(job_id, FAILED)
    notices.host.run_until(notices.ended(job_id), minutes=2)
    notices.host.advance(minutes=6)
    assert (arrived(receiver), arrived(receiver, "failures")) == ([("ended", 1, "Failed")], [])
    line = next(
        each for each in notices.api.get(f"demo.{job_id}")["log"] if each["event"] == "changed"
    )
    assert (line["from"], line["to"]) == ('{"notify": ["failures"]}', '{"notify": ["ops"]}')


def test_a_live_watch_can_be_told_to_nobody(notices: Lab, receiver: FaultySource) -> None:
    job_id = watched(notices)
    changed = notices.api.call("PATCH", f"/api/monitors/demo.{job_id}", json={"notify": []})
    assert changed.json()["monitor"]["notify"] == []
    notices.source.behave(job_id, FAILED)
    notices.host.run_until(notices.ended(job_id), minutes=2)
    notices.host.advance(minutes=6)
    assert receiver.requests == []
