"""`GET /api/monitors`: the monitors, newest first, a page at a time.

Query: `state`, `source`, `jobId` and `label=name:value` filter; `top` is the size of a page;
`token` is the `next` of the page before. A page with a `label` may be short, or empty, and still
have a `next`: a request reads at most 5,000 entries of the list.
"""

import base64
import binascii
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters.services import get_services
from adapters.threads import at_store
from domain.errors import Fault, InvalidInput
from domain.monitors.monitor import State
from triggers.access import Role, requires
from triggers.answers import answers_problems, json_answer
from triggers.requests import body_faults, query, unknown_parameters

bp = df.Blueprint()

_TOP, _TOP_LIMIT = 50, 200
_KNOWN = ("state", "source", "jobId", "label", "top", "token")


@bp.function_name("ListMonitors")
@bp.route(route="monitors", methods=["GET"])
@answers_problems
@requires(Role.READ)
async def list_monitors(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 with `monitors` and `next`, the token of the next page or null."""
    services = await at_store(get_services)
    top, after = _check(req)
    rows, more = await at_store(
        services.monitors.page,
        top,
        after,
        state=query(req).get("state"),
        source=query(req).get("source"),
        jobId=query(req).get("jobId"),
        label=query(req).get("label"),
    )
    token = base64.urlsafe_b64encode(more.encode()).decode() if more else None
    return json_answer(HTTPStatus.OK, {"monitors": [row.to_wire() for row in rows], "next": token})


def _check(req: func.HttpRequest) -> tuple[int, str]:
    """The size of the page, and the key after which it begins."""
    faults = unknown_parameters(req, *_KNOWN) + body_faults(req)
    label = query(req).get("label", "a:b").partition(":")
    if not all(label):
        faults.append(Fault("label", "must be name:value"))
    state = query(req).get("state")
    if state is not None and state not in list(State):
        faults.append(Fault("state", f"must be one of: {', '.join(State)}"))
    top = query(req).get("top", str(_TOP))
    if not top.isdecimal() or not 1 <= int(top) <= _TOP_LIMIT:
        faults.append(Fault("top", f"must be a whole number from 1 to {_TOP_LIMIT}"))
    try:
        token = query(req).get("token", "")
        after = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        after = ""
        faults.append(Fault("token", "is not one that this list gave"))
    if faults:
        raise InvalidInput(faults)
    return int(top), after
