"""Messages at the receivers of webhooks: real servers, good and hostile ones."""

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from adapters.channels import Sender
from adapters.clock import utc_now
from adapters.services import all_presets
from adapters.tokens import Tokens
from domain.notices.channel import Channel
from domain.notices.message import message_of
from domain.notices.notice import Delivery, Event, Message, Notice
from domain.sources.file import read_sources
from tests.certificates import self_signed, serving
from tests.faulty_source import HUGE, SLOW_SECONDS, FaultySource, Recorded, Reply

OLD, NEW = ("whsec_" + base64.b64encode(each * 24).decode() for each in (b"o", b"n"))
SETTINGS = {"OLD": OLD, "NEW": NEW, "KEY": "k3y-of-the-topic"}
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def channel(table: str, settings: dict[str, str] | None = None) -> Channel:
    text = f"[channels.x]\n{table}"
    read = read_sources({"channels.toml": text}, {**SETTINGS, **(settings or {})}, all_presets())
    assert read.all_faults == []
    return read.channels.by_name["x"]


def webhook(url: str, more: str = "") -> Channel:
    return channel(f'kind = "webhook"\nurl = "{url}"\n{more}')


def message(**facts: Any) -> Message:
    base = {"id": "demo.a/1/2", "event": Event.ENDED, "at": AT, "source": "demo", "job_id": "a"}
    more = {"monitor_id": "demo.a", "run": 1, "state": "Failed"}
    return message_of([Notice.model_validate({**base, **more, **facts})])


def sent(to: Channel, what: Message | None = None, **options: Any) -> Delivery:
    return Sender(Tokens(), **options).send(to, what or message())


def verified(secret: str, recorded: Recorded) -> Any:
    return Webhook(secret).verify(recorded.body, recorded.headers)


@pytest.fixture
def receiver(server: FaultySource) -> FaultySource:
    server.behave("submit", Reply(204))
    return server


def test_a_message_is_a_signed_cloud_event(receiver: FaultySource) -> None:
    to = webhook(f"{receiver.url}/hook", 'secrets = ["${NEW}"]')
    found = sent(to, settings={"WEBSITE_HOSTNAME": "app.example"})
    assert found == Delivery(delivered=True, detail="HTTP 204")
    (recorded,) = receiver.requests
    assert recorded.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    event = verified(NEW, recorded)
    assert (event["specversion"], event["id"], event["source"], event["type"]) == (
        "1.0",
        "demo.a/1/2",
        "https://app.example/api/monitors",
        "jobmonitor.ended",
    )
    with pytest.raises(WebhookVerificationError):
        verified(OLD, recorded)


def test_two_secrets_give_two_signatures(receiver: FaultySource) -> None:
    sent(webhook(receiver.url, 'secrets = ["${OLD}", "${NEW}"]'))
    (recorded,) = receiver.requests
    assert verified(OLD, recorded) == verified(NEW, recorded)


def test_a_repeated_message_has_the_same_id(receiver: FaultySource) -> None:
    for _ in range(2):
        sent(webhook(receiver.url, 'secrets = ["${NEW}"]'))
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


@pytest.mark.parametrize("text", ["\u202e\r\n\U0001f600", "x" * 1_000_000, '"\\\ud800'])
def test_any_text_of_a_job_arrives_signed(receiver: FaultySource, text: str) -> None:
    sent(webhook(receiver.url, 'secrets = ["${NEW}"]'), message(message=text, job_id="a\r\nX: y"))
    assert verified(NEW, receiver.requests[0])["data"]["jobId"] == "a\r\nX: y"
    assert "X" not in receiver.requests[0].headers


def test_a_channel_has_headers_and_credentials_of_its_own(receiver: FaultySource) -> None:
    more = 'headers = {X-Team = "data"}\nauth = {kind = "bearer", token = "${KEY}"}'
    sent(webhook(receiver.url, more))
    headers = receiver.requests[0].headers
    assert (headers["X-Team"], headers["Authorization"]) == ("data", f"Bearer {SETTINGS['KEY']}")


HOSTILE = {
    "redirect-other": "HTTP 302: redirects are not followed",
    "redirect-huge": "HTTP 302: redirects are not followed",
    "500": "HTTP 500: Internal error",
    "401": "HTTP 401",
    "reset": "the connection failed: Connection reset by peer",
    "hang-up": "the connection failed: ",
    "slow-headers": "no complete answer within 0.3 s",
    "drip-headers": "no complete answer within 0.3 s",
    "drip": "no complete answer within 0.3 s",
    "drip-chunks": "no complete answer within 0.3 s",
    "cut-off": "the connection failed: ",
    "broken-chunks": "the connection failed: ",
}


