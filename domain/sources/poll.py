"""The poll that an answer about a job amounts to.

1. The rules decide the kind of the answer (`domain.sources.rules`). Only one that is `ok` has a
   status.
2. The status expression gives the raw status. An answer without one has its HTTP status as `HTTP
   204`, if a list of outcomes names that.
3. The lists give the outcome of the raw status.
4. Progress and message are read where the answer says how the job is.

The data of the source never raises. Its texts are cut, freed of control characters and of the
source's own credentials before they go anywhere.
"""

import json
import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.outcome import MESSAGE_LENGTH, RAW_STATUS_LENGTH, Outcome, Poll
from domain.sources.answer import Answer, clean
from domain.sources.expression import Expression
from domain.sources.job_id import JobId
from domain.sources.listing import ListEndpoint
from domain.sources.request import StatusEndpoint
from domain.sources.rules import Kind, Ruling, asked_wait, rule_on
from domain.sources.source import Source

_LONGEST_NUMBER = 64  # characters; no progress needs more, and long ones are slow to read
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_PART = re.compile(rf"\s*{_NUMBER}\s*(?:%|(?:/|of)\s*{_NUMBER})?\s*")
_REFUSALS = {
    Kind.THROTTLED: (Outcome.THROTTLED, "the source wants fewer requests"),
    Kind.NOT_FOUND: (Outcome.NOT_FOUND, "the source knows no such job"),
    Kind.UNAUTHORIZED: (Outcome.UNAUTHORIZED, "the source refuses the credentials"),
}
_REDIRECT = range(300, 400)


@dataclass(frozen=True)
class Found:
    """An expression, and the value that it gave.

    Attributes:
        key: The key that has it.
        expression: The expression.
        given: The value that it selected.
        fault: The reason why that can't be used, or why there is none.
    """

    key: str
    expression: Expression
    given: Any = None
    fault: str | None = None


@dataclass(frozen=True)
class Reading:
    """A poll, and the way to it.

    Attributes:
        poll: The poll.
        ruling: The kind of the answer.
        decided_by: The rule that gave the outcome, for people.
        found: The expressions that were asked.
    """

    poll: Poll
    ruling: Ruling
    decided_by: str
    found: list[Found] = field(default_factory=list)


def read_poll(source: Source, text: str, answer: Answer, now: datetime) -> Reading:
    """The poll that an answer amounts to.

    Args:
        source: The source that was asked, with the credentials that the request carried.
        text: The job's id; raises InvalidInput if it is no id of the source.
        answer: The answer.
        now: The time of the answer, with an offset; an HTTP date is relative to it.
    """
    job_id = source.job_id(text)
    ruling = rule_on(source.status, answer, job_id, source.outcomes)
    retry = asked_wait(ruling, answer, now)
    poll, decided_by, found = _Reader(source, job_id, answer).read(ruling)
    return Reading(
        poll.model_copy(update={"retry_after_seconds": retry}), ruling, decided_by, found
    )


@dataclass(frozen=True)
class _Item:
    """An item of a list, in the place of an answer."""

    value: Any

    def seen_by(self, *, whole: bool) -> Any:  # noqa: ARG002
        return self.value


def read_item(source: Source, endpoint: ListEndpoint, item: Any) -> Poll | None:
    """The poll that an item of a list amounts to; None if it has no status."""
    reader = _Reader(source, {}, _Item(item), endpoint)
    raw = reader.raw_status()
    return None if raw is None else reader.seen(raw)


