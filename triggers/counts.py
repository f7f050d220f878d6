"""`GET /api/counts`: how many monitors are live, and how those of the last day ended, by source."""

from collections import Counter
from datetime import timedelta
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func
from pydantic import AwareDatetime

from adapters.services import get_services
from adapters.threads import at_store, long_at_store
from domain.monitors.census import percentile
from domain.monitors.monitor import State
from domain.wire import WireModel
from triggers.access import Role, requires
from triggers.answers import answers_problems, json_answer
from triggers.operation import Answer, operation
from triggers.requests import refuse_unknown

bp = df.Blueprint()

_DAY = timedelta(days=1)


class SourceCounts(WireModel):
    """The numbers of one source.

    Attributes:
        live: The live monitors.
        ends: The runs that ended, by state.
        seconds_p50: How long a watch over a job that ended lasted: the median, in seconds.
        seconds_p95: The value that 95 of 100 do not exceed.
    """

    name: str
    live: int
    ends: dict[State, int]
    seconds_p50: float | None
    seconds_p95: float | None


class Counts(WireModel):
    """The numbers of all sources that have any, or are configured.

    Attributes:
        since: The ends since then are counted.
        complete: Whether all was counted: a request reads at most 5,000 live monitors and as many
            ends.
    """

    since: AwareDatetime
    complete: bool
    sources: list[SourceCounts]


@operation({200: Answer("The numbers.", Counts)}, problems=(400, 503))
@bp.function_name("CountMonitors")
@bp.route(route="counts", methods=["GET"])
@answers_problems
@requires(Role.READ)
async def count_monitors(req: func.HttpRequest) -> func.HttpResponse:
    """Count the live monitors, and the ends of the last day."""
    refuse_unknown(req)
    services = await at_store(get_services)
    since = services.now() - _DAY
    live, ends, complete = await long_at_store(services.monitors.list.tallies, since)
    names = sorted({*services.sources.by_name, *live, *(end.source for end in ends)})
    return json_answer(
        HTTPStatus.OK,
        Counts(
            since=since,
            complete=complete,
            sources=[
                SourceCounts(
                    name=name,
                    live=live[name],
                    ends=Counter(end.state for end in ends if end.source == name),
                    seconds_p50=percentile(seconds, 50),
                    seconds_p95=percentile(seconds, 95),
                )
                for name in names
                for seconds in [
                    [end.seconds for end in ends if end.source == name and end.state.job_ended]
                ]
            ],
        ),
    )
