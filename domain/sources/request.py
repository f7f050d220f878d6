"""The requests that a source is asked with, and the rules by which its answers are read.

Each endpoint (status, submit, cancel) has the same shape: a method, a URL, headers, a body, and
`ok`, the rule for answers that count. Those that look at jobs have three more rules: see
`LookEndpoint` and `domain.sources.rules`. Values are found by expressions: see
`domain.sources.expression`.

The Content-Type says how a body is sent: as JSON, unless it says that the body is a form, or a
text.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import parse_qs, urlencode

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    SkipValidation,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic import field_validator as check

from domain.sources.auth import Table, header_text
from domain.sources.expression import JSON_SCHEMA, Expression, JmesPath, Rule
from domain.sources.job_id import WHOLE, JobId
from domain.sources.template import (
    JobValues,
    about_job_body,
    about_job_url,
    body_faults,
    ids_in_body,
    is_member,
    shown,
    url_template_faults,
)
from domain.sources.url import url_faults

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = {"host", "content-length", "transfer-encoding", "connection"}  # the exchange's
_CONTENT_TYPE = "content-type"
_FORM = "application/x-www-form-urlencoded"


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("is no name of a header")
    if name.lower() in _OWN_HEADERS:
        raise ValueError("is a header that can't be set")
    return name


JobIdPlace = Expression | str
"""Where a submit has the new job's id: an expression for the answer, or `{job.NAME}`."""


_JOB_ID_SCHEMA = {"anyOf": [JSON_SCHEMA, {"type": "object", "additionalProperties": JSON_SCHEMA}]}


def _job_id_place(value: object) -> JobIdPlace | dict[str, JobIdPlace]:
    if isinstance(value, str) and is_member(value):
        return value
    if isinstance(value, dict) and Expression.KEY not in value:
        places = {name: _job_id_place(each) for name, each in value.items()}
        return {name: each for name, each in places.items() if not isinstance(each, dict)}
    return Expression.of(value)


Headers = dict[
    Annotated[str, AfterValidator(_header_name)], Annotated[str, AfterValidator(header_text)]
]

Body = Annotated[JsonValue, SkipValidation]  # checked below, by one that names the place


@dataclass(frozen=True, repr=False)
class Request:
    """A request to a source, all but its credentials. Each part may hold secrets."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: JsonValue = None

    def content(self) -> tuple[bytes | None, str]:
        """The body as it is sent, None for no body; and its Content-Type."""
        kind = content_type(self.headers)
        if self.body is None:
            return None, kind
        if kind.startswith(_FORM) and isinstance(self.body, dict):
            fields = {name: _field(value) for name, value in self.body.items() if value is not None}
            return urlencode(fields, doseq=True).encode(), kind
        if kind and "json" not in kind and isinstance(self.body, str):
            return self.body.encode(), kind
        return json.dumps(self.body, allow_nan=False).encode(), kind or "application/json"


def content_type(headers: Mapping[str, str]) -> str:
    """The Content-Type that headers name, "" if none."""
    return next((value for name, value in headers.items() if name.lower() == _CONTENT_TYPE), "")


def template_of(body: JsonValue, headers: Mapping[str, str]) -> JsonValue:
    """The body to fill: a form that is written as one text (a=1&b={job_id}) becomes a table."""
    if not isinstance(body, str) or "=" not in body or body.startswith("{"):
        return body
    if not content_type(headers).startswith(_FORM):
        return body
    return {name: [*values] for name, values in parse_qs(body, keep_blank_values=True).items()}


def _field(value: JsonValue) -> list[str]:
    """The values of a field of a form."""
    values = value if isinstance(value, list) else [value]
    return [each if isinstance(each, str) else json.dumps(each) for each in values]


class Endpoint(Table):
    """The shape that all requests share. Without a body, none is sent.

    Attributes:
        ok: The rule for answers that count: that are read, or say that the request was carried out.
            Without it, those with a 2xx status do.
    """

    of_one_job: ClassVar[bool] = True

    method: str
    headers: Headers = Field(default={}, repr=False)
    body: Body = Field(default=None, repr=False)
    url: str = Field(repr=False)  # its query may hold a key
    ok: Rule | None = None

    @classmethod
    def _ids(cls, info: ValidationInfo) -> Collection[str] | None:
        """The placeholders of a job's id; None if the request starts a job."""
        return (info.context or {}).get("ids", (WHOLE,)) if cls.of_one_job else None

    @classmethod
    def _ids_in_answer(cls, info: ValidationInfo) -> set[str]:  # noqa: ARG003
        """The placeholders of the job's id by which its part of an answer is found."""
        return set()

    @check("body")
    @classmethod
    def _fit_body(cls, body: JsonValue, info: ValidationInfo) -> JsonValue:
        faults = [*body_faults(body, ids=cls._ids(info))]
        if info.data.get("method") == "GET":
            faults.append("can't be sent with GET")
        if faults:
            raise ValueError("; ".join(faults))
        return body

    @check("url")
    @classmethod
    def _fit_url(cls, url: str, info: ValidationInfo) -> str:
        allow_http = (info.context or {}).get("allow_http") is True
        ids = cls._ids(info)
        faults = url_faults(url, allow_http=allow_http)
        elsewhere = ids_in_body(info.data["body"]) if "body" in info.data else {*(ids or ())}
        faults += url_template_faults(url, ids=ids, elsewhere=elsewhere | cls._ids_in_answer(info))
        if faults:
            raise ValueError("; ".join(faults))
        return url

    @check("*")
    @classmethod
    def _fit_expressions(cls, value: Any, info: ValidationInfo) -> Any:
        ids = cls._ids(info)
        each = value.values() if isinstance(value, dict) else (value,)
        for expression in each:
            if isinstance(expression, Expression) and not expression.job_id <= {*(ids or ())}:
                known = f"other than {shown(ids)}" if ids else "of a job's id: there is no job yet"
                raise ValueError(f"has a placeholder {known}")
        return value

    def url_for(self, job_id: JobId) -> str:
        """The URL with the job id, percent-encoded; raises ValueError for "", "." and ".."."""
        return about_job_url(self.url, job_id)

    def body_for(self, job_id: JobId, headers: Mapping[str, str]) -> JsonValue:
        """The body with the job id."""
        return about_job_body(template_of(self.body, headers), job_id)


