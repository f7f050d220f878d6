"""Settings agree: what the app reads, what the README tells, what is set locally and in Azure."""

import re

import pytest

from adapters.settings import parse_settings
from domain.sources.file import load_sources
from tests.app import test_settings_files as files
from tests.app.test_host_json import HOST
from tests.infra.rules import Deployed
from tests.infra.running import ROOT

ENVIRONMENTS = ("default", "network", "scheduler", "all")
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCES = (ROOT / "job_sources.toml").read_text(encoding="utf-8")

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
# What tests/infra/check.py adds in the environment "all".
ADDED = {"SALES_URL", "SALES_TOKEN"}


@pytest.fixture(params=ENVIRONMENTS)
def in_azure(request: pytest.FixtureRequest, deployed: dict[str, Deployed]) -> dict[str, str]:
    """The app settings in Azure."""
    return deployed[request.param].settings


def test_what_the_app_reads_is_told_in_the_readme() -> None:
    table = files.settings_table(README)
    assert [name for name in sorted(files.settings_read()) if not files.is_in(table, name)] == []


def test_what_the_app_needs_is_set(in_azure: dict[str, str]) -> None:
    # Missing settings would raise: nothing has to be set by hand for the app to start.
    settings = parse_settings(in_azure)
    sources = load_sources(SOURCES, in_azure)
    assert settings.sources_file == ROOT / "job_sources.toml"
    assert "demo" in sources.by_name


def test_the_app_uses_the_account_and_identity_of_the_host(in_azure: dict[str, str]) -> None:
    settings = parse_settings(in_azure)
    account = in_azure["AzureWebJobsStorage__accountName"]
    assert settings.table_connection is None
    assert settings.table_service_uri == f"https://{account}.table.core.windows.net"
    assert settings.client_id == in_azure["AzureWebJobsStorage__clientId"]
    assert in_azure["AzureWebJobsStorage__credential"] == "managedidentity"
    assert "AzureWebJobsStorage" not in in_azure


def test_nothing_is_set_that_nothing_reads(in_azure: dict[str, str]) -> None:
    known = files.settings_read() | OF_THE_PLATFORM | ADDED
    unknown = {name for name in in_azure if not name.startswith("AzureFunctionsJobHost__")}
    assert unknown - known == set()


def test_defaults_are_those_of_the_readme(deployed: dict[str, Deployed]) -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", README, re.MULTILINE))
    for name in ("RETENTION_DAYS", "DEMO_JOB_SERVICE_URL", "PYTHON_THREADPOOL_THREAD_COUNT"):
        assert deployed["default"].settings[name] == told[name], name


def test_a_setting_of_ones_own_wins(deployed: dict[str, Deployed]) -> None:
    assert deployed["all"].settings["RETENTION_DAYS"] == "90"
    assert deployed["all"].settings["SALES_URL"] == "https://sales.example.com"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_backend_is_chosen_over_one_host_json(
    deployed: dict[str, Deployed], environment: str
) -> None:
    settings = deployed[environment].settings
    prefix = "AzureFunctionsJobHost__extensions__durableTask__storageProvider__"
    overrides = {name for name in settings if name.startswith("AzureFunctionsJobHost__")}
    if not deployed[environment].has_scheduler:
        assert overrides == set()
        return
    assert overrides == {f"{prefix}type", f"{prefix}connectionStringName"}
    assert HOST["extensions"]["durableTask"]["storageProvider"]["type"] == "AzureStorage"
    assert settings[f"{prefix}type"] == "azureManaged"
    assert settings[f"{prefix}connectionStringName"] in settings


def test_local_settings_are_few() -> None:
    # All that Azure has and this machine has not comes with a default, or is the platform's.
    local = files.LOCAL["Values"].keys()
    assert local - files.settings_read() == {
        *("FUNCTIONS_WORKER_RUNTIME", "PYTHON_THREADPOOL_THREAD_COUNT")
    }


def test_the_lock_of_the_checks_has_hashes_and_names_no_place() -> None:
    lock = "infra/requirements-checks.txt"
    whole = re.compile(r"[\w.-]+==[\w.+]+( ; [\w'\" .<>=!()]+)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert files.requirements(lock)
    assert [line for line in files.requirements(lock) if not whole.fullmatch(line)] == []
