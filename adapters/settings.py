"""App settings: read here and nowhere else; one error names every fault."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from domain.errors import ConfigurationFault, Fault
from domain.sources.url import url_faults

APP_FOLDER = Path(__file__).parent.parent
_DAYS_LIMIT = 3_650

# The account name and key of every Azurite and Storage Emulator: public, no secret.
_EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)


@dataclass(frozen=True, repr=False)
class Settings:
    """The app settings. They hold secrets: never print them.

    Attributes:
        values: All app settings, for `${NAME}` in the sources' file.
        sources_file: The file of the sources, or a folder of such files.
        sources_url: A blob container of such files, which goes before.
        retention: How long results and finished instances are kept.
        table_connection: A connection string of Table storage; this or `table_service_uri`.
        table_service_uri: The Table endpoint, used with the app's identity.
        client_id: The user-assigned identity to use, if any.
    """

    values: Mapping[str, str]
    sources_file: Path
    sources_url: str | None
    retention: timedelta
    table_connection: str | None
    table_service_uri: str | None
    client_id: str | None


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        ConfigurationFault: Names every setting that is missing or wrong.
    """
    return parse_settings(os.environ)


def parse_settings(values: Mapping[str, str]) -> Settings:
    """The settings in `values`. See `read_settings`."""
    faults: list[Fault] = []
    connection, uri, client_id = _table(values, faults)
    retention = values.get("RETENTION_DAYS", "30")
    if not retention.isdecimal() or not 1 <= int(retention) <= _DAYS_LIMIT:
        faults.append(Fault("RETENTION_DAYS", f"must be a whole number from 1 to {_DAYS_LIMIT}"))
    sources = values.get("JOB_SOURCES_FILE", "job_sources.toml")
    url = sources if sources.startswith(("https://", "http://")) else None
    if url:
        faults += [Fault("JOB_SOURCES_FILE", what) for what in url_faults(url, allow_http=False)]
    if faults:
        raise ConfigurationFault(faults)
    return Settings(
        values=values,
        sources_file=APP_FOLDER / sources,
        sources_url=url,
        retention=timedelta(days=int(retention)),
        table_connection=connection,
        table_service_uri=uri,
        client_id=client_id,
    )


def _table(
    values: Mapping[str, str], faults: list[Fault]
) -> tuple[str | None, str | None, str | None]:
    """Connection string, table endpoint and client id: of our own storage, or of the host's.

    The names are those of identity-based connections in Azure Functions.
    """
    for name in ("JobStatusStorage", "AzureWebJobsStorage"):
        client_id = values.get(f"{name}__clientId")
        if values.get(name):
            emulated = values[name].strip().lower().startswith("usedevelopmentstorage=true")
            return (_EMULATOR if emulated else values[name]), None, client_id
        if values.get(f"{name}__tableServiceUri"):
            return None, values[f"{name}__tableServiceUri"], client_id
        if values.get(f"{name}__accountName"):
            account = values[f"{name}__accountName"]
            return None, f"https://{account}.table.core.windows.net", client_id
    faults.append(
        Fault("JobStatusStorage", "is not set, nor is AzureWebJobsStorage; one names the storage")
    )
    return None, None, None
