"""Channels as the files have them: checked whole, with every fault at its place."""

import base64
from datetime import UTC, datetime

import pytest

from domain.errors import Fault
from domain.notices.channel import Channel, EventGridChannel, WebhookChannel
from domain.notices.notice import Event, Notice
from domain.sources.file import Sources, read_sources

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
HIDDEN = "T0000/B0000/abcdefghijklmnopqrstuvwx"
SETTINGS = {"SECRET": SECRET, "URL": f"https://hooks.example/services/{HIDDEN}", "PASSWORD": "pa55"}
SOURCE = """
[sources.demo]
status.url = "https://jobs.example/{job_id}"
status.status = "state"
outcomes.succeeded = ["ok"]
"""
WEBHOOK = '[channels.x]\nkind = "webhook"\nurl = "https://hooks.example/x"\n'
EMAIL = '[channels.x]\nkind = "email"\nhost = "smtp.example"\nfrom = "a@x.example"\n'


def read(channels: str, source: str = SOURCE, **presets: str) -> Sources:
    files = {"sources.toml": source, "channels.toml": channels}
    return read_sources(files, SETTINGS, {f"channels/{name}": t for name, t in presets.items()})


def channel(text: str, **presets: str) -> Channel:
    sources = read(text, **presets)
    assert sources.all_faults == []
    return sources.channels.by_name["x"]


def faults(text: str, source: str = SOURCE, **presets: str) -> list[Fault]:
    return read(text, source, **presets).all_faults


def test_a_file_may_hold_channels_alone() -> None:
    sources = read(WEBHOOK, SOURCE + 'notify = ["x"]')
    assert sources.all_faults == []
    assert (sources.default, sources.get(None).notify) == ("demo", ("x",))
    assert sources.channels.by_name["x"].kind == "webhook"


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        ("[channels.X]\nkind = 'webhook'\nurl = 'https://x'", "X", "must be a name of 1 to 32"),
        ("[channels.x]\nurl = 'https://x'", "x] kind", "must be webhook, event-grid, email or"),
        ("[channels.x]\nkind = 'pigeon'", "x] kind", "must be webhook, event-grid, email or"),
        ("[channels.x]\nkind = []", "x] kind", "must be webhook, event-grid, email or"),
        ("[channels.x]\nkind = 'webhook'", "x] url", "is missing"),
        (WEBHOOK + "colour = 1", "x] colour", "is not known"),
        (WEBHOOK + "name = 'y'", "x] name", "is not known"),
        (WEBHOOK.replace("https", "http"), "x] url", "must be https"),
        (WEBHOOK.replace("//", "//user:secret@"), "x] url", "must not hold a user name"),
        (WEBHOOK + "secrets = ['secret']", "x] secrets[0]", "must be whsec_ and"),
        (WEBHOOK + "secrets = ['whsec_c2hvcnQ=']", "x] secrets[0]", "must be whsec_ and"),
        (WEBHOOK + "body = 'data.'", "x] body", "is no JMESPath expression"),
        (WEBHOOK + "headers = {Host = 'y'}", "x.headers] Host", "is a header that can't be set"),
        (WEBHOOK + "http.timeout_seconds = 11", "x.http] timeout_seconds", "must be less than"),
        (WEBHOOK + "http.follow_redirects = [302]", "x.http] follow_redirects", ""),
        (
            WEBHOOK + "auth = {kind = 'bearer', token = 't'}\nheaders = {Authorization = 'x'}",
            "x.headers] Authorization",
            "is set by auth already",
        ),
        (WEBHOOK + "filter.states = ['Failled']", "x.filter] states[0]", "must be 'Monitoring'"),
        (WEBHOOK + "filter.states = ['Monitoring']", "x.filter] states", "must hold final states"),
        (
            WEBHOOK + "filter = {events = ['blind'], states = ['Failed']}",
            "x.filter] states",
            "has no effect, for events does not hold ended",
        ),
        (WEBHOOK + "filter.events = ['end']", "x.filter] events[0]", "must be 'ended'"),
        (
            WEBHOOK + "filter.sources = ['demoo']",
            "x.filter] sources[0]",
            "is not configured",
        ),
        (EMAIL + "to = []", "x] to", "must not be empty"),
        (EMAIL + 'to = ["a@x.example\\r\\nBcc: b@x.example"]', "x] to[0]", "must be an address"),
        (EMAIL + "to = ['Ops <a@x.example']", "x] to[0]", "must be an address"),
        (EMAIL + "to = ['a@x.example']\ntls = 'none'", "x", "must have tls = starttls"),
        (EMAIL + "to = ['a@x.example']\nusername = 'u'", "x", "must have username and password"),
        ("[channels.x]\nkind = 'apprise'\nurl = 'slack'", "x] url", "must be a URL of Apprise"),
        ("[channels.x]\nkind = 'apprise'\nurl = '${NONE}'", "x] url", "needs the app setting NONE"),
        (
            "[channels.x]\nkind = 'event-grid'\nurl = 'https://x'\nauth.kind = 'none'",
            "x",
            "takes key or client_id in the place of auth",
        ),
    ],
)
def test_each_fault_is_named_at_its_place(text: str, key: str, what: str) -> None:
    found = faults(text)
    place = f"channels.toml [channels.{key}" if "]" in key else f"channels.toml [channels] {key}"
    assert [(fault.where, fault.what[: len(what)]) for fault in found] == [(place, what)]
    assert "secret" not in found[0].what
    assert read(text).by_name  # the fault of a channel is none of a source


