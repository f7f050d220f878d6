"""The routes of channels, and the command that tries one."""

import json
import logging
import os
import sys
from pathlib import Path

import pytest

from adapters import try_channel
from adapters.services import get_services
from tests.faulty_source import Reply
from tests.virtual.conftest import Lab
from tests.virtual.test_who import told

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"  # noqa: S105
CHANNELS = """
[sources.builds]
notify = ["ops"]
status.url = "https://builds.example/{job_id}"
status.status = "state"
outcomes.succeeded = ["ok"]

[channels.ops]
kind = "webhook"
description = "People on call"
url = "URL/hooks/0123456789abcdef-secret?code=0123456789abcdef0123"
secrets = ["SECRET"]
filter = { states = ["Failed"], labels = { team = "data" } }

[channels.mail]
kind = "email"
host = "smtp.example"
username = "u"
password = "pa55word"
from = "a@x.example"
to = ["b@x.example"]

[channels.chat]
kind = "apprise"
url = "json://user:t0k3n@127.0.0.1:9/path-t0k3n"

[channels.bad]
kind = "webhook"
url = "http://user:pa55word@bad.example/"
"""


@pytest.fixture
def channels(lab: Lab) -> Lab:
    with Path(os.environ["JOB_SOURCES_FILE"]).open("a", encoding="utf-8") as file:
        file.write(CHANNELS.replace("URL", lab.source.url).replace("SECRET", SECRET))
    get_services.cache_clear()
    return lab


def test_channels_are_listed_without_their_secrets(channels: Lab) -> None:
    answer = channels.api.call("GET", "/api/channels")
    assert answer.status_code == 200
    shown = {each["name"]: each for each in answer.json()["channels"]}
    ops = shown["ops"]
    assert (ops["kind"], ops["description"], ops["receiver"]) == (
        "webhook",
        "People on call",
        "127.0.0.1",
    )
    assert (ops["filter"]["states"], ops["filter"]["labels"]) == (["Failed"], {"team": "data"})
    assert (ops["sources"], shown["mail"]["sources"]) == (["builds"], [])
    assert [shown[name]["receiver"] for name in ("mail", "chat")] == ["smtp.example", "json"]
    (bad,) = answer.json()["disabled"]
    assert (bad["name"], [each["field"][-18:] for each in bad["errors"]]) == (
        "bad",
        ["[channels.bad] url"],
    )
    for secret in ("pa55word", "t0k3n", "0123456789abcdef", SECRET[6:], "b@x.example"):
        assert secret not in answer.text


def test_a_test_message_is_sent_now(channels: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    channels.source.behave("submit", Reply(204), Reply(410))
    path = "/api/channels/ops/test"
    first, second = (channels.api.call("POST", path).json() for _ in range(2))
    assert (first["delivered"], first["detail"]) == (True, "HTTP 204")
    assert (second["delivered"], second["detail"]) == (
        False,
        "HTTP 410, the receiver is gone for good",
    )
    assert first["id"].startswith("test/ops/")
    event = json.loads(channels.source.requests[0].body)
    assert (event["type"], event["id"]) == ("jobmonitor.test", first["id"])
    assert [line["delivered"] for line in told(caplog, "channelTested")] == [True, False]


def test_a_request_that_cannot_be_taken(channels: Lab) -> None:
    for method, path, status in (
        ("POST", "/api/channels/none/test", 404),
        ("POST", "/api/channels/bad/test", 503),
        ("POST", "/api/channels/ops/test?x=1", 400),
        ("GET", "/api/channels?x=1", 400),
    ):
        answer = channels.api.call(method, path)
        assert answer.status_code == status, path
        assert "pa55word" not in answer.text
    assert channels.source.requests == []


def test_a_faulty_channel_degrades_the_app_and_no_source(channels: Lab) -> None:
    health = channels.api.call("GET", "/api/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert channels.api.start(jobId="a", source="demo")


def test_the_command_tells_what_became_of_a_test(
    channels: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, reply, code, word in (
        ("ops", Reply(204), 0, '"delivered": true'),
        ("ops", Reply(500), 1, "HTTP 500"),
        ("none", Reply(204), 1, "none: there are ops, mail, chat, bad"),
        ("bad", Reply(204), 1, "[channels.bad] url: must not hold"),
    ):
        channels.source.behave("submit", reply)
        monkeypatch.setattr(sys, "argv", ["try_channel", name])
        assert try_channel.main() == code
        shown = capsys.readouterr()
        assert word in shown.out + shown.err
