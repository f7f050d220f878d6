"""I9: what a source's configuration says in confidence is in no text that it shows."""

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from domain.sources.file import load_sources
from domain.sources.redaction import redact
from domain.sources.source import Source

TEXT = """
[sources.demo.headers]
X-Tenant = "${TENANT}"
X-Api-Key = "planted-literal-key"
Cookie = "session=planted-cookie"
X-Version = "2026-01-01-preview"
[sources.demo.status]
method = "POST"
url = "https://${HOST}/${PATH}/{job_id}?v=1&q=${QUERY}&sig=planted-in-a-query%3D"
status = "status"
headers = { Content-Type = "application/vnd.api+json", X-Auth = "Token planted-scheme" }
body = { id = "{job_id}", filter = "is ${BODY}", password = "planted-password", list = ["${LIST}"] }
[sources.demo.submit]
url = "https://${HOST}/jobs"
job_id = "id"
body = { token = "{job.token}", api_key = "planted-api-key", job = "{job}" }
[sources.demo.cancel]
url = "https://${HOST}/jobs/{job_id}"
headers = { X-Tenant = "x${CANCEL}x" }
[sources.demo.outcomes]
succeeded = ["${STATUS}"]
[sources.demo.auth]
kind = "basic"
username = "me"
password = "${PASSWORD}"
"""
SETTINGS = {
    "TENANT": "planted-tenant",
    "HOST": "jobs.example",
    "PATH": "planted-path",
    "QUERY": "planted-q",
    "BODY": 'planted "body" ü',
    "LIST": "planted-list",
    "CANCEL": "planted-cancel",
    "STATUS": "completed",
    "PASSWORD": "planted-basic/ü",
}
SECRETS = [
    "planted-tenant",
    "planted-literal-key",
    "planted-cookie",
    "planted-path",
    "planted-q",
    "planted-in-a-query=",
    "planted-in-a-query%3D",
    "planted-scheme",
    'planted "body" ü',
    "planted-password",
    "planted-list",
    "planted-api-key",
    "planted-cancel",
    "planted-basic/ü",
    "bWU6cGxhbnRlZC1iYXNpYy/DvA==",
]
PUBLIC = ["jobs.example", "2026-01-01-preview", "application/vnd.api+json", "completed", "v=1"]


@pytest.fixture(scope="module")
def source() -> Source:
    return load_sources(TEXT, SETTINGS).get("demo")


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_shown(source: Source, secret: str) -> None:
    for form in (secret, quote(secret, safe=""), json.dumps(secret)):
        shown = source.redact(f"before {form} after")
        assert "***" in shown
        assert "lanted" not in shown
        assert shown.startswith("before ")
        assert shown.endswith(" after")
    assert secret not in repr(source)


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_no_secret_is_shown(source: Source, text: str) -> None:
    assert source.redact(f"it says {text}.") == f"it says {text}."


def test_the_longest_secret_goes_first() -> None:
    assert redact("abcd abcde", {"abcd", "abcde"}) == "*** ***"


def test_a_short_text_is_no_secret() -> None:
    assert redact("x is no secret", {"", "x", "is", "no"}) == "x is no secret"


@pytest.mark.parametrize(
    "line",
    [
        'url = "https://user:planted@jobs.example/{job_id}"',
        'url = "https://jobs.example/planted?key=planted"',
        'url = "planted planted"',
        'url = "https://jobs.example/{job_id}"\nheaders = { X-Key = "planted\\u00fc" }',
        'url = "https://jobs.example/{job_id}"\nheaders = { X-Key = ["planted"] }',
        'url = "https://jobs.example/"\nmethod = "POST"\nbody = { a = "{job_planted}" }',
    ],
)
def test_no_fault_repeats_a_value(line: str) -> None:
    text = f"[sources.demo.status]\n{line}\n[sources.demo.outcomes]\nsucceeded = []"
    with pytest.raises(Exception, match="demo") as caught:
        load_sources(text, {})
    assert "planted" not in str(caught.value)


# -- encodings -----------------------------------------------------------------------------------

SAMPLES = [
    "planted+secret/with=signs",
    'planted "quoted" \\ ü&<> secret',
    "planted-%2B-and-%41-escaped",
    "Zürich-密-😀-planted",
    "plantedAB12",
    "pw/+",
]


