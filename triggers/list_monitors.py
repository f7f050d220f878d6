"""`GET /api/monitors`: the monitors, newest first, a page at a time.

Query: `state`, `source`, `jobId` filter; `top` is the size of a page; `token` is what the page
before gave as `next`.
"""

import asyncio
import base64
import binascii
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters.services import get_services
from domain.errors import Fault, InvalidInput
from domain.monitors.monitor import State
from triggers.answers import answers_problems, json_answer

bp = df.Blueprint()

_TOP, _TOP_LIMIT = 50, 200
_KNOWN = {"state", "source", "jobId", "top", "token", "code"}  # `code` is the function key


@bp.function_name("ListMonitors")
@bp.route(route="monitors", methods=["GET"])
@answers_problems
async def list_monitors(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 with `monitors` and `next`, the token of the next page or null."""
    services = await asyncio.to_thread(get_services)
    top, after = _check(req)
    rows, more = await asyncio.to_thread(
        services.monitors.page,
        top,
        after,
        state=req.params.get("state"),
        source=req.params.get("source"),
        jobId=req.params.get("jobId"),
    )
    token = base64.urlsafe_b64encode(more.encode()).decode() if more else None
    return json_answer(HTTPStatus.OK, {"monitors": [row.to_wire() for row in rows], "next": token})


def _check(req: func.HttpRequest) -> tuple[int, str]:
    """The size of the page and where it begins."""
    faults = [Fault(name, "is not known") for name in sorted(set(req.params) - _KNOWN)]
    state = req.params.get("state")
    if state is not None and state not in list(State):
        faults.append(Fault("state", f"must be one of: {', '.join(State)}"))
    top = req.params.get("top", str(_TOP))
    if not top.isdecimal() or not 1 <= int(top) <= _TOP_LIMIT:
        faults.append(Fault("top", f"must be a whole number from 1 to {_TOP_LIMIT}"))
    try:
        token = req.params.get("token", "")
        after = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        after = ""
        faults.append(Fault("token", "is not one that this list gave"))
    if faults:
        raise InvalidInput(faults)
    return int(top), after
