"""Asks the job systems over HTTP. `domain.sources` says how to ask, and what an answer means.

1. A request is made from the source's configuration, the job id or the job.
2. It gets the source's credentials. If a source refuses a token that was fetched for it, it is
   asked once more with a new one, within the same deadline.
3. `adapters.exchange` sends it and gets the answer.
4. `domain.sources.poll` and `domain.sources.submitted` read it.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from adapters.event_log import log_event
from adapters.exchange import NoAnswer, exchange
from adapters.identity import NoToken
from adapters.tokens import Tokens
from domain.errors import Fault, InvalidInput, SourceRefused
from domain.monitors.start import job_id_fault
from domain.outcome import CancelResult, Outcome, Poll
from domain.sources.answer import Answer
from domain.sources.page import Page, read_page
from domain.sources.poll import Reading, read_poll
from domain.sources.request import Request
from domain.sources.source import Source
from domain.sources.submitted import no_id, read_cancelled, read_submitted

_FORBIDDEN_AGAIN = 600.0  # seconds between new tokens on account of a 403


class Look(NamedTuple):
    """A poll; the answer and its reading, None if no answer came; the source as asked."""

    poll: Poll
    answer: Answer | None
    reading: Reading | None
    asked: Source


class JobApi:
    """The job systems' HTTP APIs; safe to use from several threads."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._tokens = tokens or Tokens()
        self._flaws_told: set[tuple[str, str]] = set()
        self._forbidden_at: dict[str, float] = {}

    def poll(self, source: Source, job_id: str, now: datetime, until: float | None = None) -> Poll:
        """One look at a job; HTTP trouble is an outcome. ValueError for an id that can't be one.

        Args:
            source: Where it is.
            job_id: Its id.
            now: The time.
            until: When to give up at the latest, on the clock of `time.monotonic`.
        """
        return self.look(source, job_id, now, until).poll

    def look(self, source: Source, job_id: str, now: datetime, until: float | None = None) -> Look:
        """A poll, with the answer that it was read from."""
        try:
            answer, asked = self._ask(source, source.status_request(job_id), until)
        except NoAnswer as trouble:
            return Look(Poll(outcome=Outcome.UNREACHABLE, detail=str(trouble)), None, None, source)
        except NoToken as trouble:
            return Look(Poll(outcome=trouble.outcome, detail=str(trouble)), None, None, source)
        reading = read_poll(asked, job_id, answer, now)
        return Look(reading.poll, answer, reading, asked)

    def page(
        self, source: Source, since: datetime, at: str | None, now: datetime, until: float
    ) -> tuple[Page, int]:
        """A page of a source's list, and the size of the answer; HTTP trouble is an outcome.

        Args:
            source: One with a list table.
            since: The time to ask for what changed from.
            at: The position of the page; None for the first.
            now: The time.
            until: When to give up at the latest, on the clock of `time.monotonic`.
        """
        try:
            request = source.list_request(since, now, at)
        except ValueError as error:  # a position that a source of before gave
            return Page(trouble=Outcome.UNREACHABLE, whole=False, detail=str(error)), 0
        try:
            answer, asked = self._ask(source, request, until)
        except NoAnswer as trouble:
            return Page(trouble=Outcome.UNREACHABLE, whole=False, detail=str(trouble)), 0
        except NoToken as trouble:
            return Page(trouble=trouble.outcome, whole=False, detail=str(trouble)), 0
        return read_page(asked, at, answer, now), len(answer.body or b"")

    def submit(self, source: Source, job: Mapping[str, object]) -> str:
        """Have the source start a job and return its id.

        Args:
            source: One with a submit table; ValueError if it has none.
            job: The job as the caller wants it started.

        Raises:
            SourceRefused: The source did not start it; the text quotes its answer.
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
        job_id = read_submitted(asked, answer, job)
        if job_id_fault(job_id):
            why = no_id(asked, answer, "the job id in its answer can't be used")
            raise SourceRefused(why, may_run=True)
        return job_id

    def cancel(self, source: Source, job_id: str) -> CancelResult:
        """Ask the source to cancel a job; ValueError if it has no cancel table or the id is bad."""
        try:
            answer, asked = self._ask(source, source.cancel_request(job_id))
        except (NoAnswer, NoToken) as trouble:
            return CancelResult(accepted=False, detail=str(trouble))
        return read_cancelled(asked, job_id, answer)

    def _ask(
        self, source: Source, request: Request, until: float | None = None
    ) -> tuple[Answer, Source]:
        """The answer, and the source with the credentials that it was asked with."""
        deadline = time.monotonic() + source.http.timeout_seconds
        deadline = deadline if until is None else min(deadline, until)
        asked = self._tokens.with_credentials(source, deadline=deadline)
        answer = exchange(asked, request, deadline)
        if asked is not source and self._refuses_token(source, answer):
            # Nothing was done yet, so that asking again is safe for a submit, too.
            asked = self._tokens.with_credentials(source, asked, deadline)
            answer = exchange(asked, request, deadline)
        self._tell_flaw(source, answer)
        return answer, asked

    def _refuses_token(self, source: Source, answer: Answer) -> bool:
        """Whether an answer says that the token is no good.

        Some systems say that with 403, which as a rule means that rights are missing. A new token
        does not help against that, so that a source gets one on a 403 now and then only.
        """
        if answer.http_status != HTTPStatus.FORBIDDEN:
            return answer.http_status == HTTPStatus.UNAUTHORIZED
        now = time.monotonic()
        if now - self._forbidden_at.get(source.name, -_FORBIDDEN_AGAIN) < _FORBIDDEN_AGAIN:
            return False
        self._forbidden_at[source.name] = now
        return True

    def _tell_flaw(self, source: Source, answer: Answer) -> None:
        """Log, once for each source, that its answers had to be repaired to be read."""
        flaw = answer.content.flaw
        if flaw and (source.name, flaw) not in self._flaws_told:
            self._flaws_told.add((source.name, flaw))
            log_event("repaired", None, level=logging.WARNING, source=source.name, detail=flaw)
