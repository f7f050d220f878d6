"""An answer as it came, and the two ways to read one: as the API's word, or as an error."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import ValidationError

from job_monitor.core.errors import ApiError, Fault
from job_monitor.core.models import Answered

PROBLEM = "application/problem+json"

_QUOTED = 200  # characters of an answer that is not the API's
_KEY_OR_ROLE = "Is the key right (JOBMON_KEY), or the scope (JOBMON_SCOPE)?"

A = TypeVar("A", bound=Answered)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. The names of headers are in small letters. `seconds`: how long it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0

    @property
    def is_problem(self) -> bool:
        """Whether the API itself gave this error, and not a proxy or the platform."""
        return self.headers.get("content-type", "").startswith(PROBLEM)

    @property
    def date(self) -> datetime | None:
        """The server's time, to a second: no clocks are compared."""
        return _http_date(self.headers.get("date", ""))

    @property
    def retry_after(self) -> float | None:
        """The seconds to wait that the server asks for."""
        asked = self.headers.get("retry-after", "").strip()
        if asked.isascii() and asked.isdecimal():
            return float(asked[:9])
        moment, now = _http_date(asked), self.date
        return max(0.0, (moment - now).total_seconds()) if moment and now else None

    def read(self, model: type[A], *, within: str | None = None) -> A:
        """The answer as a model; `within` takes one member of it.

        Raises:
            ApiError: The answer is an error, or no answer of this API.
        """
        document = self.document()
        try:
            return model.model_validate(document[within] if within else document)
        except (KeyError, ValidationError):
            raise self._foreign() from None

    def document(self) -> dict[str, Any]:
        """The JSON object of a success; ApiError for all else."""
        if not HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES:
            raise self._error()
        try:
            document = json.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self._foreign()
        return document

    def _foreign(self) -> ApiError:
        return ApiError(
            self.status, f"This is no answer of Job Monitor. Is the URL right? {self._quoted()}"
        )

    def _quoted(self) -> str:
        text = " ".join(self.body.decode(errors="replace").split())
        return text[:_QUOTED]

    def _error(self) -> ApiError:
        if self.is_problem:
            try:
                return _problem(self.status, json.loads(self.body))
            except (ValueError, TypeError, AttributeError):
                pass  # it says what it is, and is not: quote it
        try:
            what = HTTPStatus(self.status).phrase
        except ValueError:
            what = "An unknown status"
        if self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ApiError(self.status, f"{what}. {_KEY_OR_ROLE} {self._quoted()}".rstrip())
        if "location" in self.headers:
            return ApiError(
                self.status, f"{what}: it leads to {self.headers['location']}, and is not followed."
            )
        return ApiError(self.status, f"{what}. {self._quoted()}".rstrip())


def _problem(status: int, members: dict[str, Any]) -> ApiError:
    faults = [
        Fault(str(each.get("field", "")), str(each.get("message", "")))
        for each in members.get("errors") or []
    ]
    detail = str(members.get("detail") or members.get("title") or "")
    return ApiError(status, detail, faults, members)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
