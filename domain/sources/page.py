"""A page of a list, read: the jobs that it names, and where the next page is.

The data of the source never raises. An item that can't be read is left out, and the page says that
it is not whole: no job counts as missing after that.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.outcome import Outcome, Poll
from domain.sources.answer import Answer
from domain.sources.listing import ListEndpoint, time_of
from domain.sources.poll import read_item
from domain.sources.rules import Kind, asked_wait, rule_on
from domain.sources.source import Source

MAX_ITEMS = 20_000
"""Items of one page that are read."""

_TROUBLE = {
    Kind.THROTTLED: Outcome.THROTTLED,
    Kind.UNAUTHORIZED: Outcome.UNAUTHORIZED,
}


@dataclass(frozen=True)
class Sight:
    """A job as a sweep saw it.

    Attributes:
        job_id: The job.
        poll: Its status, as a poll would tell it; None if a complete list names it no more.
        updated: When the job last changed, says the source.
    """

    job_id: str
    poll: Poll | None
    updated: datetime | None = None


@dataclass(frozen=True)
class Page:
    """A page of a list.

    Attributes:
        sights: The jobs that it names.
        next: The position of the next page; None after the last.
        whole: Whether every item could be read.
        trouble: The outcome of a poll that got such an answer, if there is no list in it, or no
            way to the next page.
        detail: The reason for that, or for a page that is not whole; safe to show.
        wait: The time in seconds that the source asks for.
    """

    sights: list[Sight] = field(default_factory=list)
    next: str | None = None
    whole: bool = True
    trouble: Outcome | None = None
    detail: str | None = None
    wait: float | None = None


def read_page(source: Source, at: str | None, answer: Answer, now: datetime) -> Page:
    """The page that an answer amounts to.

    Args:
        source: The source that was asked, with the credentials of the request; it has a list.
        at: The position that was asked for.
        answer: The answer.
        now: The time of the answer.
    """
    endpoint = source.list
    if endpoint is None:
        raise ValueError(f"{source.name} has no list")
    ruling = rule_on(endpoint, answer)
    if ruling.kind is not Kind.OK:
        wait = asked_wait(ruling, answer, now)
        outcome = _TROUBLE.get(ruling.kind, Outcome.UNREACHABLE)
        return Page(trouble=outcome, whole=False, detail=answer.http_word, wait=wait)
    try:
        items = endpoint.items.search(answer.seen_by(whole=endpoint.items.of_answer))
    except ValueError as error:
        return Page(trouble=Outcome.UNREACHABLE, whole=False, detail=str(error))
    if not isinstance(items, list):
        what = f"the expression {endpoint.items.text} gives no list"
        return Page(trouble=Outcome.UNREACHABLE, whole=False, detail=what)
    sights = [_sight(source, endpoint, item) for item in items[:MAX_ITEMS]]
    read = [sight for sight in sights if sight]
    unread = len(items) - len(read)
    detail = f"{unread} of {len(items)} items can't be read" if unread else None
    try:
        following = endpoint.next_position(_next_found(endpoint, answer), at, len(items))
    except ValueError as error:
        return Page(read, whole=False, trouble=Outcome.UNREACHABLE, detail=str(error))
    return Page(sights=read, next=following, whole=not unread, detail=detail)


def _sight(source: Source, endpoint: ListEndpoint, item: Any) -> Sight | None:
    """The job that an item is about; None if its id or its status can't be read."""
    try:
        job_id = source.job_id_text(endpoint.id.search(item))
    except ValueError:
        return None
    poll = read_item(source, endpoint, item)
    if poll is None:
        return None
    updated = None
    if endpoint.updated:
        try:
            updated = time_of(endpoint.updated.search(item))
        except ValueError:
            updated = None
    return Sight(job_id, poll, updated)


def _next_found(endpoint: ListEndpoint, answer: Answer) -> object:
    """The token or link that an answer has; ValueError if the expression fails."""
    where = getattr(endpoint.pages, endpoint.pages.kind, None) if endpoint.pages else None
    return where.search(answer.seen_by(whole=where.of_answer)) if where else None