@pytest.mark.parametrize("behaviour", HOSTILE)
def test_a_hostile_receiver_is_an_outcome(server: FaultySource, behaviour: str) -> None:
    server.elsewhere = server.url
    server.behave("submit", behaviour)
    begin = time.monotonic()
    found = sent(webhook(f"{server.url}/hook", "http.timeout_seconds = 0.3"))
    assert not found.delivered
    assert found.detail.startswith(HOSTILE[behaviour])
    assert time.monotonic() - begin < SLOW_SECONDS - 1
    assert len(server.requests) == 1


def test_a_huge_answer_is_not_read(server: FaultySource) -> None:
    server.behave("submit", "huge")
    server.bytes_sent = 0
    assert sent(webhook(server.url)).delivered  # its status says so
    assert server.bytes_sent < HUGE // 4


@pytest.mark.parametrize(
    ("reply", "detail", "wait"),
    [
        (Reply(410), "HTTP 410, the receiver is gone for good", None),
        (Reply(429, b"", (("Retry-After", "7"),)), "HTTP 429", 7),
        (
            Reply(503, b"busy", (("Retry-After", "Fri, 02 Jan 2026 03:04:15 GMT"),)),
            "HTTP 503: busy",
            10,
        ),
        (Reply(502, b" <!DOCTYPE html><p>Bad"), "HTTP 502, with a page of HTML", None),
        (Reply(500, b"x" * 100_000), "HTTP 500, with a long answer", None),
        (Reply(400, b"\xff\x00 no\r\nsuch\x1b thing"), "HTTP 400: \ufffd no  such thing", None),
        (Reply(500, b"", (("X-Long", "x" * 10_000),)), "HTTP 500", None),
        (Reply(304), "HTTP 304: redirects are not followed", None),
    ],
)
def test_an_answer_is_told(server: FaultySource, reply: Reply, detail: str, wait: float) -> None:
    server.behave("submit", reply)
    found = sent(webhook(server.url), now=lambda: AT)
    assert found == Delivery(delivered=False, detail=detail, retry_after_seconds=wait)


def test_a_header_that_is_too_long_is_an_outcome(server: FaultySource) -> None:
    server.behave("submit", Reply(200, b"", (("X-Long", "x" * 100_000),)))
    found = sent(webhook(server.url))
    assert (found.delivered, found.detail[:21]) == (False, "the connection failed")


def test_an_answer_that_repeats_secrets_is_cleaned(server: FaultySource) -> None:
    server.behave("submit", "echo-all-500")
    url = f"{server.url}/services/abcdefghijklmnopqrstuvwx?code=0123456789abcdef0123"
    more = 'secrets = ["${NEW}"]\nauth = {kind = "bearer", token = "${KEY}"}'
    found = sent(channel('kind = "webhook"\nurl = "${URL}"\n' + more, {"URL": url}))
    assert found.detail.startswith("HTTP 500: ")
    for secret in (SETTINGS["KEY"], NEW[6:], "abcdefghijklmnopqrstuvwx", "0123456789abcdef0123"):
        assert secret not in found.detail


def test_a_receiver_that_nobody_can_reach_is_an_outcome() -> None:
    refused = sent(webhook("http://127.0.0.1:9"))
    assert refused == Delivery(delivered=False, detail="the connection failed: Connection refused")
    unknown = sent(webhook("https://no-such-host.invalid/secret-path-of-the-receiver"))
    assert not unknown.delivered
    assert "secret-path" not in unknown.detail


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    pem = self_signed(tmp_path / "server.pem")
    with FaultySource(tls=serving(pem)) as server:
        server.behave("submit", Reply(204))
        found = sent(webhook(server.url))
        assert not found.delivered
        assert "certificate" in found.detail.lower()
        assert sent(webhook(server.url, f'http.ca_file = "{pem}"')).delivered


