"""One request that tells of many jobs: `[sources.NAME.list]`.

1. `items` finds the jobs in an answer. Each item has an id, a status, and perhaps a progress, a
   message and the time of its last change.
2. A list is of one of two kinds. A complete one names every job that has not ended, and a job that
   it stops naming has ended or is gone. The other tells what changed `{since}` a time, or simply
   what is recent, and says nothing about the jobs that it does not name.
3. Answers come in pages. The next page is named by a token, by a link, or by an offset.

`domain.sources.page` reads an answer.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import quote, urljoin, urlsplit

from pydantic import BeforeValidator, Field, JsonValue, ValidationInfo, WithJsonSchema
from pydantic import field_validator as check

from domain.sources.auth import Table
from domain.sources.expression import Expression, JmesPath
from domain.sources.request import LookEndpoint, Request, template_of
from domain.sources.tree import json_has, leaves, map_texts
from domain.sources.url import url_faults

SINCE, UNTIL = "{since}", "{until}"
_TIMES = {SINCE, UNTIL}
_AHEAD = timedelta(days=1)
"""The time that `{until}` stands for, from now on: clocks differ, and zones do."""

_BRACES = re.compile(r"\{[^{}]*\}")
_NEXT_LINK = re.compile(r"<([^<>]*)>[^<>,]*?;\s*rel=\"?next\"?", re.IGNORECASE)
_MILLISECONDS = 1e11  # a greater number counts milliseconds: seconds would be in the year 5138
_LONGEST_POSITION = 4_096  # characters


def _of_item(value: object) -> Expression:
    if not isinstance(value, str):
        raise ValueError("must be a string: it sees one item")  # noqa: TRY004
    return Expression(value)


ItemPath = Annotated[Expression, BeforeValidator(_of_item), WithJsonSchema({"type": "string"})]
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.$:\[\]-]{1,64}$")]


class TokenPages(Table):
    """The answer has a token, which the request for the next page carries.

    Attributes:
        token: Where the answer has it.
        name: The parameter that carries it.
        place: Whether that is one of the query, or a member of the body.
    """

    kind: Literal["token"]
    token: JmesPath
    name: ParameterName
    place: Literal["query", "body"] = "query"


class LinkPages(Table):
    """The answer has the URL of the next page. It is followed within the origin of the list.

    Attributes:
        link: Where the answer has it: a URL, or the text of a Link header (RFC 8288).
    """

    kind: Literal["link"]
    link: JmesPath


class OffsetPages(Table):
    """The request says where its page begins. A page with fewer items than `size` is the last.

    Attributes:
        name: The parameter that says it.
        place: Whether that is one of the query, or a member of the body.
        size: How many items a full page has.
        first: The value for the first page.
        step: From one page to the next: as many as a page has, or 1 where pages are numbered.
    """

    kind: Literal["offset"]
    name: ParameterName
    place: Literal["query", "body"] = "query"
    size: int = Field(ge=1, le=10_000)
    first: int = Field(default=0, ge=0)
    step: int | None = Field(default=None, ge=1, le=10_000)


Pages = Annotated[TokenPages | LinkPages | OffsetPages, Field(discriminator="kind")]


class ListEndpoint(LookEndpoint):
    """How to ask for many jobs at once, and where the answer says what. Times are in seconds.

    Attributes:
        items: Where the answer has the list of jobs.
        id: Where an item has the job's id: a text, a number, or a table of its parts.
        status: Where an item has the raw status, in the words of `outcomes`.
        updated: Where an item has the time of its last change: ISO 8601, or a Unix time.
        since_format: How `{since}` is written: `iso`, `unix`, or `unix_ms`.
        overlap_seconds: How much further back than its newest change a list is asked for.
        complete: Whether the list names every job that has not ended. So it does by default, unless
            it asks for what changed `{since}`.
        pages: How the next page is named; without it there is one page.
        max_pages: Pages that one sweep reads at the most.
    """

    of_one_job = False

    items: JmesPath
    id: ItemPath
    status: ItemPath
    progress: ItemPath | None = None
    progress_scale: float = Field(default=100, gt=0)
    progress_total: ItemPath | None = None
    message: ItemPath | None = None
    updated: Annotated[ItemPath | None, Field(validate_default=True)] = None
    since_format: Literal["iso", "unix", "unix_ms"] = "iso"
    overlap_seconds: int = Field(default=300, ge=0, le=86_400)
    complete: bool | None = None
    pages: Pages | None = None
    max_pages: int = Field(default=100, ge=1, le=1_000)

    @property
    def result(self) -> None:
        """A list gives no result: the poll that follows an end does."""

    @property
    def asks_since(self) -> bool:
        """Whether it asks for what changed since a time."""
        return _holds_since(self.url, self.body)

    @property
    def is_complete(self) -> bool:
        """Whether a job that it stops naming has ended or is gone."""
        return not self.asks_since if self.complete is None else self.complete

    @check("body")
    @classmethod
    def _fit_body(cls, body: JsonValue, info: ValidationInfo) -> JsonValue:
        faults = [*_body_faults(body)]
        if info.data.get("method") == "GET" and body is not None:
            faults.append("can't be sent with GET")
        if faults:
            raise ValueError("; ".join(faults))
        return body

    @check("url")
    @classmethod
    def _fit_url(cls, url: str, info: ValidationInfo) -> str:
        allow_http = (info.context or {}).get("allow_http") is True
        faults = url_faults(url, allow_http=allow_http)
        if re.search("[{}]", url.replace(SINCE, "").replace(UNTIL, "")):
            faults.append(f"has a placeholder other than {SINCE} and {UNTIL}")
        if any(each in url.partition("?")[0] for each in (SINCE, UNTIL)):
            faults.append(f"must hold {SINCE} and {UNTIL} in its query and nowhere else")
        if faults:
            raise ValueError("; ".join(faults))
        return url

    @check("updated")
    @classmethod
    def _fit_updated(cls, value: Expression | None, info: ValidationInfo) -> Expression | None:
        if value is None and _holds_since(info.data.get("url"), info.data.get("body")):
            raise ValueError(f"is missing: {SINCE} is the newest time of a change that it found")
        return value

    @check("complete")
    @classmethod
    def _fit_complete(cls, complete: bool | None, info: ValidationInfo) -> bool | None:
        if complete and _holds_since(info.data.get("url"), info.data.get("body")):
            raise ValueError(f"must be false: a list of what changed {SINCE} a time is not all")
        return complete

    @check("pages")
    @classmethod
    def _fit_pages(cls, pages: Pages | None, info: ValidationInfo) -> Pages | None:
        if isinstance(pages, TokenPages | OffsetPages) and pages.place == "body":
            body = info.data.get("body")
            if info.data.get("method") == "GET" or not isinstance(body, dict | None):
                raise ValueError("place must be query: the request has no body with members")
        return pages

    def first_position(self) -> str | None:
        """The position of the first page; None if the request names none."""
        return str(self.pages.first) if isinstance(self.pages, OffsetPages) else None

    def request(
        self, headers: Mapping[str, str], since: datetime, now: datetime, at: str | None
    ) -> Request:
        """The request for the page at a position; None is the first. ValueError for a bad link."""
        times = {SINCE: self._time(since), UNTIL: self._time(now + _AHEAD)}
        url, body = self.url, template_of(self.body, headers)
        for name, time in times.items():
            url = url.replace(name, quote(str(time), safe=""))
        body = map_texts(body, lambda text, _: _filled(text, times))
        match self.pages:
            case LinkPages() if at is not None:
                url = self._followed(url, at)
            case TokenPages(name=name, place="body") if at is not None:
                body = {**(body or {}), name: at}
            case OffsetPages(name=name, place="body") if at is not None:
                body = {**(body or {}), name: int(at)}
            case TokenPages(name=name) | OffsetPages(name=name) if at is not None:
                url = f"{url}{'&' if '?' in url else '?'}{quote(name)}={quote(at, safe='')}"
        return Request(method=self.method, url=url, headers=headers, body=body)

    def next_position(self, found: object, at: str | None, count: int) -> str | None:
        """The position of the page after this one; None if this is the last.

        Args:
            found: The token or link that the answer has.
            at: The position of this page.
            count: How many items it had.

        Raises:
            ValueError: There is a next page, but its position makes no sense.
        """
        if isinstance(self.pages, OffsetPages):
            if count < self.pages.size:
                return None
            return str(int(at or self.pages.first) + (self.pages.step or self.pages.size))
        if self.pages is None or found in (None, "", False):
            return None
        text = str(found) if isinstance(found, int) else found
        if not isinstance(text, str) or len(text) > _LONGEST_POSITION:
            raise ValueError("the answer names the next page in a way that can't be read")
        if isinstance(self.pages, TokenPages):
            return text
        if "<" in text:
            link = _NEXT_LINK.search(text)
            if link is None:
                return None
            text = link[1]
        return self._followed(self.url.replace(SINCE, "").replace(UNTIL, ""), text)

    def _time(self, since: datetime) -> str | int:
        if self.since_format == "iso":
            return since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return math.floor(since.timestamp() * (1_000 if self.since_format == "unix_ms" else 1))

    @staticmethod
    def _followed(url: str, link: str) -> str:
        """The URL of the next page. The credentials go along, so it stays within the origin."""
        try:
            target = urljoin(url, link)
            same = _origin(target) == _origin(url)
        except ValueError:
            same = False
        if not same or url_faults(target, allow_http=True):
            raise ValueError("the answer names a next page that is not of this origin")
        return target


def _filled(text: str, times: Mapping[str, str | int]) -> str | int:
    """A text of a body with its times; one that is nothing but a time may become a number."""
    if text in times:
        return times[text]
    for name, time in times.items():
        text = text.replace(name, str(time))
    return text


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _holds_since(url: object, body: object) -> bool:
    texts = (leaf for _, leaf in leaves(body) if isinstance(leaf, str))
    return any(SINCE in text for text in (str(url), *texts))


def _body_faults(body: object) -> Iterator[str]:
    for path, leaf in leaves(body):
        where = ".".join(str(step) for step in path)
        if not json_has(leaf):
            yield f"holds a value that JSON does not have (at {where})"
        elif isinstance(leaf, str) and "{job" in leaf and not {*_BRACES.findall(leaf)} <= _TIMES:
            yield f"has a placeholder other than {SINCE} and {UNTIL} (at {where})"


def time_of(value: object) -> datetime | None:
    """The time that an item tells: ISO 8601 (without an offset: UTC) or Unix; None for no time."""
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            moment = datetime.fromisoformat(value.strip())
            return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        seconds = float(value)
        seconds = seconds / 1_000 if seconds > _MILLISECONDS else seconds
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