class LookEndpoint(Endpoint):
    """An endpoint whose answers tell of jobs; its rules see the whole answer.

    Attributes:
        throttled: The rule for answers that ask for fewer requests. A number is the time to wait,
            in seconds. Default: 429, and 403 with Retry-After or with no requests left.
        not_found: The rule for answers that know no such job. Default: 404 and 410.
        unauthorized: The rule for answers that refuse the credentials. Default: 401 and 403.
    """

    method: Literal["GET", "POST"] = "GET"
    throttled: Rule | None = None
    not_found: Rule | None = None
    unauthorized: Rule | None = None


class StatusEndpoint(LookEndpoint):
    """How to ask for a job, and where its answer says what.

    Attributes:
        progress_scale: The number that means 100 %, where the source tells a part of it: 1 for a
            ratio.
        progress_total: Where the answer says the number that means 100 %: the total of the work.
        result: Where the answer about a job that ended has its result; any JSON value. It is kept
            with the end of the watch, up to 16 KiB.
    """

    status: JmesPath
    progress: JmesPath | None = None
    progress_scale: float = Field(default=100, gt=0)
    progress_total: JmesPath | None = None
    message: JmesPath | None = None
    result: JmesPath | None = None

    @classmethod
    def _ids_in_answer(cls, info: ValidationInfo) -> set[str]:
        """An answer about all jobs is read by an expression that names one."""
        return {*(info.context or {}).get("ids_in_status", ())}


class SubmitEndpoint(Endpoint):
    """How to start a job, and where the answer says its id.

    Attributes:
        job_id: An expression for the answer; or `{job.NAME}`, if callers name their jobs. Where ids
            have parts: a table with one of these for each part, or an expression that gives them.
        body: By default the job as it is.
        example: A job that the source takes, for people who are about to write one.
    """

    of_one_job = False
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    body: Body = Field(default="{job}", repr=False)
    example: JsonValue = None
    job_id: Annotated[
        JobIdPlace | dict[str, JobIdPlace],
        BeforeValidator(_job_id_place),
        WithJsonSchema(_JOB_ID_SCHEMA),
    ]

    def named(self, job: JobValues) -> str | dict[str, str] | None:
        """The id that a caller gives the job, or its parts; None if the answer says any of it."""
        place = self.job_id
        if isinstance(place, dict):
            texts = {name: each for name, each in place.items() if isinstance(each, str)}
            named = {name: job.text(each) for name, each in texts.items()}
            return named if len(named) == len(place) else None
        return job.text(place) if isinstance(place, str) else None

    @check("job_id")
    @classmethod
    def _fit_parts(
        cls, place: JobIdPlace | dict[str, JobIdPlace], info: ValidationInfo
    ) -> JobIdPlace | dict[str, JobIdPlace]:
        ids = (info.context or {}).get("ids", (WHOLE,))
        names = [name.partition(".")[2] for name in ids if name != WHOLE]
        if isinstance(place, dict) and {*place} != {*names}:
            raise ValueError(f"must say each part of the id: {', '.join(names) or 'it has none'}")
        if isinstance(place, str) and names:
            raise ValueError(f"must say each part of the id: {', '.join(names)}")
        return place


class CancelEndpoint(Endpoint):
    """How to cancel a job."""

    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
