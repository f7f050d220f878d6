"""The kind of an answer, by the rules of its endpoint.

1. The rules that the endpoint gives are asked first: throttled, not_found, unauthorized, ok.
2. Then the HTTP status that a list of outcomes names (`HTTP 409`), unless there is a body to read.
3. Then the defaults, in the same order. `not_found` and `ok`, on which the end of a watch hangs,
   take the place of their defaults; the others add to theirs.

An expression that fails on an answer does not hold for it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from domain.limits import MAX_POLL_INTERVAL_SECONDS
from domain.sources.answer import Answer
from domain.sources.expression import Expression, is_true
from domain.sources.job_id import JobId
from domain.sources.request import Endpoint
from domain.sources.source import Outcomes

_SUCCESS = range(200, 300)
_REMAINING = ("x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining")
_RESET = ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")
_EPOCH = 1_000_000_000  # a smaller number is a time from now; a bigger one, a date of Unix
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")


class Kind(StrEnum):
    """The kinds of answers. A listed one is told by its HTTP status alone."""

    THROTTLED = "throttled"
    NOT_FOUND = "not_found"
    UNAUTHORIZED = "unauthorized"
    OK = "ok"
    LISTED = "listed"
    TROUBLE = "trouble"


@dataclass(frozen=True)
class Ruling:
    """The kind of an answer, and how that was decided.

    Attributes:
        kind: The kind.
        rule: The rule, for people.
        given: Whether the source gave the rule; else it is a default.
        wait: The time in seconds that the rule itself asks for.
    """

    kind: Kind
    rule: str
    given: bool = False
    wait: float | None = None


def rule_on(
    endpoint: Endpoint,
    answer: Answer,
    job_id: JobId | None = None,
    outcomes: Outcomes | None = None,
) -> Ruling:
    """The kind of an answer.

    Args:
        endpoint: The endpoint that was asked.
        answer: Its answer.
        job_id: The job that it is about.
        outcomes: The lists that may name its HTTP status, if it tells of a job.
    """
    defaults = _DEFAULTS if hasattr(endpoint, Kind.THROTTLED) else {Kind.OK: _DEFAULTS[Kind.OK]}
    rules: dict[Kind, Expression | None] = {kind: getattr(endpoint, kind) for kind in defaults}
    for kind, rule in rules.items():
        value = holds(rule, answer, job_id) if rule else None
        if rule and is_true(value):
            return Ruling(kind, f"{kind} = {rule.text}", given=True, wait=_seconds(value))
    to_read = endpoint.ok is None and answer.http_status in _SUCCESS
    listed = outcomes.listed(answer.http_word) if outcomes and not to_read else None
    if listed:
        return Ruling(Kind.LISTED, f"outcomes.{listed} lists {answer.http_word}", given=True)
    for kind, rule in rules.items():
        if (rule is None or kind in _ADDED) and defaults[kind](answer):
            return Ruling(kind, f"{kind}, by default for {answer.http_word}")
    return Ruling(Kind.TROUBLE, f"no rule holds for {answer.http_word}")


def holds(rule: Expression, answer: Answer, job_id: JobId | None) -> object:
    """The value of a rule; None if the expression fails on this answer."""
    try:
        return rule.search(answer.whole, job_id)
    except ValueError:
        return None


def asked_wait(ruling: Ruling, answer: Answer, now: datetime) -> float | None:
    """Seconds to wait, as the rule or the answer asks for; None if neither does."""
    throttled = ruling.kind is Kind.THROTTLED
    if throttled and ruling.wait is not None:
        return ruling.wait
    return retry_after(answer, now, throttled=throttled)


def retry_after(answer: Answer, now: datetime, *, throttled: bool) -> float | None:
    """Seconds to wait, as the answer asks for; None if it asks for nothing that makes sense.

    Args:
        answer: Whose Retry-After counts, in either of its forms; else the time at which the limit
            of a throttled one is reset.
        now: The time of the answer, with an offset.
        throttled: Whether the answer asks for fewer requests.
    """
    asked = _time(answer.header("retry-after"), now)
    if asked is None and throttled and _remaining(answer) in {None, 0}:
        reset = next((float(value) for value in _numbers(answer, _RESET)), None)
        if reset is not None:
            asked = reset if reset < _EPOCH else max(reset - now.timestamp(), 0)
    return None if asked is None else min(asked, MAX_POLL_INTERVAL_SECONDS)


def _time(value: str, now: datetime) -> float | None:
    if _DECIMAL.fullmatch(value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return seconds if seconds >= 0 else None


def _numbers(answer: Answer, names: tuple[str, ...]) -> list[str]:
    return [value for name in names if _DECIMAL.fullmatch(value := answer.header(name))]


def _remaining(answer: Answer) -> float | None:
    return next((float(value) for value in _numbers(answer, _REMAINING)), None)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        return None
    return min(float(value), MAX_POLL_INTERVAL_SECONDS)


def _asks_to_wait(answer: Answer) -> bool:
    if answer.http_status == 403:  # noqa: PLR2004  GitHub says both of its limits so
        return bool(answer.header("retry-after")) or _remaining(answer) == 0
    return answer.http_status == 429  # noqa: PLR2004


_ADDED = {Kind.THROTTLED, Kind.UNAUTHORIZED}
_DEFAULTS: Mapping[Kind, Callable[[Answer], bool]] = {
    Kind.THROTTLED: _asks_to_wait,
    Kind.NOT_FOUND: lambda answer: answer.http_status in {404, 410},
    Kind.UNAUTHORIZED: lambda answer: answer.http_status in {401, 403},
    Kind.OK: lambda answer: answer.http_status in _SUCCESS,
}
