"""The parts of a request that routes read: query, body, headers. All else is refused.

Hosts hand over less than what was sent: the Functions host drops query values that are empty, and
in Azure a body without a length. The app reads neither on any host, and so behaves the same on all.
"""

import re

import azure.functions as func

from domain.errors import BodyTooLarge, Fault, InvalidInput

BODY_LIMIT = 64 * 1024
"""Bytes of a body that is read."""

_OF_THE_PLATFORM = {"code", "clientId"}
"""The function key and its name: they belong to Azure Functions."""

_KEY = re.compile(r'"?([!-~]{1,255}?)"?')


def query(req: func.HttpRequest) -> dict[str, str]:
    """The parameters of the query that have a value."""
    return {name: value for name, value in req.params.items() if value}


def body_of(req: func.HttpRequest) -> bytes:
    """The body; empty if it was sent in chunks, so that its length is not known before its end."""
    chunked = any(name.lower() == "transfer-encoding" for name in req.headers)
    body: bytes = b"" if chunked else req.get_body()
    return body


def read_body(req: func.HttpRequest) -> bytes:
    """The body; BodyTooLarge if it is over the limit."""
    body = body_of(req)
    if len(body) > BODY_LIMIT:
        raise BodyTooLarge(f"The body is over {BODY_LIMIT} bytes.")
    return body


def unknown_parameters(req: func.HttpRequest, *known: str) -> list[Fault]:
    """A fault for each parameter of the query that the route does not know."""
    unknown = set(query(req)) - {*known} - _OF_THE_PLATFORM
    return [Fault(name, "is not known here") for name in sorted(unknown)]


def refuse_unknown(req: func.HttpRequest, *known: str) -> None:
    """Refuse a request with a body, or with other parameters in its query than the known ones.

    Raises:
        InvalidInput: Names each fault.
    """
    faults = unknown_parameters(req, *known) + body_faults(req)
    if faults:
        raise InvalidInput(faults)


def body_faults(req: func.HttpRequest) -> list[Fault]:
    """A fault if there is a body; for routes that read none."""
    if body_of(req).strip():
        return [Fault("body", "is not read here: leave it out, and say all in the query")]
    return []


def idempotency_key(req: func.HttpRequest) -> str | None:
    """The Idempotency-Key of a request, without the quotes of a structured field.

    Raises:
        InvalidInput: The header holds no valid key.
    """
    header = req.headers.get("Idempotency-Key")
    if header is None:
        return None
    key = _KEY.fullmatch(header.strip())
    if not key:
        fault = Fault("Idempotency-Key", "must be 1 to 255 printable ASCII characters, no space")
        raise InvalidInput([fault])
    return key[1]
