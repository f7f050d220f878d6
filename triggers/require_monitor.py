"""The monitor that a route names."""

import asyncio

import azure.functions as func

from adapters.services import Services
from domain.errors import NoSuchMonitor
from domain.monitors.monitor import MonitorRow


async def require_monitor(req: func.HttpRequest, services: Services) -> MonitorRow:
    """The row of the monitor whose id is in the route; raises NoSuchMonitor if there is none."""
    row = await asyncio.to_thread(services.monitors.get, req.route_params["id"])
    if row is None:
        raise NoSuchMonitor
    return row
