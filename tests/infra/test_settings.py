"""Settings agree: those that the app reads, the README's, the local ones and those in Azure."""

import re

import pytest

from adapters.settings import parse_settings
from domain.errors import ConfigurationFault
from domain.sources.file import load_sources
from tests.app import test_settings_files as files
from tests.infra import rules
from tests.infra.templates import ROOT, Templates, sources

README = (ROOT / "README.md").read_text(encoding="utf-8")

# Read by the host, the worker, the SDKs or, the last, by nothing but what people put into
# job_sources.toml. A setting that nothing reads may be a misspelt one.
OF_THE_PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__credential",
    "DURABLE_TASK_SCHEDULER_CONNECTION_STRING",
    "PYTHON_THREADPOOL_THREAD_COUNT",
    "AZURE_CLIENT_ID",
}


@pytest.fixture(scope="module")
def in_azure() -> dict[str, str]:
    """The app settings in Azure: expressions as their text, literals and known values as such."""
    templates = Templates(sources())
    found = rules.settings(templates)
    threads = sum(rules.DURABLE[limit] for limit in rules.LIMITS) + 8
    known = {
        "string(retentionDays)": templates.parameters["main"]["retentionDays"],
        rules.THREADS: str(threads),
        rules.SETTINGS["AUTH"]: "keys",
        "storageName": "stjobmonitor",
    }
    return {name: known.get(value, value.strip("'")) for name, value in found.items()}


def test_the_settings_that_the_app_needs_are_set(in_azure: dict[str, str]) -> None:
    # Missing settings would raise: nothing has to be set by hand for the app to start.
    settings = parse_settings(in_azure)
    text = (ROOT / "job_sources.toml").read_text(encoding="utf-8")
    assert "demo" in load_sources(text, in_azure).by_name
    assert settings.sources_file == ROOT / "job_sources.toml"
    # The app uses the account and the identity of the host.
    assert settings.table_connection is None
    assert settings.table_service_uri == "https://stjobmonitor.table.core.windows.net"
    assert settings.client_id == "identityClientId"


def test_a_reference_that_azure_did_not_resolve_is_found_at_start(
    in_azure: dict[str, str],
) -> None:
    # Its text would be sent as the token. The app finds the form that the template writes.
    form = re.search(r"'(@Microsoft[^']*)'", sources()["app"])
    assert form
    text = (ROOT / "job_sources.toml").read_text(encoding="utf-8")
    text = text.replace('kind = "none"', 'kind = "bearer"\ntoken = "${SALES_TOKEN}"')
    with pytest.raises(ConfigurationFault) as raised:
        load_sources(text, in_azure | {"SALES_TOKEN": form[1]})
    (fault,) = raised.value.faults
    assert "SALES_TOKEN" in fault.what
    assert form[1] not in str(fault)
    assert load_sources(text, in_azure | {"SALES_TOKEN": "resolved"})


def test_nothing_is_set_that_nothing_reads(in_azure: dict[str, str]) -> None:
    assert in_azure.keys() - files.settings_read() - OF_THE_PLATFORM == set()


def test_defaults_are_those_of_the_readme(in_azure: dict[str, str]) -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", README, re.MULTILINE))
    for name in ("RETENTION_DAYS", "DEMO_JOB_SERVICE_URL", "PYTHON_THREADPOOL_THREAD_COUNT"):
        assert in_azure[name] == told[name], name


def test_local_settings_are_few() -> None:
    # All that Azure has and this machine has not comes with a default, or is the platform's.
    local = files.LOCAL["Values"].keys()
    assert local - files.settings_read() == {
        *("FUNCTIONS_WORKER_RUNTIME", "PYTHON_THREADPOOL_THREAD_COUNT")
    }
