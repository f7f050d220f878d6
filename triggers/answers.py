"""JSON answers, and errors as problem details (RFC 9457) that name every fault."""

import functools
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ParamSpec

import azure.functions as func

from domain.errors import (
    BodyTooLarge,
    ConfigurationFault,
    Fault,
    Forbidden,
    InvalidInput,
    NoSuchMonitor,
    NoSuchSource,
    SourceDisabled,
    SourceRefused,
    StoreUnavailable,
    Unauthenticated,
)

P = ParamSpec("P")
Handler = Callable[P, Awaitable[func.HttpResponse]]

log = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS = "10"


def json_answer(
    status: int, body: object, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """A JSON body with its status."""
    return func.HttpResponse(
        json.dumps(body),
        status_code=status,
        headers=dict(headers or {}),
        mimetype="application/json",
    )


def listed(faults: Iterable[Fault]) -> list[dict[str, str]]:
    """Faults as the answers show them."""
    return [{"field": fault.where, "message": fault.what} for fault in faults]


def problem(
    status: HTTPStatus, detail: str, faults: Sequence[Fault] = (), **more: Any
) -> func.HttpResponse:
    """An error: `errors` lists the faults as `{"field", "message"}`, `more` adds members."""
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "errors": listed(faults),
        **more,
    }
    headers = {}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = _RETRY_AFTER_SECONDS
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return func.HttpResponse(
        json.dumps(body),
        status_code=status.value,
        headers=headers,
        mimetype="application/problem+json",
    )


def answers_problems(handler: Handler[P]) -> Handler[P]:
    """Turn this app's errors into their HTTP answers; the host logs all others."""

    @functools.wraps(handler)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> func.HttpResponse:
        try:
            return await handler(*args, **kwargs)
        except Unauthenticated as error:
            return problem(HTTPStatus.UNAUTHORIZED, str(error))
        except Forbidden as error:
            return problem(HTTPStatus.FORBIDDEN, str(error))
        except BodyTooLarge as error:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
        except InvalidInput as error:
            return problem(HTTPStatus.BAD_REQUEST, "The request can't be taken.", error.faults)
        except NoSuchMonitor:
            return problem(HTTPStatus.NOT_FOUND, "There is no such monitor.")
        except NoSuchSource:
            return problem(HTTPStatus.NOT_FOUND, "There is no such source.")
        except SourceDisabled as error:
            what = f"The source {error.source} is disabled: its configuration is faulty."
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, what, error.faults)
        except ConfigurationFault as error:
            log.error("The configuration can't be used: %s", error)  # noqa: TRY400 - no bug, no trace
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "The app is not configured.", error.faults
            )
        except SourceRefused as error:
            log.warning("%s", error)
            return problem(HTTPStatus.BAD_GATEWAY, str(error))
        except StoreUnavailable as error:
            log.warning("%s", error)
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    return answer
