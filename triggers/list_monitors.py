"""`GET /api/monitors`: the monitors, newest first, a page at a time.

Query: `state`, `source`, `jobId` and `label=name:value` filter; `top` is the size of a page;
`token` is the `next` of the page before. A page with a `label` may be short, or empty, and still
have a `next`: a request reads at most 5,000 entries of the list. A `jobId` is looked up by its id,
in the source or in each one that is configured.
"""

import base64
import binascii
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters.monitor_entities import is_list_key, list_key
from adapters.services import get_services
from adapters.threads import at_store
from domain.errors import Fault, InvalidInput
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.start import job_id_fault
from domain.text import whole_number
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
    job_id = query(req).get("jobId")
    if job_id is None:
        filters = {name: query(req).get(name) for name in ("state", "source", "label")}
        rows, more = await at_store(services.monitors.list.page, top, after, **filters)
    else:
        source = query(req).get("source")
        sources = services.sources.by_name if source is None else [source]
        found = await at_store(services.monitors.with_job, job_id, sources)
        rows, more = _page_of([row for row in found if _passes(row, req)], top, after)
    token = base64.urlsafe_b64encode(more.encode()).decode() if more else None
    return json_answer(HTTPStatus.OK, {"monitors": [row.to_wire() for row in rows], "next": token})


def _passes(row: MonitorRow, req: func.HttpRequest) -> bool:
    """Whether the filters of the query let a monitor pass."""
    name, _, value = query(req).get("label", "").partition(":")
    state: str = query(req).get("state", row.state)
    return state == row.state and (not name or row.labels.get(name) == value)


def _page_of(rows: list[MonitorRow], top: int, after: str) -> tuple[list[MonitorRow], str | None]:
    """A page of rows that are all there, and the key after which the next one begins."""
    rest = [row for row in rows if list_key(row) > after]
    return rest[:top], list_key(rest[top - 1]) if len(rest) > top else None


def _check(req: func.HttpRequest) -> tuple[int, str]:
    """The size of the page, and the key after which it begins."""
    faults = unknown_parameters(req, *_KNOWN) + body_faults(req)
    label = query(req).get("label", "a:b").partition(":")
    if not all(label):
        faults.append(Fault("label", "must be name:value"))
    state = query(req).get("state")
    if state is not None and state not in list(State):
        faults.append(Fault("state", f"must be one of: {', '.join(State)}"))
    top = whole_number(query(req).get("top", str(_TOP))) or 0
    if not 1 <= top <= _TOP_LIMIT:
        faults.append(Fault("top", f"must be a whole number from 1 to {_TOP_LIMIT}"))
    job_id = query(req).get("jobId")
    if job_id is not None and (fault := job_id_fault(job_id)):
        faults.append(Fault("jobId", fault))
    try:
        token = query(req).get("token", "")
        after = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        after = "?"
    if after and not is_list_key(after):
        faults.append(Fault("token", "is not one that this list gave"))
    if faults:
        raise InvalidInput(faults)
    return top, after
