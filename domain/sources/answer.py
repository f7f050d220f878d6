"""An answer of a source, as its rules and expressions see it.

1. `whole` is `{httpStatus, headers, body}`, with the names of headers in lower case.
2. The body is read as JSON, whatever the Content-Type says. One byte that is no text, or one word
   that is no JSON (NaN), does not hide the rest: the text is repaired, and `flaw` names the fault.
3. A body that is no JSON is a text. Only the answers that say so (text/plain) have it as their body
   for expressions that see nothing else; `fault` says why others can't be read.

Nothing here raises: the data of a source is data, however broken.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

from domain.sources.peer import Party
from domain.text import both_ends, carriable

# A string, a number, or a word. The end of a string may be missing, so that no text is read twice.
_TOKEN = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"?|-?[0-9][\w.+-]*|(?P<word>[-+]?[A-Za-z_]\w*)', re.DOTALL
)
_SEARCHED, _MARGIN = 65_536, 8_192  # characters at each end of a text; of an encoded secret
_WORDS = {"true", "false", "null"}
_LAST_COMMA = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*"?)|,(?=\s*[}\]])', re.DOTALL)
_CHARSET = re.compile(r"charset=[\"']?([\w-]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Content:
    """The body of an answer.

    Attributes:
        value: The JSON value, else the text; None if there is neither.
        fault: The reason why expressions that see the body alone can't read it.
        flaw: The fault that was repaired to read it.
        is_text: Whether the value is a text that is no JSON.
    """

    value: Any = None
    fault: str | None = None
    flaw: str | None = None
    is_text: bool = False


@dataclass(frozen=True)
class Answer:
    """The answer of a source; the body is decompressed, and None if it is over the limit."""

    http_status: int
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def http_word(self) -> str:
        """The raw status of an answer that has none of its own: `HTTP 204`."""
        return f"HTTP {self.http_status}"

    @cached_property
    def content(self) -> Content:
        """The body, read once."""
        return _content(self.body, self.header("content-type"))

    @cached_property
    def whole(self) -> dict[str, Any]:
        """The answer as rules see it."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        return {"httpStatus": self.http_status, "headers": headers, "body": self.content.value}

    def header(self, name: str) -> str:
        """The value of a header, "" if there is none."""
        return next(
            (self.headers[each] for each in self.headers if each.lower() == name), ""
        ).strip()

    def seen_by(self, *, whole: bool) -> Any:
        """The document of an expression: the whole answer, or its body.

        Raises:
            ValueError: The body can't be read; the text is safe to show.
        """
        if whole:
            return self.whole
        if self.content.fault:
            raise ValueError(self.content.fault)
        return self.content.value


def text_of(body: bytes | None) -> str:
    """A body as people are shown it."""
    return "(over the limit)" if body is None else body.decode("utf-8", "replace")


def clean(party: Party, text: str, length: int) -> str:
    """The text without credentials and control characters, at most `length` characters long.

    The middle of a longer one is left out.
    """
    if len(text) > 2 * _SEARCHED:
        # A secret that this cuts is in the part that is left out.
        head, tail = party.redact(text[:_SEARCHED]), party.redact(text[-_SEARCHED:])
        text = f"{head[:-_MARGIN]} {tail[_MARGIN:]}"
    else:
        text = party.redact(text)
    if len(text) > 8 * length:  # an answer of 16 MiB is not walked by character
        text = f"{text[: 4 * length]} {text[-4 * length :]}"
    characters = (" " if each.isspace() else each for each in text)
    # Half a surrogate pair (Cs) is legal in JSON and can't be stored.
    shown = "".join(each for each in characters if unicodedata.category(each) not in {"Cc", "Cs"})
    return both_ends(carriable(shown).strip(), length)


def _content(body: bytes | None, content_type: str) -> Content:
    if body is None:
        return Content(fault="the answer is larger than the limit")
    if not body.strip():
        return Content(fault="the answer is empty")
    text, is_text = _decoded(body, content_type)
    flaw = None if is_text else "is not UTF-8"
    try:
        return Content(json.loads(text, parse_constant=_refuse), flaw=flaw)
    except RecursionError:
        return Content(fault="the answer is nested too deeply")
    except ValueError:  # its own text would quote the answer
        pass
    if text.lstrip()[:1] in {"{", "["}:
        try:
            value = json.loads(_repaired(text), strict=False, parse_int=_number)
            return Content(value, flaw=flaw or "is not strict JSON")
        except (ValueError, RecursionError):
            pass
    plain = content_type.partition(";")[0].strip().lower() == "text/plain"
    kind = "HTML" if text.lstrip().startswith("<") else "not JSON"
    fault = None if plain else f"the answer is {kind}"
    return Content(text.strip(), fault=fault, is_text=True)


def _decoded(body: bytes, content_type: str) -> tuple[str, bool]:
    """The text, and whether each byte of it was one."""
    declared = _CHARSET.search(content_type)
    # Some services put a byte order mark in front; strict parsers of JSON refuse it.
    for encoding in (json.detect_encoding(body), declared[1] if declared else "utf-8"):
        try:
            return body.decode(encoding), True
        except (UnicodeDecodeError, LookupError):
            continue
    return body.decode("utf-8", "replace"), False


def _repaired(text: str) -> str:
    """The text with null for each word that JSON does not have, and no comma before a bracket."""
    words = _TOKEN.sub(lambda m: m[0] if m["word"] in {None, *_WORDS} else "null", text)
    return _LAST_COMMA.sub(lambda m: m[1] or "", words)


def _number(digits: str) -> int | None:
    try:
        return int(digits)
    except ValueError:  # Python refuses those of more than 4,300 digits
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are Python's, not JSON's
