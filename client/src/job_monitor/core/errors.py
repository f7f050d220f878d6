"""The errors of the client.

JobMonitorError
|-- NotConfigured    the URL, the key or the scope can't be used; nothing was sent
|-- SignInFailed     Entra ID gave no token
|-- NoAnswer         no answer came, also after the repeats that are safe
`-- ApiError         the API refused the request; it names every fault
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class JobMonitorError(Exception):
    """The root of the client's own errors."""


class NotConfigured(JobMonitorError):
    """A setting can't be used; the text says which."""


class SignInFailed(JobMonitorError):
    """Entra ID gave no token; the text says why."""


class NoAnswer(JobMonitorError):
    """No answer came; the server may have got the request nevertheless."""


class Fault(NamedTuple):
    """One thing that is wrong with a request: the field, and what is wrong."""

    field: str
    message: str


class ApiError(JobMonitorError):
    """An answer that is an error: problem details (RFC 9457), if the API itself gave it.

    Attributes:
        status: The HTTP status.
        detail: What is wrong as a whole.
        faults: Every fault of the request; for a 409 of a start, each setting that differs.
        members: All members of the problem details. A 409 of a start has the `monitor` that is
            there, a 503 the `jobId` of a job that was started and is not watched.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        faults: Sequence[Fault] = (),
        members: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.detail = detail
        self.faults = tuple(faults)
        self.members = dict(members or {})
        lines = [f"{status} {detail}", *(f"  {each.field}: {each.message}" for each in self.faults)]
        super().__init__("\n".join(lines))