class _Credential:
    """Gives another token each time."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.scopes += scopes
        return AccessToken(f"entra-token-{len(self.scopes)}", int(utc_now().timestamp()) + 3600)


def test_event_grid_gets_a_cloud_event_with_a_key(receiver: FaultySource) -> None:
    table = f'kind = "event-grid"\nurl = "{receiver.url}/api/events"\nkey = "${{KEY}}"'
    assert sent(channel(table)).delivered
    (recorded,) = receiver.requests
    assert recorded.headers["aeg-sas-key"] == SETTINGS["KEY"]
    assert recorded.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert json.loads(recorded.body)["subject"] == "demo.a"


def test_event_grid_gets_a_token_of_the_apps_identity(server: FaultySource) -> None:
    server.behave("submit", Reply(401), Reply(200))
    credential = _Credential()
    sender = Sender(Tokens(lambda _: credential))
    to = channel(f'kind = "event-grid"\nurl = "{server.url}/api/events"')
    assert sender.send(to, message()).delivered
    tokens = [each.headers["Authorization"] for each in server.requests]
    assert tokens == ["Bearer entra-token-1", "Bearer entra-token-2"]
    assert credential.scopes == ["https://eventgrid.azure.net/.default"] * 2


def test_an_answer_that_repeats_the_token_is_cleaned(server: FaultySource) -> None:
    server.behave("submit", "echo-all-500")
    to = channel(f'kind = "event-grid"\nurl = "{server.url}/api/events"')
    found = Sender(Tokens(lambda _: _Credential())).send(to, message())
    assert found.detail.startswith("HTTP 500: ")
    assert "entra-token" not in found.detail


PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "slack": (
        'parameters.url = "URL"',
        {
            "blocks": [
                {
                    "type": "header",
                    "text": {"type": "plain_text", "text": "demo: a Failed", "emoji": False},
                },
                {
                    "type": "section",
                    "text": {
                        "type": "plain_text",
                        "text": "Job: a\nSource: demo\nState: Failed\nMonitor: demo.a, run 1",
                        "emoji": False,
                    },
                },
            ]
        },
    ),
    "teams": (
        'parameters.url = "URL"',
        {
            "type": "message",
            "attachments": [
                {
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "contentUrl": None,
                    "content": {
                        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                        "type": "AdaptiveCard",
                        "version": "1.4",
                        "body": [
                            {
                                "type": "RichTextBlock",
                                "inlines": [
                                    {
                                        "type": "TextRun",
                                        "text": "demo: a Failed",
                                        "weight": "bolder",
                                    }
                                ],
                            },
                            *(
                                {
                                    "type": "RichTextBlock",
                                    "spacing": "none",
                                    "inlines": [{"type": "TextRun", "text": line}],
                                }
                                for line in (
                                    "Job: a",
                                    "Source: demo",
                                    "State: Failed",
                                    "Monitor: demo.a, run 1",
                                )
                            ),
                        ],
                    },
                }
            ],
        },
    ),
    "pagerduty": (
        'parameters = {url = "URL", routing_key = "${KEY}"}',
        {
            "routing_key": SETTINGS["KEY"],
            "event_action": "trigger",
            "dedup_key": "demo.a",
            "payload": {
                "summary": "demo: a Failed",
                "source": "demo",
                "severity": "error",
                "timestamp": "2026-01-02T03:04:05+00:00",
            },
        },
    ),
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sends_the_form_of_its_system(receiver: FaultySource, name: str) -> None:
    parameters, expected = PRESETS[name]
    to = channel(f'preset = "{name}"\n{parameters.replace("URL", receiver.url)}')
    assert sent(to).delivered
    (recorded,) = receiver.requests
    assert recorded.headers["Content-Type"] == "application/json"
    body = json.loads(recorded.body)
    if name == "pagerduty":
        assert body["payload"].pop("custom_details")["jobId"] == "a"
    assert body == expected


def test_every_preset_is_tried() -> None:
    assert {f"channels/{name}" for name in PRESETS} == {
        name for name in all_presets() if name.startswith("channels/")
    }


def test_pagerduty_resolves_what_is_seen_again(receiver: FaultySource) -> None:
    parameters, _ = PRESETS["pagerduty"]
    to = channel(f'preset = "pagerduty"\n{parameters.replace("URL", receiver.url)}')
    sent(to, message(event=Event.SEEN, state="Monitoring"))
    body = json.loads(receiver.requests[0].body)
    assert (body["event_action"], body["dedup_key"]) == ("resolve", "demo.a")


@pytest.mark.parametrize(("state", "action"), [("failing", "trigger"), ("over", "resolve")])
def test_pagerduty_has_one_incident_for_the_trouble_of_the_app(
    receiver: FaultySource, state: str, action: str
) -> None:
    parameters, _ = PRESETS["pagerduty"]
    to = channel(f'preset = "pagerduty"\n{parameters.replace("URL", receiver.url)}')
    sent(to, message_of([Notice(id="trouble/1", event=Event.TROUBLE, at=AT, state=state)]))
    body = json.loads(receiver.requests[0].body)
    assert (body["event_action"], body["dedup_key"]) == (action, "job-monitor")


def test_an_expression_that_fails_is_an_outcome_without_its_secret(receiver: FaultySource) -> None:
    to = webhook(receiver.url, "body = \"join('${KEY}', data.run)\"")
    found = sent(to)
    what = "the expression of the body fails on this message"
    assert found == Delivery(delivered=False, detail=what)
