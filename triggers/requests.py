"""The parts of a request that routes read: query, body, headers. All else is refused.

Hosts hand over less than what was sent: the Functions host drops query values that are empty, and
in Azure a body without a length. The app reads neither on any host, and so behaves the same on all.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import azure.functions as func
from pydantic import BeforeValidator, ValidationError

from domain.errors import BodyTooLarge, Fault, InvalidInput
from domain.faults import fault_text
from domain.text import whole_number
from domain.wire import WireModel

BODY_LIMIT = 64 * 1024
"""Bytes of a body that is read."""

KEY_HEADER = "Idempotency-Key"

_OF_THE_PLATFORM = {"code", "clientId"}
"""The function key and its name: they belong to Azure Functions."""

_KEY = re.compile(r'"?([!-~]{1,255}?)"?')
_WORDS = {"extra_forbidden": "is not known here"}

Query = TypeVar("Query", bound=WireModel)
Read = TypeVar("Read")


def _digits(value: object) -> object:
    number = whole_number(value) if isinstance(value, str) else value
    if number is None:
        raise ValueError("must be a whole number of nine digits at the most")
    return number


def _true_or_false(value: object) -> object:
    known = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
    if known is None:
        raise ValueError("must be true or false")
    return known


Digits = BeforeValidator(_digits)
"""For a number in a query: ASCII digits, and nothing else that `int` takes."""

Flag = Annotated[bool, BeforeValidator(_true_or_false)]
"""A choice in a query."""


def query(req: func.HttpRequest) -> dict[str, str]:
    """The parameters of the query that have a value."""
    return {name: value for name, value in req.params.items() if value}


def body_of(req: func.HttpRequest) -> bytes:
    """The body; empty if it was sent in chunks, so that its length is not known before its end."""
    chunked = any(name.lower() == "transfer-encoding" for name in req.headers)
    body: bytes = b"" if chunked else req.get_body()
    return body


def read_body(req: func.HttpRequest, limit: int = BODY_LIMIT) -> bytes:
    """The body; BodyTooLarge if it is over the limit."""
    body = body_of(req)
    if len(body) > limit:
        raise BodyTooLarge(f"The body is over {limit} bytes.")
    return body


def read_with(faults: Sequence[Fault], read: Callable[[], Read]) -> Read:
    """What `read` gives; InvalidInput names its faults, and those found before."""
    try:
        result = read()
    except InvalidInput as error:
        raise InvalidInput([*faults, *error.faults]) from None
    if faults:
        raise InvalidInput(faults)
    return result


def read_query(
    req: func.HttpRequest,
    model: type[Query],
    context: Mapping[str, Any] | None = None,
) -> Query:
    """The query as a model; for routes that read no body.

    Raises:
        InvalidInput: Names each fault of the query, and a body.
    """
    given = {name: value for name, value in query(req).items() if name not in _OF_THE_PLATFORM}
    faults = body_faults(req)
    try:
        read = model.model_validate(
            given, context=dict(context or {}), by_alias=True, by_name=False
        )
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        faults += [Fault(str(each["loc"][0]), fault_text(each, _WORDS)) for each in details]
    if faults:
        raise InvalidInput(faults)
    return read


def unknown_parameters(req: func.HttpRequest, *known: str) -> list[Fault]:
    """A fault for each parameter of the query that is not known; for routes that read a body."""
    unknown = set(query(req)) - {*known} - _OF_THE_PLATFORM
    return [Fault(name, "is not known here") for name in sorted(unknown)]


def refuse_unknown(req: func.HttpRequest) -> None:
    """Refuse a request with a body, or with parameters in its query.

    Raises:
        InvalidInput: Names each fault.
    """
    faults = unknown_parameters(req) + body_faults(req)
    if faults:
        raise InvalidInput(faults)


def body_faults(req: func.HttpRequest) -> list[Fault]:
    """A fault if there is a body; for routes that read none."""
    if body_of(req).strip():
        return [Fault("body", "is not read here: leave it out, and say all in the query")]
    return []


def read_key(given: object, where: str, faults: list[Fault]) -> str | None:
    """An Idempotency-Key, without the quotes of a structured field; None if there is none.

    Args:
        given: The text that should be one.
        where: Its place in the request.
        faults: Takes a fault if it is none.
    """
    if given is None:
        return None
    key = _KEY.fullmatch(given.strip()) if isinstance(given, str) else None
    if key:
        return key[1]
    faults.append(Fault(where, "must be 1 to 255 printable ASCII characters, no space"))
    return None
