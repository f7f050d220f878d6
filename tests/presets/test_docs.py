"""The documentation of sources and channels: its examples load, and it leaves no key out."""

import base64
import re
import textwrap
import typing

import pytest
from pydantic import BaseModel
from standardwebhooks.webhooks import WebhookVerificationError

from adapters.clock import utc_now
from adapters.services import all_presets
from domain.notices.channel import AnyChannel, Filter
from domain.notices.cloud_event import signed
from domain.notices.notice import Event
from domain.sources.auth import Auth
from domain.sources.file import load_sources
from domain.sources.hint import HintRules
from domain.sources.listing import LinkPages, ListEndpoint, OffsetPages, TokenPages
from domain.sources.peer import HttpLimits
from domain.sources.request import CancelEndpoint, StatusEndpoint, SubmitEndpoint
from domain.sources.source import Outcomes, Source
from tests.app.loading import ROOT

SETTINGS = {
    "BUILDS_TOKEN": "t",
    "SUBSCRIPTION_ID": "s",
    "OPS_WEBHOOK_SECRET": "whsec_" + base64.b64encode(bytes(32)).decode(),
    "SLACK_WEBHOOK_URL": "https://hooks.example/services/T/B/x",
    "SMTP_PASSWORD": "p",
    "GITHUB_TOKEN": "t",
    "GITHUB_WEBHOOK_SECRET": "a-long-secret-of-a-webhook",
}
DOCS = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
NOTICES = (ROOT / "docs/notices.md").read_text(encoding="utf-8")


def examples(file: str) -> list[str]:
    """The indented blocks of a page that begin with the table of a source or a channel."""
    text = (ROOT / file).read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE)
    found = [textwrap.dedent(block).strip() for block in blocks]
    return [block for block in found if block.startswith(("[sources.", "[channels."))]


KINDS = typing.get_args(Auth)
ENDPOINTS = (StatusEndpoint, ListEndpoint, SubmitEndpoint, CancelEndpoint)
PAGES = (TokenPages, LinkPages, OffsetPages)
TABLES = (Source, *ENDPOINTS, *PAGES, Outcomes, HttpLimits, *KINDS)


@pytest.mark.parametrize(
    ("file", "count"), [("README.md", 1), ("docs/sources.md", 2), ("docs/notices.md", 2)]
)
def test_the_examples_load(file: str, count: int) -> None:
    assert len(examples(file)) == count
    for example in examples(file):
        assert load_sources(example, SETTINGS, presets=all_presets()).default


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_key_is_told(table: type[BaseModel]) -> None:
    keys = table.model_fields.keys() - {"name"} if table is Source else table.model_fields.keys()
    told = set(re.findall(r"`\[?\.?(\w+)\]?`", DOCS)) | {"kind"}
    assert keys <= told


def test_every_kind_of_auth_is_told() -> None:
    for table in KINDS:
        (kind,) = typing.get_args(table.model_fields["kind"].annotation)
        assert f"| `{kind}` |" in DOCS


CHANNELS = typing.get_args(typing.get_args(AnyChannel)[0])


@pytest.mark.parametrize("table", [*CHANNELS, Filter, HintRules], ids=lambda table: table.__name__)
def test_every_key_of_a_channel_and_a_hint_is_told(table: type[BaseModel]) -> None:
    keys = {field.alias or name for name, field in table.model_fields.items()} - {"name", "kind"}
    assert keys <= set(re.findall(r"`(\w+)`", NOTICES))


def test_every_event_and_preset_of_channels_is_told() -> None:
    told = set(re.findall(r"`([\w-]+)`", NOTICES))
    presets = {name.removeprefix("channels/") for name in all_presets() if "/" in name}
    assert {*Event} | presets <= told


@pytest.mark.parametrize("name", ["check", "by hand"])
def test_the_checks_of_a_signature_do_what_they_say(name: str) -> None:
    secret = SETTINGS["OPS_WEBHOOK_SECRET"]
    code = re.search(rf"```python\n# {name}\n(.*?)```", NOTICES, re.DOTALL)
    assert code
    scope: dict[str, typing.Any] = {}
    exec(code[1], scope)  # noqa: S102  the recipe is run as its readers run it
    body = b'{"id": "a"}'
    headers = signed([SETTINGS["OPS_WEBHOOK_SECRET"], secret], "msg_1", utc_now(), body)
    if name == "check":
        assert scope["event_of"](headers, body, secret) == {"id": "a"}
        with pytest.raises(WebhookVerificationError):
            scope["event_of"](headers, body + b" ", secret)
    else:
        assert scope["is_ours"](headers, body, secret)
        assert not scope["is_ours"](headers, body + b" ", secret)