class _Reader:
    def __init__(
        self,
        source: Source,
        job_id: JobId,
        answer: Any,
        look: StatusEndpoint | ListEndpoint | None = None,
    ) -> None:
        self._source, self._job_id, self._answer = source, job_id, answer
        self._look = look or source.status
        self._found: list[Found] = []

    def raw_status(self) -> str | None:
        """The raw status, if there is one."""
        return self._status()[0]

    def seen(self, raw: str) -> Poll:
        """The poll that saw this raw status."""
        return self._seen(raw)[0]

    def read(self, ruling: Ruling) -> tuple[Poll, str, list[Found]]:
        """The poll but for its Retry-After, the rule that decided it, and the expressions asked."""
        if ruling.kind in _REFUSALS:
            return self._refused(ruling), ruling.rule, []
        if ruling.kind is Kind.TROUBLE:
            return Poll(outcome=Outcome.UNREACHABLE, detail=self._trouble()), ruling.rule, []
        raw, fault = self._status() if ruling.kind is Kind.OK else (None, None)
        if raw is None and self._source.outcomes.listed(self._answer.http_word):
            raw = self._answer.http_word
        if raw is not None:
            return self._seen(raw)
        # An answer with a status that can't be told was seen; one that can't be read was not.
        unread = self._unread()
        outcome = Outcome.UNREACHABLE if unread else Outcome.UNRECOGNISED
        return self._poll(outcome, None, unread or fault), ruling.rule, self._found

    def _refused(self, ruling: Ruling) -> Poll:
        outcome, why = _REFUSALS[ruling.kind]
        detail = f"{self._answer.http_word}: {why}"
        if ruling.kind is Kind.NOT_FOUND and not ruling.given:
            detail = self._answer.http_word
        return Poll(outcome=outcome, detail=detail)

    def _seen(self, raw: str) -> tuple[Poll, str, list[Found]]:
        outcomes = self._source.outcomes
        outcome = outcomes.outcome_of(raw)
        if outcomes.listed(raw):
            shown = clean(self._source, raw, RAW_STATUS_LENGTH)
            decided_by = f'outcomes.{outcome} lists "{shown}"'
            return self._poll(outcome, raw, None), decided_by, self._found
        why = "no list of outcomes holds this status"
        detail = why if outcome is Outcome.UNRECOGNISED else None
        decided_by = f'outcomes.unknown = "{outcomes.unknown}": {why}'
        return self._poll(outcome, raw, detail), decided_by, self._found

    def _poll(self, outcome: Outcome, raw: str | None, detail: str | None) -> Poll:
        return Poll(
            outcome=outcome,
            raw_status=None if raw is None else clean(self._source, raw, RAW_STATUS_LENGTH),
            progress=self._progress(),
            message=self._message(),
            detail=detail,
            result=self._result() if outcome.is_end else None,
        )

    def _trouble(self) -> str:
        status, word = self._answer.http_status, self._answer.http_word
        if status in self._source.http.follow_redirects:
            return f"{word}: a redirect to another origin, or one too many, is not followed"
        if status in _REDIRECT:
            return f"{word}: a redirect that is an answer, and no list of outcomes holds {word}"
        return f"{word}: the rule ok does not hold" if self._source.status.ok else word

    def _unread(self) -> str | None:
        """The reason why a status that the body must have can't be read; None if it can."""
        if self._source.status.status.of_answer:
            return None
        content = self._answer.content
        if self._answer.body is None:
            return f"the answer is larger than {self._source.http.max_answer_bytes} bytes"
        # An expression that finds nothing in a text was not made for texts.
        return content.fault or ("the answer is not JSON" if content.is_text else None)

    def _search(self, expression: Expression) -> tuple[Any, str | None]:
        """The value of an expression, and the reason why there is none."""
        try:
            document = self._answer.seen_by(whole=expression.of_answer)
            value = expression.search(document, self._job_id)
        except ValueError as error:
            return None, str(error)
        return (
            value,
            None if value is not None else f"the expression {expression.text} gives nothing",
        )

    def _note(self, key: str, expression: Expression, given: Any, fault: str | None) -> None:
        self._found.append(Found(key, expression, given, fault))

    def _status(self) -> tuple[str | None, str | None]:
        """The raw status, or the reason why there is none."""
        expression = self._look.status
        given, fault = self._search(expression)
        raw = json.dumps(given) if isinstance(given, bool | int) else given
        if not fault and not isinstance(raw, str):
            fault = f"the expression {expression.text} gives no text"
        self._note("status", expression, given, fault)
        return None if fault else raw, fault

    def _progress(self) -> float | None:
        status = self._look
        if status.progress is None:
            return None
        given, fault = self._search(status.progress)
        done, total = _number(given)
        if not fault and done is None:
            fault = f"the expression {status.progress.text} gives no number"
        self._note("progress", status.progress, given, fault)
        if status.progress_total is not None:
            of, why = self._search(status.progress_total)
            total = _number(of)[0]
            if not why and not total:
                why = f"the expression {status.progress_total.text} gives no number above 0"
            self._note("progress_total", status.progress_total, of, why)
            if not total:
                return None
        if done is None:
            return None
        percent = 100 * (done / (total or status.progress_scale))
        return min(max(percent, 0.0), 100.0) if math.isfinite(percent) else None

    def _message(self) -> str | None:
        expression = self._look.message
        if expression is None:
            return None
        given, fault = self._search(expression)
        try:
            text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        except (ValueError, RecursionError):
            given, fault = None, f"the expression {expression.text} gives no value of JSON"
        self._note("message", expression, given, fault)
        return None if given is None else clean(self._source, text, MESSAGE_LENGTH) or None

    def _result(self) -> str | None:
        """The result of a job that ended, as JSON text without the source's own credentials."""
        expression = self._look.result
        if expression is None:
            return None
        given, fault = self._search(expression)
        text = None
        try:
            text = None if given is None else json.dumps(given, ensure_ascii=False)
        except (ValueError, RecursionError):
            fault = f"the expression {expression.text} gives no value of JSON"
        self._note("result", expression, given if text else None, fault)
        return text and self._source.redact(text)


def _number(value: object) -> tuple[float | None, float | None]:
    """The number in a value, and that which means 100 %, if the value itself says it.

    A text may be a number, a percentage ("42 %") or a part of a total ("3/10", "3 of 10").
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None, None
    try:
        if not isinstance(value, str):
            number = float(value)
            return (number, None) if math.isfinite(number) else (None, None)
        if len(value) > _LONGEST_NUMBER:
            return None, None
        part = _PART.fullmatch(value)
        if part and "%" in value:
            return float(part[1]), 100.0
        if part and part[2]:
            return (float(part[1]), float(part[2])) if float(part[2]) else (None, None)
        number = float(value)
    except (ValueError, OverflowError):
        return None, None
    return (number, None) if math.isfinite(number) else (None, None)
