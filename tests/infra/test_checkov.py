"""Security checks of checkov: a list of them, each of which must have looked at its resource.

checkov exits with 0 on a file that it can't parse, and skips a check whose resource it does not
find. So what passed is compared, and not only what failed. Left out are checks that take an
expression for a fault (CKV_AZURE_35, 109) or for none (59), that ask for what this plan does not
have (17, 18, 67, 78, 212, 213, 222, 225), or that were decided against (42 and 110, purge
protection; 206, replication, a parameter).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.infra.running import ROOT, copy, run

_SITE, _VAULT = "Microsoft.Web/sites.app", "Microsoft.KeyVault/vaults.vault"
_STORAGE = "Microsoft.Storage/storageAccounts.account"
_CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers.packages"

CHECKS = {
    "CKV_AZURE_3": _STORAGE,  # https only
    "CKV_AZURE_14": _SITE,  # https only
    "CKV_AZURE_16": _SITE,  # has an identity
    "CKV_AZURE_34": _CONTAINER,  # private
    "CKV_AZURE_36": _STORAGE,  # open to Azure's own services
    "CKV_AZURE_43": _STORAGE,  # a name that is allowed
    "CKV_AZURE_44": _STORAGE,  # TLS 1.2
    "CKV_AZURE_57": _SITE,  # no CORS for everybody
    "CKV_AZURE_70": _SITE,  # https only
    "CKV_AZURE_71": _SITE,  # has an identity
    "CKV_AZURE_72": _SITE,  # no remote debugging
    "CKV_AZURE_111": _VAULT,  # soft delete
    "CKV_AZURE_145": _SITE,  # TLS 1.2
}


def checkov(folder: Path) -> dict[str, Any]:
    command = ("checkov", "--framework", "bicep", "--skip-download", "--compact")
    checks = ("--check", ",".join(CHECKS))
    report: dict[str, Any] = json.loads(
        run(*command, *checks, "--output", "json", "--directory", str(folder))
    )
    return report


def told(report: dict[str, Any], kind: str) -> dict[str, str]:
    return {each["check_id"]: each["resource"] for each in report["results"][kind]}


def test_every_check_passes_and_saw_its_resource() -> None:
    report = checkov(ROOT / "infra")
    assert report["summary"]["parsing_errors"] == 0
    assert told(report, "failed_checks") == {}
    assert told(report, "passed_checks") == CHECKS
    assert report["summary"]["passed"] == len(CHECKS)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What checkov says about templates with three faults, one of them in the language."""
    folder = copy(tmp_path_factory.mktemp("insecure")) / "infra/modules"
    for name, old, new in (
        ("storage", "'TLS1_2'", "'TLS1_0'"),
        ("storage", "publicAccess: 'None'", "publicAccess: 'Blob'"),
        ("vault", "sku: {", "sku: {{"),
    ):
        path = folder / f"{name}.bicep"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
    return checkov(folder)


def test_faults_are_found(report: dict[str, Any]) -> None:
    assert told(report, "failed_checks").keys() == {"CKV_AZURE_34", "CKV_AZURE_44"}


def test_what_can_not_be_parsed_is_found(report: dict[str, Any]) -> None:
    assert report["summary"]["parsing_errors"] == 1
    assert "CKV_AZURE_111" not in told(report, "passed_checks")
