"""Asks the job systems over HTTP; what they answer, `domain.sources.answer` reads.

1. A request is made from the source's configuration, the job id or the job.
2. It gets the source's credentials. If a source refuses a token of the app's identity, it is asked
   once more with a new one, within the same deadline.
3. `adapters.exchange` sends it and reads the answer.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from adapters.exchange import Answer, NoAnswer, exchange
from adapters.tokens import NoToken, Tokens
from domain.errors import Fault, InvalidInput, SourceRefused
from domain.monitors.start import job_id_fault
from domain.outcome import CancelResult, Outcome, Poll
from domain.sources.answer import SUCCESS, clean, read_answer, read_json
from domain.sources.expression import Expression
from domain.sources.request import Request
from domain.sources.source import Source

_ANSWER_SHOWN = 500  # characters of a refusal


class Look(NamedTuple):
    """A poll; the answer that it was read from, None if there was none; the source as asked."""

    poll: Poll
    answer: Answer | None
    asked: Source


class JobApi:
    """The job systems' HTTP APIs; safe to use from several threads."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._tokens = tokens or Tokens()

    def poll(self, source: Source, job_id: str, now: datetime) -> Poll:
        """One look at a job; HTTP trouble is an outcome. ValueError for an empty id, . or .. ."""
        return self.look(source, job_id, now).poll

    def look(self, source: Source, job_id: str, now: datetime) -> Look:
        """A poll, with what it was read from."""
        try:
            answer, asked = self._ask(source, source.status_request(job_id))
        except NoAnswer as trouble:
            return Look(Poll(outcome=Outcome.UNREACHABLE, detail=str(trouble)), None, source)
        except NoToken as trouble:
            return Look(Poll(outcome=trouble.outcome, detail=str(trouble)), None, source)
        poll = read_answer(asked, answer.http_status, answer.headers, answer.body, now)
        return Look(poll, answer, asked)

    def submit(self, source: Source, job: Mapping[str, object]) -> str:
        """Have the source start a job and return its id.

        Args:
            source: One with a submit table; ValueError if it has none.
            job: What the caller wants started.

        Raises:
            SourceRefused: The source did not start it.
            InvalidInput: The job lacks what the source's request needs; nothing was sent.
        """
        request, named = source.submit_request(job)
        if named is not None and job_id_fault(named):
            raise InvalidInput([Fault("job", "names the job in a way that can't be used")])
        try:
            answer, asked = self._ask(source, request)
        except NoToken as trouble:
            raise SourceRefused(f"{source.name}: {trouble}") from None
        except NoAnswer as trouble:
            # The request may have arrived: who sends it again must know that.
            what = f"{source.name}: {trouble}; the job may have been started"
            raise SourceRefused(what, may_run=True) from None
        if answer.http_status not in SUCCESS:
            raise SourceRefused(f"{source.name}: {_refusal(asked, answer)}")
        try:
            return named or _job_id(_id_in(asked, answer))
        except ValueError as error:
            what = f"{source.name} took the job (HTTP {answer.http_status}) but {error}"
            raise SourceRefused(what, may_run=True) from None

    def cancel(self, source: Source, job_id: str) -> CancelResult:
        """Ask the source to cancel a job; ValueError if it has no cancel table or the id is bad."""
        try:
            answer, asked = self._ask(source, source.cancel_request(job_id))
        except (NoAnswer, NoToken) as trouble:
            return CancelResult(accepted=False, detail=str(trouble))
        if answer.http_status in SUCCESS:
            return CancelResult(accepted=True)
        return CancelResult(accepted=False, detail=_refusal(asked, answer))

    def _ask(self, source: Source, request: Request) -> tuple[Answer, Source]:
        """The answer, and the source with the credentials that it was asked with."""
        deadline = time.monotonic() + source.http.timeout_seconds
        asked = self._tokens.with_credentials(source)
        answer = exchange(asked, request, deadline)
        if answer.http_status == HTTPStatus.UNAUTHORIZED and asked is not source:
            # Nothing was done yet, so that asking again is safe for a submit, too.
            asked = self._tokens.with_credentials(source, refused=asked)
            answer = exchange(asked, request, deadline)
        return answer, asked


def _refusal(source: Source, answer: Answer) -> str:
    body = b"" if answer.body is None else answer.body
    text = clean(source, body.decode("utf-8", "replace"), _ANSWER_SHOWN)
    return f"HTTP {answer.http_status}" + (f": {text}" if text else "")


def _id_in(source: Source, answer: Answer) -> object:
    if source.submit is None or not isinstance(source.submit.job_id, Expression):
        return None
    return source.submit.job_id.search(read_json(source, answer.body))


def _job_id(value: object) -> str:
    job_id = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(job_id, str):
        raise ValueError("its answer holds no job id where the configuration looks for it")  # noqa: TRY004
    if job_id_fault(job_id):
        raise ValueError("the job id in its answer can't be used")
    return job_id
