"""Which texts of a source's configuration are secret, and how they are kept out of others.

1. Whatever auth holds.
2. An app setting in a header, in a body, or in the path or query of a URL.
3. A literal in a header or body whose name says that it is one: a token, a password.
4. A long value in the query of a URL: function keys and signatures are there.

A text is searched for each secret as it is, percent-encoded and escaped as in JSON.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import quote, unquote, urlsplit

from pydantic import JsonValue

from domain.sources.tree import last_key, leaves

_SHORTEST = 4  # characters; a password "x" is a formality, and is in every other word
_SHORTEST_IN_QUERY = 16  # function keys and signatures have more, dates and formats fewer
_HEADER = re.compile("auth|cookie|credential|key|passw|secret|signature|token", re.IGNORECASE)
_MEMBER = re.compile("api.?key|credential|passw|secret|signature|token", re.IGNORECASE)


def in_headers(headers: Mapping[str, str], settings: Collection[str]) -> Iterator[str]:
    """The secrets in a table of headers."""
    for name, value in headers.items():
        yield from _settings_in(value, settings)
        if _HEADER.search(name):
            yield value
            yield value.partition(" ")[2]  # the part after Bearer, Basic, Token
            yield from (pair.partition("=")[2] for pair in value.split("; "))  # cookies


def in_body(body: JsonValue, settings: Collection[str]) -> Iterator[str]:
    """The secrets in the template of a body."""
    for path, leaf in leaves(body):
        if isinstance(leaf, str):
            yield from _settings_in(leaf, settings)
            if _MEMBER.search(last_key(path)) and "{job" not in leaf:
                yield leaf


def in_url(url: str, settings: Collection[str]) -> Iterator[str]:
    """The secrets in the path and query of a URL."""
    parts = urlsplit(url)
    for text in (parts.path, parts.query):
        yield from _settings_in(text, settings)
        yield from _settings_in(unquote(text), settings)
    for pair in parts.query.split("&"):
        value = pair.partition("=")[2]
        if len(value) >= _SHORTEST_IN_QUERY and "{job" not in value:
            yield value
            yield unquote(value)


def redact(text: str, secrets: Collection[str]) -> str:
    """The text with *** in the place of every secret."""
    forms = {
        form
        for secret in secrets
        if len(secret) >= _SHORTEST
        for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])
    }
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def _settings_in(text: str, settings: Collection[str]) -> Iterator[str]:
    return (value for value in settings if value and value in text)
