"""`GET /api/counts`: how many monitors are live, and how those of the last day ended, by source."""

from collections import Counter
from datetime import timedelta
from functools import partial
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func
from pydantic import AwareDatetime

from adapters.monitor_list import Tally
from adapters.services import Services, get_services
from adapters.threads import at_store, long_at_store
from domain.monitors.census import Watched, percentile
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
        polls: The polls of these runs.
        failed_polls: Those of them that could not see the job.
        seconds_p50: How long a watch over a job that ended lasted: the median, in seconds.
        seconds_p95: The value that 95 of 100 do not exceed.
        watched: What the watchdog saw of the live ones in its last run; null if it saw none.
    """

    name: str
    live: int
    ends: dict[State, int]
    polls: int
    failed_polls: int
    seconds_p50: float | None
    seconds_p95: float | None
    watched: Watched | None


class Counts(WireModel):
    """The numbers of all sources that have any, or are configured.

    Attributes:
        since: The ends since then are counted.
        all_live: Whether all live monitors were counted: a request reads at most 5,000 of them.
        all_ends: Whether all ends were: a request reads at most 5,000 of them.
    """

    since: AwareDatetime
    all_live: bool
    all_ends: bool
    sources: list[SourceCounts]


@operation({200: Answer("The numbers.", Counts)}, problems=(400, 503))
@bp.function_name("CountMonitors")
@bp.route(route="counts", methods=["GET"])
@answers_problems
@requires(Role.READ)
async def count_monitors(req: func.HttpRequest) -> func.HttpResponse:
    """Count the live monitors, and the ends of the last day; a count serves for ten seconds."""
    refuse_unknown(req)
    services = await at_store(get_services)
    counts = await services.counts.get(partial(_count, services), services.now)
    return json_answer(HTTPStatus.OK, counts)


async def _count(services: Services) -> Counts:
    since = services.now() - _DAY
    found = await long_at_store(services.monitors.list.tallies, since)
    watched = await at_store(services.app_state.watched)
    ends: dict[str, list[Tally]] = {name: [] for name in {*services.sources.by_name, *found.live}}
    for end in found.ends:
        ends.setdefault(end.source, []).append(end)
    return Counts(
        since=since,
        all_live=found.all_live,
        all_ends=found.all_ends,
        sources=[
            _counted(name, found.live[name], of, watched.get(name))
            for name, of in sorted(ends.items())
        ],
    )


def _counted(name: str, live: int, ends: list[Tally], watched: Watched | None) -> SourceCounts:
    seconds = [end.seconds for end in ends if end.state.job_ended]
    return SourceCounts(
        name=name,
        live=live,
        ends=Counter(end.state for end in ends),
        polls=sum(end.polls for end in ends),
        failed_polls=sum(end.failed_polls for end in ends),
        seconds_p50=percentile(seconds, 50),
        seconds_p95=percentile(seconds, 95),
        watched=watched,
    )
