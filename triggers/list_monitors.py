"""`GET /api/monitors`: the monitors, newest first, a page at a time.

A page with a `label` or a `jobIdPrefix` may be short, or empty, and still have a `next`: a request
reads at most 5,000 entries of the list. A `jobId` is looked up by its id, in the source or in each
one that is configured.
"""

import base64
import binascii
from http import HTTPStatus
from typing import Annotated

import azure.durable_functions as df
import azure.functions as func
from pydantic import AfterValidator, Field, WithJsonSchema

from adapters.monitor_entities import is_list_key, list_key
from adapters.services import get_services
from adapters.threads import at_store
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.start import OneJobId
from domain.sources.file import NAME
from domain.wire import WireModel
from triggers.access import Role, requires
from triggers.answers import answers_problems, json_answer
from triggers.operation import Answer, operation
from triggers.requests import Digits, read_query

bp = df.Blueprint()

_TOP, _TOP_LIMIT = 50, 200


def _place(token: str) -> str:
    """The key after which a page begins."""
    try:
        key = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        key = ""
    if not is_list_key(key):
        raise ValueError("is not one that this list gave")
    return key


def _named(label: str) -> str:
    if not all(label.partition(":")):
        raise ValueError("must be name:value")
    return label


def _source_name(name: str) -> str:
    """A name that a source may have: it is looked up as a part of a key."""
    if not NAME.fullmatch(name):
        raise ValueError(f"must match {NAME.pattern}")
    return name


SourceName = Annotated[
    str,
    AfterValidator(_source_name),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"}),
]
Label = Annotated[
    str,
    AfterValidator(_named),
    WithJsonSchema({"type": "string", "pattern": "^[^:]+:.+$"}),
]


class ListQuery(WireModel):
    """The query of the list.

    Attributes:
        state: Only monitors in this state.
        source: Only monitors of this source.
        job_id: Only monitors of this job.
        job_id_prefix: Only monitors of jobs whose id begins so, in these letters.
        label: Only monitors with this label, as `name:value`.
        top: The size of a page.
        token: The `next` of the page before.
    """

    state: State | None = None
    source: SourceName | None = None
    job_id: OneJobId | None = None
    job_id_prefix: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    label: Label | None = None
    top: Annotated[int, Field(ge=1, le=_TOP_LIMIT), Digits] = _TOP
    token: Annotated[str, AfterValidator(_place)] | None = None


class MonitorPage(WireModel):
    """A page of the list.

    Attributes:
        monitors: Newest first.
        next: The `token` of the next page; null if there is none.
    """

    monitors: list[MonitorRow]
    next: str | None


@operation(
    {200: Answer("A page of monitors.", MonitorPage)},
    problems=(400, 503),
    query=ListQuery,
)
@bp.function_name("ListMonitors")
@bp.route(route="monitors", methods=["GET"])
@answers_problems
@requires(Role.READ)
async def list_monitors(req: func.HttpRequest) -> func.HttpResponse:
    """List the monitors, newest first.

    A page with a `label` or a `jobIdPrefix` may be short, or empty, and still have a `next`.
    """
    asked = read_query(req, ListQuery)
    services = await at_store(get_services)
    after = asked.token or ""
    if asked.job_id is None:
        filters = {"state": asked.state, "source": asked.source, "label": asked.label}
        filters["prefix"] = asked.job_id_prefix
        rows, more = await at_store(services.monitors.list.page, asked.top, after, **filters)
    else:
        sources = services.sources.by_name if asked.source is None else [asked.source]
        found = await at_store(services.monitors.with_job, asked.job_id, sources)
        rows, more = _page_of([row for row in found if _passes(row, asked)], asked.top, after)
    token = base64.urlsafe_b64encode(more.encode()).decode() if more else None
    return json_answer(HTTPStatus.OK, MonitorPage(monitors=rows, next=token))


def _passes(row: MonitorRow, asked: ListQuery) -> bool:
    """Whether the filters of the query let a monitor pass."""
    name, _, value = (asked.label or "").partition(":")
    state = asked.state or row.state
    begins = row.job_id.startswith(asked.job_id_prefix or "")
    return begins and state == row.state and (not name or row.labels.get(name) == value)


def _page_of(rows: list[MonitorRow], top: int, after: str) -> tuple[list[MonitorRow], str | None]:
    """A page of rows that are all there, and the key after which the next one begins."""
    rest = [row for row in rows if list_key(row) > after]
    return rest[:top], list_key(rest[top - 1]) if len(rest) > top else None
