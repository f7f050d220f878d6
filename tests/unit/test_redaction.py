"""I9: what a source's configuration says in confidence is in no text that it shows."""

import json
from urllib.parse import quote

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
