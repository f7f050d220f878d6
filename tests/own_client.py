"""The app's own functions, called from here on the parts of a running host, at any time."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import azure.durable_functions as df
from azure.durable_functions.models.utils import http_utils

from adapters.app_state import AppState
from adapters.catalog import Catalog
from adapters.channels import Sender
from adapters.intents import Intents
from adapters.job_api import JobApi
from adapters.monitor_table import TABLE, MonitorTable
from adapters.places import Places
from adapters.services import Services
from adapters.settings import parse_settings
from adapters.source_files import Files
from adapters.table import Table
from adapters.tokens import Tokens
from adapters.troubles import Troubles

HUB = "/runtime/webhooks/durabletask/instances/"

T = TypeVar("T")


def real_time() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


class _NoFiles:
    """Holds no source."""

    refreshes = False

    def read(self) -> Files:
        return Files({}, [])


def make_services(connection: str, now: Callable[[], datetime] = real_time) -> Services:
    """Services on a store, with no source and a retention of 30 days."""
    settings = parse_settings({"AzureWebJobsStorage": connection, "RETENTION_DAYS": "30"})
    table = Table.connect(TABLE, connection=connection)
    monitors = MonitorTable(table)
    return Services(
        settings=settings,
        catalog=Catalog(_NoFiles(), {}, {}),
        jobs=JobApi(),
        places=Places(),
        monitors=monitors,
        app_state=AppState(table),
        troubles=Troubles(table, monitors.outbox),
        intents=Intents(table),
        sender=Sender(Tokens()),
        now=now,
    )


def with_client(origin: str, use: Callable[[df.DurableOrchestrationClient], Awaitable[T]]) -> T:
    """The result of `use`, called with a durable client of the host at this origin."""
    binding = {
        "taskHubName": "JobMonitor",
        "creationUrls": {},
        "managementUrls": {"id": "INSTANCEID", "statusQueryGetUri": f"{origin}{HUB}INSTANCEID"},
        "rpcBaseUrl": f"{origin}/durabletask/",
    }

    async def go() -> T:
        try:
            return await use(df.DurableOrchestrationClient(json.dumps(binding)))
        finally:
            # The SDK keeps a session for the process, bound to this loop.
            await http_utils._close_session()

    return asyncio.run(go())
