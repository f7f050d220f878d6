"""App settings: where the store is, and every fault at once."""

from datetime import timedelta
from pathlib import Path

import pytest

from adapters.services import get_services
from adapters.settings import Access, parse_access, parse_settings
from adapters.source_files import LocalFiles
from domain.errors import ConfigurationFault

LOCAL = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
URI = "https://own.table.core.windows.net"


@pytest.mark.parametrize(
    ("values", "connection", "uri", "client_id"),
    [
        ({"AzureWebJobsStorage": "x=y"}, "x=y", None, None),
        ({"AzureWebJobsStorage": "x=y", "JobStatusStorage": "own=1"}, "own=1", None, None),
        ({"AzureWebJobsStorage": "x=y", "JobStatusStorage": ""}, "x=y", None, None),
        (
            {"JobStatusStorage__tableServiceUri": URI, "JobStatusStorage__clientId": "id"},
            *(None, URI, "id"),
        ),
        ({"AzureWebJobsStorage__accountName": "own"}, None, URI, None),
        (
            {"AzureWebJobsStorage__tableServiceUri": URI, "AzureWebJobsStorage__clientId": "i"},
            *(None, URI, "i"),
        ),
    ],
)
def test_where_the_store_is(
    values: dict[str, str], connection: str | None, uri: str | None, client_id: str | None
) -> None:
    settings = parse_settings(values)
    assert settings.table_connection == connection
    assert settings.table_service_uri == uri
    assert settings.client_id == client_id


def test_the_emulators_short_name_is_understood() -> None:
    settings = parse_settings({"AzureWebJobsStorage": "UseDevelopmentStorage=true"})
    assert "http://127.0.0.1:10002/devstoreaccount1" in (settings.table_connection or "")


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigurationFault) as error:
        parse_settings({"RETENTION_DAYS": "0"})
    assert [fault.where for fault in error.value.faults] == ["JobStatusStorage", "RETENTION_DAYS"]


@pytest.mark.parametrize("days", ["0", "-1", "3651", "1.5", "x", "", "٣٠", "9" * 4_301])
def test_a_retention_out_of_range_is_refused(days: str) -> None:
    with pytest.raises(ConfigurationFault):
        parse_settings({"AzureWebJobsStorage": "x=y", "RETENTION_DAYS": days})


ODD = [
    *("x", "::", "//x", "/etc", "http://", "https://[", "file:///etc", "https://a b", "a" * 300),
    *("https://a.example:99999", "http://a.example", "https://u:p@a.example", "9" * 4_301),
    *("https://é.example", "\ud800", "a/b", "a#b", "A", "..", "https://a\nb"),
]


@pytest.mark.parametrize("value", ODD)
def test_no_value_of_a_setting_is_more_than_a_fault(value: str) -> None:
    """The app says what is wrong with 503, and not 500: at its start, and at each request."""
    for name in ("tableServiceUri", "accountName"):
        with pytest.raises(ConfigurationFault) as error:
            parse_settings({f"JobStatusStorage__{name}": value})
        assert {fault.where for fault in error.value.faults} == {f"JobStatusStorage__{name}"}
        assert len(str(error.value)) < 300
    read = LocalFiles(Path(parse_settings(LOCAL | {"JOB_SOURCES_FILE": "f/" + value}).sources_file))
    assert read.read().faults


@pytest.mark.parametrize("value", [*ODD, "SharedAccessSignature=x"])
def test_no_connection_string_is_more_than_a_fault(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    settings = parse_settings({"AzureWebJobsStorage": value})
    monkeypatch.setattr("adapters.services.read_settings", lambda: settings)
    get_services.cache_clear()
    with pytest.raises(ConfigurationFault, match="is no connection string"):
        get_services()


def test_results_are_kept_for_thirty_days_unless_set() -> None:
    assert parse_settings({"AzureWebJobsStorage": "x=y"}).retention == timedelta(days=30)


def test_settings_do_not_show_in_a_trace() -> None:
    """I9."""
    assert "secret" not in repr(parse_settings({"AzureWebJobsStorage": "AccountKey=secret"}))


@pytest.mark.parametrize(
    ("values", "hub_urls"),
    [
        ({}, True),
        ({"MANAGEMENT_URLS": "hub"}, True),
        ({"MANAGEMENT_URLS": ""}, True),
        ({"MANAGEMENT_URLS": "none"}, False),
        # With roles, a key of the whole hub is in no answer unless that is asked for.
        ({"AUTH": "entra"}, False),
        ({"AUTH": "entra", "MANAGEMENT_URLS": "hub"}, True),
    ],
)
def test_which_urls_a_start_is_answered_with(values: dict[str, str], hub_urls: bool) -> None:
    assert parse_settings({"AzureWebJobsStorage": "x=y"} | values).hub_urls is hub_urls


@pytest.mark.parametrize("name", ["MANAGEMENT_URLS", "AUTH"])
@pytest.mark.parametrize("value", ["None", "all", "entra ", "key"])
def test_a_word_that_is_not_known_is_refused(name: str, value: str) -> None:
    """A misspelt setting must not open what it was to close."""
    with pytest.raises(ConfigurationFault) as error:
        parse_settings({"AzureWebJobsStorage": "x=y", name: value})
    assert [fault.where for fault in error.value.faults] == [name]


@pytest.mark.parametrize(
    ("values", "entra", "platform"),
    [
        ({}, False, False),
        ({"AUTH": "keys"}, False, False),
        ({"AUTH": "entra"}, True, False),
        ({"AUTH": "entra", "WEBSITE_AUTH_ENABLED": "False"}, True, False),
        ({"AUTH": "entra", "WEBSITE_AUTH_ENABLED": "True"}, True, True),
        ({"WEBSITE_AUTH_ENABLED": "true"}, False, True),
    ],
)
def test_how_callers_prove_themselves(values: dict[str, str], entra: bool, platform: bool) -> None:
    assert parse_access(values) == Access(entra, platform)
