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
    ChannelDisabled,
    ConfigurationFault,
    Fault,
    Forbidden,
    InvalidInput,
    NoSuchChannel,
    NoSuchMonitor,
    NoSuchSource,
    SourceDisabled,
    SourceRefused,
    StoreUnavailable,
    Unauthenticated,
)
from domain.monitors.monitor import MonitorRow
from domain.wire import WireModel, left_out

P = ParamSpec("P")
Handler = Callable[P, Awaitable[func.HttpResponse]]

log = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS = "10"
_MISSING = {NoSuchChannel: "channel", NoSuchMonitor: "monitor", NoSuchSource: "source"}


class ShownFault(WireModel):
    """One thing that is wrong.

    Attributes:
        field: Where: a field, header or parameter of the request; a setting, or a key of a file.
        message: What is wrong with it.
    """

    field: str
    message: str


class Problem(WireModel):
    """An error, as problem details (RFC 9457).

    Attributes:
        type: Always `about:blank`: the status says the kind.
        title: The name of the status.
        status: The HTTP status.
        detail: What happened.
        errors: Every fault of the request, or of the configuration.
        monitor: The monitor that stands in the way.
        job_id: The job that runs although it is not watched.
        fault_count: How many faults keep the app from being ready.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: list[ShownFault]
    monitor: MonitorRow | None = left_out()
    job_id: str | None = left_out()
    fault_count: int | None = left_out()


class ShownMonitor(WireModel):
    """A monitor as it is now."""

    monitor: MonitorRow


def json_answer(
    status: int, body: object, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """A JSON body with its status."""
    return func.HttpResponse(
        json.dumps(body.to_wire() if isinstance(body, WireModel) else body),
        status_code=status,
        headers=dict(headers or {}),
        mimetype="application/json",
    )


def listed(faults: Iterable[Fault]) -> list[ShownFault]:
    """Faults as the answers show them."""
    return [ShownFault(field=fault.where, message=fault.what) for fault in faults]


def problem(
    status: HTTPStatus, detail: str, faults: Sequence[Fault] = (), **more: Any
) -> func.HttpResponse:
    """An error: `errors` lists the faults, `more` has further members of `Problem`."""
    body = Problem(
        type="about:blank",
        title=status.phrase,
        status=status.value,
        detail=detail,
        errors=listed(faults),
        **more,
    )
    headers = {}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = _RETRY_AFTER_SECONDS
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return func.HttpResponse(
        json.dumps(body.to_wire()),
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
        except (NoSuchChannel, NoSuchMonitor, NoSuchSource) as error:
            return problem(HTTPStatus.NOT_FOUND, f"There is no such {_MISSING[type(error)]}.")
        except (ChannelDisabled, SourceDisabled) as error:
            what = f"The {error.what} is disabled: its configuration is faulty."
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
