"""Messages by Apprise, at a real server."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.apprise_urls import fault_of
from adapters.catalog import unusable
from adapters.channels import Sender
from adapters.tokens import Tokens
from demo.part import ROOT
from domain.notices.channel import AppriseChannel
from domain.notices.message import message_of
from domain.notices.notice import Delivery, Event, Message, Notice
from domain.sources.file import read_sources
from tests.faulty_source import FaultySource, Reply

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOKEN = "abcdefghijkl-0123456789"  # noqa: S105


def channel(url: str) -> AppriseChannel:
    text = '[channels.x]\nkind = "apprise"\nurl = "${URL}"'
    found = read_sources({"channels.toml": text}, {"URL": url}).channels.by_name["x"]
    assert isinstance(found, AppriseChannel)
    return found


def message(**facts: Any) -> Message:
    base = {"id": "demo.a/1/2", "event": Event.ENDED, "at": AT, "source": "demo", "job_id": "a"}
    more = {"monitor_id": "demo.a", "run": 1, "state": "Failed"}
    return message_of([Notice.model_validate({**base, **more, **facts})])


def sent(url: str, what: Message | None = None) -> Delivery:
    return Sender(Tokens()).send(channel(url), what or message())


def at(server: FaultySource) -> str:
    return server.url.replace("http://", f"json://user:{TOKEN}@") + f"/{TOKEN}?token={TOKEN}"


@pytest.mark.parametrize(("url", "imported"), [("", False), ("json://127.0.0.1:9", True)])
def test_apprise_is_imported_if_a_channel_uses_it_and_else_not(
    tmp_path: Path, url: str, imported: bool
) -> None:
    """It costs each cold start a tenth of a second."""
    file = tmp_path / "sources.toml"
    hook = '[channels.hook]\nkind = "webhook"\nurl = "https://hook.example"\n'
    chat = f'[channels.chat]\nkind = "apprise"\nurl = "{url}"\n'
    file.write_text(hook + (chat if url else ""), encoding="utf-8")
    code = (
        "import sys; from adapters.services import get_services; import function_app; "
        "assert not get_services().sources.all_faults; print('apprise' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            **os.environ,
            "JOB_SOURCES_FILE": str(file),
            "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(imported)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({}, "failure"),
        ({"state": "Succeeded"}, "success"),
        ({"state": "Stopped"}, "warning"),
        ({"event": Event.BLIND, "state": "Monitoring"}, "warning"),
        ({"event": Event.SEEN, "state": "Monitoring"}, "success"),
        ({"event": Event.PROGRESS, "state": "Monitoring", "progress": 50}, "info"),
        ({"event": Event.TROUBLE, "state": "failing"}, "warning"),
        ({"event": Event.TROUBLE, "state": "over"}, "success"),
    ],
)
def test_a_message_arrives(server: FaultySource, facts: dict[str, Any], kind: str) -> None:
    server.behave("submit", Reply(200))
    found = sent(at(server), message(**facts))
    assert found == Delivery(delivered=True, detail="Sent JSON POST notification.")
    body = json.loads(server.requests[0].body)
    assert (body["title"], body["type"]) == (message(**facts).title, kind)
    assert body["message"] == message(**facts).text


@pytest.mark.parametrize(
    "behaviour", ["500", "401", "redirect-other", "reset", "hang-up", "echo-all-500", "cut-off"]
)
def test_what_apprise_logs_is_the_outcome(
    server: FaultySource, behaviour: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.elsewhere = server.url
    server.behave("submit", behaviour)
    found = sent(at(server))
    if behaviour != "cut-off":  # its status says that it took the message
        assert not found.delivered
        assert "JSON" in found.detail
    assert len(server.requests) == 1  # no redirect was followed
    assert TOKEN not in found.detail
    assert [record.getMessage() for record in caplog.records if TOKEN in record.getMessage()] == []


def test_texts_of_a_job_are_texts(server: FaultySource) -> None:
    server.behave("submit", Reply(200))
    hostile = "a\r\n# Title **bold** <b>x</b> @everyone \\n :smile: \u202e"
    assert sent(at(server), message(message=hostile, job_id="x" * 1_000_000)).delivered
    body = json.loads(server.requests[0].body)
    assert "a # Title **bold** <b>x</b> @everyone \\n :smile:" in body["message"].splitlines()[3]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("json://127.0.0.1", None),
        ("pigeon://home/secret", "begins with no service that Apprise knows"),
        ("slack://a/secret", "lacks a part that the service needs"),
    ],
)
def test_a_url_that_apprise_cannot_use_is_a_fault(url: str, fault: str | None) -> None:
    found = fault_of(channel(url))
    assert (found or "")[: len(fault or "")] == (fault or "")
    assert [each.where for each in unusable(channel(url))] == (
        ["[channels.x] url"] if fault else []
    )
    if fault:
        assert not sent(url).delivered
        assert "secret" not in str(found)
