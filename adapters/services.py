"""The services that triggers and activities use, composed once in each process."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from pathlib import Path

from adapters import monitor_table
from adapters.app_state import AppState
from adapters.catalog import Catalog
from adapters.channels import Sender
from adapters.clock import utc_now
from adapters.handled import Handled
from adapters.identity import Identity, app_identity
from adapters.intents import Intents
from adapters.job_api import JobApi
from adapters.monitor_table import MonitorTable
from adapters.places import Places
from adapters.recent import Recent
from adapters.settings import Settings, read_settings
from adapters.source_blobs import BlobFiles
from adapters.source_files import FileReader, LocalFiles
from adapters.table import Table
from adapters.tokens import Tokens
from adapters.troubles import Troubles
from domain.errors import ConfigurationFault, Fault
from domain.monitors.monitor import MonitorRow
from domain.notices.notice import Notice
from domain.sources.file import Sources
from domain.sources.preset import CHANNELS
from domain.wire import WireModel

_PRESETS = Path(__file__).parent.parent / "presets"


@dataclass(frozen=True)
class Services:
    """The adapters, configured."""

    settings: Settings
    catalog: Catalog
    jobs: JobApi
    places: Places
    monitors: MonitorTable
    app_state: AppState
    troubles: Troubles
    intents: Intents
    sender: Sender
    now: Callable[[], datetime]
    handled: Handled = field(default_factory=Handled)
    counts: Recent[WireModel] = field(default_factory=Recent)

    @property
    def sources(self) -> Sources:
        """The sources as they are now; ask once for all that belongs together."""
        return self.catalog.current()


@cache
def get_services() -> Services:
    """The services of this process.

    Raises:
        ConfigurationFault: A setting is wrong. The next call reads all again, so nothing runs half
            configured. A faulty source is no such fault: the others run.
    """
    keep_secrets_out_of_logs()
    settings = read_settings()
    identity = app_identity(settings.values)
    table = _table(settings, identity)
    tokens = Tokens(identity)
    catalog = Catalog(_files(settings, identity), settings.values, all_presets())
    monitors = MonitorTable(table, partial(_takers, catalog), utc_now)
    return Services(
        settings=settings,
        catalog=catalog,
        jobs=JobApi(tokens),
        places=Places(),
        monitors=monitors,
        app_state=AppState(table),
        troubles=Troubles(table, monitors.outbox),
        intents=Intents(table),
        sender=Sender(tokens, settings.values),
        now=utc_now,
    )


def _takers(catalog: Catalog, row: MonitorRow, notice: Notice) -> list[str]:
    """The channels that take a notice: of those that the start named, else of its source's."""
    sources = catalog.current()
    names = sources.notify(row.source) if row.notify is None else row.notify
    return sources.channels.takers(names, notice)


def _files(settings: Settings, identity: Identity) -> FileReader:
    if settings.sources_url:
        return BlobFiles(settings.sources_url, identity(None))
    return LocalFiles(settings.sources_file)


def read_presets(folder: str = "") -> dict[str, str]:
    """The text of each preset that came with the app, by its name.

    Args:
        folder: "" for those of sources, `channels/` for those of channels.
    """
    files = {folder + file.stem: file for file in (_PRESETS / folder).glob("*.toml")}
    return {name: files[name].read_text(encoding="utf-8") for name in sorted(files)}


def all_presets() -> dict[str, str]:
    """The presets of sources and channels."""
    return read_presets() | read_presets(CHANNELS)


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
