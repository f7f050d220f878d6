"""The services that triggers and activities use, composed once in each process."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from adapters import monitor_table
from adapters.app_state import AppState
from adapters.clock import utc_now
from adapters.identity import Identity, app_identity
from adapters.intents import Intents
from adapters.job_api import JobApi
from adapters.monitor_table import MonitorTable
from adapters.settings import Settings, read_settings
from adapters.table import Table
from adapters.tokens import Tokens
from domain.errors import ConfigurationFault, Fault
from domain.sources.file import Sources, load_sources

_PRESETS = Path(__file__).parent.parent / "presets"


@dataclass(frozen=True)
class Services:
    """The adapters, configured."""

    settings: Settings
    sources: Sources
    jobs: JobApi
    monitors: MonitorTable
    app_state: AppState
    intents: Intents
    now: Callable[[], datetime]


@cache
def get_services() -> Services:
    """The services of this process.

    Raises:
        ConfigurationFault: A setting or the sources' file is wrong. The next call reads both
            again, so nothing runs half configured.
    """
    keep_secrets_out_of_logs()
    settings = read_settings()
    identity = app_identity(settings.values)
    table = _table(settings, identity)
    try:
        text = settings.sources_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = Fault(settings.sources_file.name, f"can't be read: {type(error).__name__}")
        raise ConfigurationFault([fault]) from error
    return Services(
        settings=settings,
        sources=load_sources(text, settings.values, settings.sources_file.name, read_presets()),
        jobs=JobApi(Tokens(identity)),
        monitors=MonitorTable(table),
        app_state=AppState(table),
        intents=Intents(table),
        now=utc_now,
    )


def read_presets() -> dict[str, str]:
    """The text of each preset that came with the app, by its name."""
    return {file.stem: file.read_text(encoding="utf-8") for file in sorted(_PRESETS.glob("*.toml"))}


def keep_secrets_out_of_logs() -> None:
    """Silence the loggers of requests: Azure's client shows headers, urllib3 shows URLs (I9)."""
    for name in ("azure.core.pipeline.policies", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _table(settings: Settings, identity: Identity) -> Table:
    """The app's table; nothing is asked yet."""
    if settings.table_connection:
        try:
            return Table.connect(monitor_table.TABLE, connection=settings.table_connection)
        except ValueError as error:
            fault = Fault("JobStatusStorage", "is no connection string")
            raise ConfigurationFault([fault]) from error
    return Table.connect(
        monitor_table.TABLE,
        endpoint=settings.table_service_uri,
        credential=identity(settings.client_id),
    )
