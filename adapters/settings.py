"""App settings: read here and nowhere else; one error names every fault."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from domain.errors import ConfigurationFault, Fault
from domain.sources.url import url_faults
from domain.text import whole_number

APP_FOLDER = Path(__file__).parent.parent
_AUTH = ("keys", "entra")
_DAYS_LIMIT = 3_650
_ACCOUNT = re.compile("[a-z0-9]{3,24}")

# The account name and key of every Azurite and Storage Emulator: public, no secret.
_EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)


@dataclass(frozen=True)
class Access:
    """How callers of the API prove themselves.

    Attributes:
        entra: Whether the roles of Microsoft Entra ID decide. If not, the keys of the host do.
        platform: Whether the platform's authentication is on. Only then the headers that tell of
            the caller are the platform's own.
    """

    entra: bool
    platform: bool


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
        hub_urls: Whether answers carry the management URLs, which hold a key of the whole hub.
    """

    values: Mapping[str, str]
    sources_file: Path
    sources_url: str | None
    retention: timedelta
    table_connection: str | None
    table_service_uri: str | None
    client_id: str | None
    hub_urls: bool = True


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
    retention = whole_number(values.get("RETENTION_DAYS", "30")) or 0
    if not 1 <= retention <= _DAYS_LIMIT:
        faults.append(Fault("RETENTION_DAYS", f"must be a whole number from 1 to {_DAYS_LIMIT}"))
    sources = values.get("JOB_SOURCES_FILE", "job_sources.toml")
    url = sources if sources.startswith(("https://", "http://")) else None
    if url:
        faults += [Fault("JOB_SOURCES_FILE", what) for what in url_faults(url, allow_http=False)]
    entra = _one_of(values, "AUTH", _AUTH, faults) == "entra"
    # A key of the whole hub in an answer would make the roles pointless.
    known = ("none", "hub") if entra else ("hub", "none")
    urls = _one_of(values, "MANAGEMENT_URLS", known, faults)
    if faults:
        raise ConfigurationFault(faults)
    return Settings(
        values=values,
        sources_file=APP_FOLDER / sources,
        sources_url=url,
        retention=timedelta(days=retention),
        table_connection=connection,
        table_service_uri=uri,
        client_id=client_id,
        hub_urls=urls == "hub",
    )


def read_access() -> Access:
    """Read from the environment how callers prove themselves; needs no other setting.

    Raises:
        ConfigurationFault: `AUTH` has no known value.
    """
    return parse_access(os.environ)


def parse_access(values: Mapping[str, str]) -> Access:
    """The access that `values` ask for. See `read_access`.

    The platform sets WEBSITE_AUTH_ENABLED, which is read-only:
    https://learn.microsoft.com/azure/app-service/reference-app-settings
    """
    faults: list[Fault] = []
    auth = _one_of(values, "AUTH", _AUTH, faults)
    if faults:
        raise ConfigurationFault(faults)
    return Access(auth == "entra", values.get("WEBSITE_AUTH_ENABLED", "").lower() == "true")


def _one_of(
    values: Mapping[str, str], name: str, known: tuple[str, ...], faults: list[Fault]
) -> str:
    """The value of a setting, the first of the known ones if it is not set."""
    value = values.get(name) or known[0]
    if value not in known:
        faults.append(Fault(name, f"must be one of: {', '.join(known)}"))
    return value


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
        if uri := values.get(f"{name}__tableServiceUri"):
            faults += [
                Fault(f"{name}__tableServiceUri", what)
                for what in url_faults(uri, allow_http=False)
            ]
            return None, uri, client_id
        if account := values.get(f"{name}__accountName"):
            if not _ACCOUNT.fullmatch(account):
                what = "must be 3 to 24 lower-case letters and digits"
                faults.append(Fault(f"{name}__accountName", what))
            return None, f"https://{account}.table.core.windows.net", client_id
    faults.append(
        Fault("JobStatusStorage", "is not set, nor is AzureWebJobsStorage; one names the storage")
    )
    return None, None, None
