"""What a source's answer to a poll means.

1. The HTTP status decides alone unless it is 2xx.
2. A 2xx answer is read as strict JSON; one that can't be read leaves the job unseen.
3. The status expression gives the raw status, and the source's lists give its outcome.

`read_answer` never raises: what a source sends is data, however broken. Its texts are cut,
freed of control characters and of the source's own credentials before they go anywhere.
"""

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NoReturn

from domain.limits import MAX_POLL_INTERVAL_SECONDS
from domain.outcome import Outcome, Poll
from domain.sources.expression import Expression
from domain.sources.source import Source
from domain.text import carriable

SUCCESS = range(200, 300)
_REDIRECT = range(300, 400)
_RAW_STATUS_LENGTH = 256
_MESSAGE_LENGTH = 1024
_LONGEST_NUMBER = 32  # characters; no progress needs more, and long ones are slow to read


def read_answer(
    source: Source, http_status: int, headers: Mapping[str, str], body: bytes | None, now: datetime
) -> Poll:
    """The poll that an HTTP answer amounts to.

    Args:
        source: Whose answer it is.
        http_status: The answer's status code.
        headers: Its headers; names in any case.
        body: Its content, decompressed; None if that was over the source's limit.
        now: The time of the answer, with an offset; an HTTP date is relative to it.
    """
    retry = _retry_after(headers, now)
    refusal = _refusal(http_status)
    if refusal:
        outcome, detail = refusal
        return Poll(outcome=outcome, detail=detail, retry_after_seconds=retry)
    try:
        document = read_json(source, body)
    except ValueError as error:
        return Poll(outcome=Outcome.UNREACHABLE, detail=str(error), retry_after_seconds=retry)
    raw, outcome, why = _status(source, document)
    return Poll(
        outcome=outcome,
        raw_status=None if raw is None else clean(source, raw, _RAW_STATUS_LENGTH),
        progress=_progress(source.status.progress, document),
        message=_message(source, document),
        retry_after_seconds=retry,
        detail=why,
    )


def read_json(source: Source, body: bytes | None) -> object:
    """The JSON value of an answer; raises ValueError with a text that is safe to show."""
    if body is None:
        raise ValueError(f"the answer is larger than {source.http.max_answer_bytes} bytes")
    if not body.strip():
        raise ValueError("the answer is empty")
    try:
        # Some services put a byte order mark in front; strict parsers of JSON refuse it.
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise ValueError("the answer is not UTF-8") from None
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
    except ValueError:  # its own text would quote the answer
        what = "HTML" if body.lstrip().startswith(b"<") else "not JSON"
        raise ValueError(f"the answer is {what}") from None


def clean(source: Source, text: str, length: int) -> str:
    """The text without credentials and control characters, at most `length` characters long."""
    start = source.redact(text)[: 4 * length]  # an answer of 16 MiB is not walked by character
    characters = (" " if each.isspace() else each for each in start)
    # Half a surrogate pair (Cs) is legal in JSON and can't be stored.
    shown = "".join(each for each in characters if unicodedata.category(each) not in {"Cc", "Cs"})
    shown = carriable(shown)
    return shown.strip()[:length]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are Python's, not JSON's


def _refusal(http_status: int) -> tuple[Outcome, str] | None:
    match http_status:
        case 404 | 410:
            return Outcome.NOT_FOUND, f"HTTP {http_status}"
        case 401 | 403:
            return Outcome.UNAUTHORIZED, f"HTTP {http_status}: the source refuses the credentials"
        case 429:
            return Outcome.THROTTLED, "HTTP 429: the source wants fewer requests"
        case _ if http_status in SUCCESS:
            return None
        case _ if http_status in _REDIRECT:
            what = "a redirect to another origin, or one too many, is not followed"
            return Outcome.UNREACHABLE, f"HTTP {http_status}: {what}"
        case _:
            return Outcome.UNREACHABLE, f"HTTP {http_status}"


def _status(source: Source, document: object) -> tuple[str | None, Outcome, str | None]:
    """Raw status, outcome, and the reason if that is UNRECOGNISED."""
    expression = source.status.status
    try:
        value = expression.search(document)
    except ValueError as error:
        return None, Outcome.UNRECOGNISED, str(error)
    if isinstance(value, bool | int):
        value = json.dumps(value)
    if not isinstance(value, str):
        kind = "nothing" if value is None else "no text"
        return None, Outcome.UNRECOGNISED, f"the expression {expression.text} gives {kind}"
    outcome = source.outcomes.outcome_of(value)
    listed = outcome is not Outcome.UNRECOGNISED
    return value, outcome, None if listed else "no list of outcomes holds this status"


def _progress(expression: Expression | None, document: object) -> float | None:
    try:
        value = expression.search(document) if expression else None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
            return None
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return min(max(number, 0.0), 100.0) if math.isfinite(number) else None


def _message(source: Source, document: object) -> str | None:
    expression = source.status.message
    try:
        value = expression.search(document) if expression else None
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return None if value is None else clean(source, text, _MESSAGE_LENGTH) or None


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait, of either form of the header; None for what is past or makes no sense."""
    value = next((headers[name] for name in headers if name.lower() == "retry-after"), "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return min(float(value), MAX_POLL_INTERVAL_SECONDS)
    try:
        date = parsedate_to_datetime(value)
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(seconds, MAX_POLL_INTERVAL_SECONDS) if seconds >= 0 else None