def test_a_source_can_tell_only_channels_that_there_are() -> None:
    sources = read(WEBHOOK, SOURCE + 'notify = ["x", "y"]')
    where = "sources.toml [sources.demo] notify[1]"
    assert sources.all_faults == [(where, "is not configured; there are: x")]
    assert sources.disabled.keys() == {"demo"}


def test_a_faulty_channel_does_not_disable_the_source_that_names_it() -> None:
    sources = read(WEBHOOK + "colour = 1", SOURCE + 'notify = ["x"]')
    assert ([*sources.by_name], [*sources.channels.disabled]) == (["demo"], ["x"])


def test_a_name_in_two_files_is_a_fault_of_neither_alone() -> None:
    files = {"a.toml": SOURCE, "b.toml": WEBHOOK, "c.toml": WEBHOOK}
    (fault,) = read_sources(files, {}).all_faults
    assert fault == ("[channels.x]", "is in b.toml and c.toml; a name must be in one file")


def test_no_part_of_a_url_that_is_a_setting_is_repeated() -> None:
    found = channel('[channels.x]\nkind = "webhook"\nurl = "${URL}"\nsecrets = ["${SECRET}"]')
    assert found.receiver == "hooks.example"
    shown = found.redact(f"not {HIDDEN} at {SETTINGS['URL']} with {SECRET}, {SECRET[6:]}")
    assert not {HIDDEN[-24:], SECRET[6:], "abcdefgh"} & {*shown.replace(",", " ").split()}
    assert HIDDEN[-10:] not in shown
    assert repr(found).count("hooks.example") == 0


def test_no_part_of_an_apprise_url_is_repeated() -> None:
    url = "mailtos://user%40x.example:pa55word@smtp.example?to=ops@x.example&token=tok3n"
    found = channel(f'[channels.x]\nkind = "apprise"\nurl = "{url}"')
    assert found.receiver == "mailtos"
    shown = found.redact("pa55word tok3n user@x.example smtp.example failed")
    assert shown.split() == ["***", "***", "***", "***", "failed"]


def test_an_event_grid_channel_has_a_key_or_an_identity() -> None:
    text = '[channels.x]\nkind = "event-grid"\nurl = "https://t.eventgrid.azure.net/api/events"\n'
    keyed = channel(text + 'key = "${PASSWORD}"')
    assert isinstance(keyed, EventGridChannel)
    assert keyed.auth_headers() == {"aeg-sas-key": "pa55"}
    assert keyed.redact("pa55") == "***"
    other = channel(text + 'client_id = "c"')
    assert isinstance(other, EventGridChannel)
    assert other.auth.model_dump() == {
        "kind": "managed_identity",
        "scope": "https://eventgrid.azure.net/.default",
        "client_id": "c",
    }


PRESET = """
description = "P"
documentation = ["https://p.example"]
[parameters.key]
doc = "The key"
[channel]
kind = "webhook"
url = "https://p.example/{{key}}"
body = "{k: data.title}"
filter.events = ["ended"]
"""


def test_a_channel_may_have_a_preset() -> None:
    text = '[channels.x]\npreset = "p"\nparameters.key = "a/b"\nfilter.states = ["Failed"]'
    found = channel(text, p=PRESET)
    assert isinstance(found, WebhookChannel)
    assert (found.url, found.description) == ("https://p.example/a%2Fb", "P")
    assert (found.filter.events, found.filter.states) == ((Event.ENDED,), ("Failed",))


def test_the_faults_of_a_channel_with_a_preset_are_named_where_they_are() -> None:
    text = '[channels.x]\npreset = "p"\n'
    assert faults(text, p=PRESET) == [
        (
            "channels.toml [channels.x.parameters] key",
            "is missing: The key (presets/channels/p.toml)",
        )
    ]
    assert faults(text, q=PRESET) == [
        ("channels.toml [channels.x] preset", "is no preset; there are: q")
    ]
    broken = PRESET.replace("data.title", "data.")
    (fault,) = faults(text + 'parameters.key = "a"', p=broken)
    assert fault.where == "presets/channels/p.toml [channel] body"
    assert fault.what.endswith("(with channels.toml [channels.x])")
    found = faults(text, p=PRESET.replace("[channel]", "[chanel]"))
    file = "presets/channels/p.toml"
    assert found == [(f"{file} channel", "is missing"), (f"{file} chanel", "is not known")]


def notice(**facts: object) -> Notice:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    base = {"id": "m/1/1", "event": "ended", "at": at, "source": "demo", "state": "Failed"}
    return Notice.model_validate(base | facts)


@pytest.mark.parametrize(
    ("filter_", "facts", "takes"),
    [
        ("", {}, True),
        ("", {"event": "progress"}, False),
        ("events = ['progress']", {"event": "progress"}, True),
        ("events = ['ended']", {"event": "blind"}, False),
        ("states = ['Failed']", {}, True),
        ("states = ['Lost']", {}, False),
        ("states = ['Lost']", {"event": "blind", "state": "Monitoring"}, True),
        ("sources = ['demo']", {}, True),
        ("sources = ['demo']", {"source": "other"}, False),
        ("sources = ['demo']", {"event": "trouble", "source": None, "state": None}, True),
        ("labels = {team = 'a'}", {"labels": {"team": "a", "x": "y"}}, True),
        ("labels = {team = 'a'}", {"labels": {"team": "b"}}, False),
    ],
)
def test_a_filter_takes_notices(filter_: str, facts: dict[str, object], *, takes: bool) -> None:
    table = "[channels.x.filter]\n" + filter_
    assert channel(WEBHOOK + table).filter.takes(notice(**facts)) is takes
