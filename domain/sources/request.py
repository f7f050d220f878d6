"""The requests that a source is asked with: status, submit and cancel."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    SkipValidation,
    ValidationInfo,
)
from pydantic import field_validator as check

from domain.sources.auth import Table, header_text
from domain.sources.expression import Expression, JmesPath
from domain.sources.template import (
    about_job_body,
    about_job_url,
    body_faults,
    is_member,
    names_job,
    url_template_faults,
)
from domain.sources.url import url_faults

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = {"host", "content-length", "transfer-encoding", "connection"}  # the exchange's


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("is no name of a header")
    if name.lower() in _OWN_HEADERS:
        raise ValueError("is a header that can't be set")
    return name


def _job_id_place(value: object) -> object:
    return value if isinstance(value, str) and is_member(value) else Expression.of(value)


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


class Endpoint(Table):
    """What all requests have. A body is JSON; without one, none is sent."""

    of_one_job: ClassVar[bool] = True

    method: str
    headers: Headers = Field(default={}, repr=False)
    body: Body = Field(default=None, repr=False)
    url: str = Field(repr=False)  # its query may hold a key

    @check("body")
    @classmethod
    def _fit_body(cls, body: JsonValue, info: ValidationInfo) -> JsonValue:
        faults = [*body_faults(body, of_one_job=cls.of_one_job)]
        if info.data.get("method") == "GET":
            faults.append("can't be sent with GET")
        if faults:
            raise ValueError("; ".join(faults))
        return body

    @check("url")
    @classmethod
    def _fit_url(cls, url: str, info: ValidationInfo) -> str:
        allow_http = (info.context or {}).get("allow_http") is True
        faults = url_faults(url, allow_http=allow_http)
        named = "body" not in info.data or names_job(info.data["body"])
        faults += url_template_faults(url, of_one_job=cls.of_one_job, named=named)
        if faults:
            raise ValueError("; ".join(faults))
        return url

    def url_for(self, job_id: str) -> str:
        """The URL with the job id, percent-encoded; raises ValueError for "", "." and ".."."""
        return about_job_url(self.url, job_id)

    def body_for(self, job_id: str) -> JsonValue:
        """The body with the job id."""
        return about_job_body(self.body, job_id)


class StatusEndpoint(Endpoint):
    """How to ask for a job, and where its answer says what."""

    method: Literal["GET", "POST"] = "GET"
    status: JmesPath
    progress: JmesPath | None = None
    message: JmesPath | None = None


class SubmitEndpoint(Endpoint):
    """How to start a job, and where the answer says its id.

    Attributes:
        job_id: An expression for the answer; or `{job.NAME}`, if callers name their jobs.
        body: By default the job as it is.
    """

    of_one_job = False
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    body: Body = Field(default="{job}", repr=False)
    job_id: Annotated[Expression | str, BeforeValidator(_job_id_place)]


class CancelEndpoint(Endpoint):
    """How to cancel a job."""

    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
