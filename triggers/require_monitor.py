"""The monitor that a route names."""

import azure.functions as func

from adapters.services import Services
from adapters.threads import at_store
from domain.errors import NoSuchMonitor
from domain.monitors.monitor import MonitorRow
from domain.monitors.monitor_id import is_monitor_id


def named_id(req: func.HttpRequest) -> str:
    """The id in the route; raises NoSuchMonitor if no monitor can have it."""
    monitor_id: str = req.route_params["id"]
    if not is_monitor_id(monitor_id):
        raise NoSuchMonitor
    return monitor_id


async def require_monitor(req: func.HttpRequest, services: Services) -> MonitorRow:
    """The row of the monitor whose id is in the route; raises NoSuchMonitor if there is none."""
    row = await at_store(services.monitors.get, named_id(req))
    if row is None:
        raise NoSuchMonitor
    return row