def json_escaped(text: str) -> str:
    """Every character as \\uXXXX, as some libraries write all that is no letter."""
    data = text.encode("utf-16-be")
    return "".join(f"\\u{data[at : at + 2].hex()}" for at in range(0, len(data), 2))


def in_lines(text: str) -> str:
    """Base64 as in mails, of a longer text."""
    return base64.encodebytes(f"{'x' * 50}{text}{'y' * 99}".encode()).decode()


def mixed(text: str) -> str:
    """Every other character escaped, each time in another way."""
    ways: list[Encode] = [
        lambda c: c,
        lambda c: quote(c, safe="").lower(),
        lambda c: f"&#{ord(c):05};",
        json_escaped,
    ]
    return "".join(ways[at % 4](c) for at, c in enumerate(text))


Encode = Callable[[str], str]
NAMES = {"+": "plus", "/": "sol", "=": "equals", "&": "amp", "<": "lt", '"': "quot", "ü": "uuml"}
ENCODINGS: dict[str, Encode] = {
    "as it is": lambda text: text,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, no ASCII needed": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON, slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON, signs": lambda text: text.replace("\\", "\\\\").replace("+", "\\u002B"),
    "JSON, all": json_escaped,
    "JSON, all, capitals": lambda text: json_escaped(text).upper().replace("\\U", "\\u"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text))[1:-1],
    "percent": lambda text: quote(text, safe=""),
    "percent, small": lambda text: re.sub("%..", lambda m: m[0].lower(), quote(text, safe="")),
    "percent, slashes left": quote,
    "percent, all": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "form": quote_plus,
    "HTML": lambda text: html.escape(text, quote=True),
    "HTML, decimal": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(c):04X};" for c in text),
    "HTML, named": lambda text: "".join("&" + NAMES.get(c, f"#{ord(c)}") + ";" for c in text),
    "HTML in JSON": lambda text: json.dumps(html.escape(text)).replace("&", "\\u0026"),
    "percent in HTML": lambda text: html.escape(quote(text, safe="")).replace("%", "&percnt;"),
    "mixed": mixed,
    "programs": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 of more": lambda text: base64.b64encode(f"u:{text}:end".encode()).decode(),
    "base64 of yet more": lambda text: base64.b64encode(f"us:{text}:end".encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(
        f"{'x' * 50}{text}{'y' * 99}".encode()
    ).decode(),
    "base64 in lines in JSON": lambda text: json.dumps(in_lines(text)),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "base64 of JSON": lambda text: base64.b64encode(json.dumps({"k": text}).encode()).decode(),
    "base64 of percent": lambda text: base64.b64encode(quote(text, safe="").encode()).decode(),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "base64 in percent": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, capitals": lambda text: text.encode().hex().upper(),
    "with characters that are not shown": "\x00".join,
}


@pytest.mark.parametrize("secret", SAMPLES)
@pytest.mark.parametrize("way", ENCODINGS)
def test_a_secret_is_found_however_it_is_encoded(way: str, secret: str) -> None:
    """I9."""
    text = ENCODINGS[way](secret)
    shown = redact(f"before {text} after", {secret})
    assert "***" in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert len(shown.replace("***", "")) <= len("before  after") + 6, shown  # quotes of JSON


@pytest.mark.parametrize("secret", SAMPLES)
@pytest.mark.parametrize("way", ENCODINGS)
def test_text_without_a_secret_is_left_alone(way: str, secret: str) -> None:
    text = f"before {ENCODINGS[way]('nothing to hide &amp; %41 here')} after"
    assert redact(text, {secret}) == text


def test_a_text_that_is_all_escapes_is_left_alone() -> None:
    for part in ("%41", "\\u0041", "&amp;", "QUJD", "\\\\", "&#x0041;"):
        assert redact(part * 10_000, {"planted-secret"}) == part * 10_000


def test_a_secret_in_bytes_that_are_no_text_is_no_trouble() -> None:
    """As an app setting may be, whose bytes are no UTF-8."""
    assert redact("a planted\udcff b", {"planted\udcff"}) == "a *** b"
