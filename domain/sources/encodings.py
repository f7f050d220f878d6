"""Finds texts in another text, whatever encoding that has them in.

1. The text is looked at as it is, and with its escapes decoded: those of JSON and of programming
   languages, percent-encoding, and character references of HTML. What comes out may be escaped
   itself, so it is decoded again, four times at the most. Each place in a decoded text has its
   place in the text as it was.
2. Each text is looked for as it is, with `+` for a blank, in hexadecimal, and in Base64 at each of
   its three alignments, since it may be in the midst of a longer text that was encoded.
3. Each run of Base64 is decoded as well, and what comes out is searched in the same way.
"""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

_DEPTH = 4
_RUN_DEPTH = 3  # Base64 in Base64 in Base64
_HEX, _TAIL = "[0-9a-fA-F]", "%[89abAB][0-9a-fA-F]"
_ESCAPE = re.compile(
    rf"\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}"  # two halves of a character
    rf"|\\u\{{{_HEX}{{1,6}}\}}|[\\%]u{_HEX}{{4}}|\\U{_HEX}{{8}}|\\x{_HEX}{{2}}"
    r"|\\[\"'\\/bfnrt]"
    rf"|%[c-dC-D]{_HEX}{_TAIL}|%[eE]{_HEX}(?:{_TAIL}){{2}}|%[fF][0-7](?:{_TAIL}){{3}}|%{_HEX}{{2}}"
    r"|&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});?"
    r"|[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]+"  # left out of every text that is shown
)
_BEGIN = re.compile(r"[\\%&\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_RUN = re.compile(r"[A-Za-z0-9+/_-]{6,}={0,2}")
_WRAP = re.compile(r"(?<=[A-Za-z0-9+/_-])\r?\n(?=[A-Za-z0-9+/_=-])")
_SHORTEST_CORE = 4  # characters of Base64

Span = tuple[int, int]


class Secret(NamedTuple):
    """The forms of a secret: as plain text, and in the midst of Base64."""

    plain: frozenset[str]
    cores: frozenset[str]


class _Piece(NamedTuple):
    """A part of a decoded text, and the part of the text before that it came from."""

    at: int
    begin: int
    end: int
    as_it_was: bool


class _View(NamedTuple):
    """A decoded text, in pieces; none if nothing was decoded."""

    text: str
    pieces: list[_Piece]

    def origin(self, span: Span) -> Span:
        """The place in the text before."""
        if not self.pieces:
            return span
        first, last = (self.pieces[self._index(at)] for at in (span[0], span[1] - 1))
        begin = first.begin + (span[0] - first.at if first.as_it_was else 0)
        return begin, last.begin + span[1] - last.at if last.as_it_was else last.end

    def _index(self, at: int) -> int:
        return bisect_right(self.pieces, at, key=lambda piece: piece.at) - 1


@lru_cache(256)
def forms_of(secret: str) -> Secret:
    """The forms in which a secret is looked for."""
    text = secret.encode(errors="replace")
    plain = {secret, text.decode("latin-1")}  # UTF-8 that was read as Latin-1
    for _ in range(_DEPTH):  # a secret that holds an escape is looked for without it as well
        plain |= {_decoded(each, _ESCAPE).text for each in plain}
    plain = {each for each in plain if len(each) >= min(len(secret), _SHORTEST_CORE)}
    plain |= {each.replace(" ", "+") for each in plain}
    data = {text, secret.encode("utf-16-le", "replace"), quote(text, safe="").encode()}
    for each in data:
        plain |= {each.hex(), each.hex().upper()}
    cores = {core for each in data for core in _cores(each)}
    return Secret(frozenset(plain), frozenset(cores))


def find(text: str, secrets: Collection[str]) -> list[Span]:
    """The places of secrets in a text, in their order; none overlaps or touches another."""
    return _joined(_find(text, [forms_of(secret) for secret in secrets], _RUN_DEPTH))


def _find(text: str, secrets: list[Secret], depth: int) -> Iterator[Span]:
    views = [_View(text, [])]
    for _ in range(_DEPTH):
        yield from (_at_origin(span, views) for span in _in(views[-1].text, secrets, depth))
        wrapped = _decoded(views[-1].text, _WRAP)
        if wrapped.pieces:
            found = _in_base64(wrapped.text, secrets, depth)
            yield from (_at_origin(span, [*views, wrapped]) for span in found)
        views.append(_decoded(views[-1].text, _ESCAPE))
        if not views[-1].pieces:
            return
    yield from (_at_origin(span, views) for span in _in(views[-1].text, secrets, depth))


def _at_origin(span: Span, views: list[_View]) -> Span:
    for view in reversed(views):
        span = view.origin(span)
    return span


def _in(text: str, secrets: list[Secret], depth: int) -> Iterator[Span]:
    for secret in secrets:
        for form in secret.plain:
            yield from _places(text, form)
    yield from _in_base64(text, secrets, depth)


def _in_base64(text: str, secrets: list[Secret], depth: int) -> Iterator[Span]:
    """The runs of Base64 that hold a secret, each whole."""
    cores = [core for secret in secrets for core in secret.cores if core in text]
    for run in _RUN.finditer(text):
        if any(core in run[0] for core in cores) or (
            depth and any(True for data in _data(run[0]) for _ in _find(data, secrets, depth - 1))
        ):
            yield run.span()


def _data(run: str) -> Iterator[str]:
    """The texts that a run of Base64 may be of; an ordinary word is of none."""
    letters = run.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    try:
        data = base64.b64decode(letters + "=" * (-len(letters) % 4))
    except binascii.Error:
        return
    for encoding in ("utf-8", "utf-16-le"):
        if encoding == "utf-8" or b"\0" in data:
            # Without the end of the last character, which may be cut off.
            try:
                yield codecs.getincrementaldecoder(encoding)().decode(data)
            except UnicodeDecodeError:
                continue


def _cores(data: bytes) -> Iterator[str]:
    """The letters of Base64 that are the same whatever stands before and after the data."""
    for before in range(3):
        letters = base64.b64encode(b"\0" * before + data).decode()
        core = letters[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        if len(core) >= _SHORTEST_CORE:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _decoded(text: str, pattern: re.Pattern[str]) -> _View:
    parts, pieces, at, done = [], [], 0, 0
    for found in _finds(text, pattern):
        if pattern is _WRAP:
            plain = ""
        elif (plain := _unescaped(found[0])) == found[0]:
            continue  # an ampersand that begins no reference
        begin, end = found.span()
        if begin > done:
            pieces.append(_Piece(at, done, begin, as_it_was=True))
            parts.append(text[done:begin])
            at += begin - done
        if plain:
            pieces.append(_Piece(at, begin, end, as_it_was=False))
            parts.append(plain)
            at += len(plain)
        done = end
    if not done:
        return _View(text, [])
    if done < len(text):
        pieces.append(_Piece(at, done, len(text), as_it_was=True))
        parts.append(text[done:])
    return _View("".join(parts), pieces)


def _finds(text: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """As `finditer`, and much faster where escapes are few."""
    if pattern is _WRAP:
        yield from pattern.finditer(text)
        return
    done = 0
    while begin := _BEGIN.search(text, done):
        done = begin.end()
        if found := pattern.match(text, begin.start()):
            yield found
            done = found.end()


def _unescaped(escape: str) -> str:
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[0] == "%" and escape[1] != "u":
        data = bytes.fromhex(escape.replace("%", ""))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    if escape[0] not in "\\%":
        return "".join(each for each in escape if unicodedata.category(each) not in {"Cc", "Cs"})
    if escape[1] not in "uUx":
        return _LETTERS.get(escape[1], escape[1])
    numbers = [int(each, 16) for each in re.findall(rf"[uUx]\{{?({_HEX}+)", escape)]
    if len(numbers) > 1:
        return chr(0x10000 + ((numbers[0] - 0xD800) << 10) + (numbers[1] - 0xDC00))
    return chr(numbers[0]) if numbers[0] <= 0x10FFFF else escape  # noqa: PLR2004 - the last one


def _places(text: str, form: str) -> Iterator[Span]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + 1)


def _joined(spans: Iterator[Span]) -> list[Span]:
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined
