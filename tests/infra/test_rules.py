"""The templates keep the rules, and each rule finds the copies that break it."""

import json
import re

import pytest

from tests.infra.rules import ALERTS, RULES
from tests.infra.templates import ROOT, Templates, sources

SOURCES = sources()
README = (ROOT / "infra/README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates(SOURCES)


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str, templates: Templates) -> None:
    assert list(RULES[rule](templates)) == []


OWN = "var ownSettings = {"

# For each rule copies that break it: file, text, and the text that replaces it there.
BROKEN = {
    "no_keys": [
        ("storage", "SharedKeyAccess: false", "SharedKeyAccess: true"),
        ("storage", "    allowSharedKeyAccess: false\n", ""),
        ("storage", "publicAccess: 'None'", "publicAccess: 'Blob'"),
        ("insights", "DisableLocalAuth: true", "DisableLocalAuth: false"),
        ("app", "httpsOnly: true", "httpsOnly: false"),
    ],
    "by_identity": [("app", "keyVaultReferenceIdentity: identityId\n", "")],
    "signed_in": [
        ("app", "platform: { enabled: !empty(authClientId) }", "platform: { enabled: false }"),
        ("app", "requireAuthentication: true", "requireAuthentication: false"),
        ("app", "'Return401'", "'AllowAnonymous'"),
        ("app", "'/api/hints/*'", "'/api/*'"),
        ("app", "${tenant().tenantId}/v2.0", "common/v2.0"),
        (
            "app",
            "allowedAudiences: [authClientId, 'api://${authClientId}']",
            "allowedAudiences: []",
        ),
    ],
    "flex": [
        ("app", "name: 'durable', i", "name: 'blob', i"),
        ("app", "{ name: 'http', instanceCount: 1 }\n", ""),
        ("app", "triggers: { http: { perInstanceConcurrency: 16 } }", ""),
    ],
    "network": [
        ("storage", "private ? 'Disabled'", "private ? 'Enabled'"),
        ("vault", "private ? 'Deny'", "private ? 'Allow'"),
        ("network", "Microsoft.App/env", "Microsoft.Web/env"),
    ],
    "scheduler": [("scheduler", "min(retentionDays, largestRetention)", "30")],
    "alerts": [
        ("alerts", "[people.id]", "[]"),
        ("alerts", "scopes: [workspaceId]", "scopes: []"),
        ("alerts", "dimensions: rule.dimensions\n", ""),
    ],
    "origins": [
        ("main", "identity.outputs.clientId", "insights.outputs.connection"),
        ("main", "    private: useVirtualNetwork\n", "    private: false\n"),
        ("storage", "${packages.name}'", "x'"),
    ],
    "app_settings": [
        ("app", "  AzureWebJobsStorage__clientId: identityClientId\n", ""),
        ("app", "=AAD;ClientId=${identityClientId}", "=AAD"),
        ("app", "TaskHub=${durable.hubName}", "TaskHub=default"),
        ("app", " + durable.maxConcurrentOrchestratorFunctions", ""),
        ("app", "'keys' : 'entra'", "'entra' : 'keys'"),
        ("app", OWN, f"{OWN}\n  WEBSITE_AUTH_ENABLED: 'true'"),
        ("app", OWN, f"{OWN}\n  WEBSITE_CONTENTSHARE: 'x'"),
        ("app", "'../../host.json'", "'../host.azureManaged.json'"),
    ],
    "secrets": [
        ("app", OWN, f"{OWN}\n  X: 'AccountKey=a'"),
        ("app", "'@Microsoft.KeyVault(Vault", "'(Vault"),
        ("app", ", appSettings, secretSettings)", ")"),
    ],
    "roles": [
        ("access", "[blobDataOwner, tableData", "[tableData"),
        ("access", "ns', secretsUser)", "ns', secretsOfficer)"),
        ("access", "  scope: vault\n", "  scope: account\n"),
        ("access", " = if (!useScheduler)", " ="),
        ("access", "Id: deployerPrincipalId", "Id: identity.properties.principalId"),
        ("scheduler", "0ad04412", "0ad04413"),
        ("main", "identityName: identityName\n    ins", "identityName: vaultName\n    ins"),
    ],
    "publishing": [("app", "allow: false", "allow: true")],
    "tags": [
        ("app", "'azd-service-name': 'app'", "'azd-service-name': 'api'"),
        ("storage", "  tags: tags\n", ""),
        ("main", "    tags: tags\n", "    tags: {}\n"),
    ],
    "endpoints": [
        ("network", "  { group: 'table', zone: tableZone, target: storageId }\n", ""),
        ("network", "zone: queueZone", "zone: blobZone"),
        ("network", "zone: vaultZone", "zone: 'privatelink.vault.net'"),
        ("network", "@batchSize(1)\n", ""),
    ],
    "queries": [
        ("alerts", 'event == "stale"', 'event == "silent"'),
        ("alerts", '"Lost", "Unreach', '"Gone", "Unreach'),
        ("alerts", "toint(e.storeAttempts)", "toint(e.tries)"),
        ("alerts", "dimensions: byMonitor", "dimensions: []"),
        ("alerts", 'event == "noticeGivenUp"', 'event == "givenUp"'),
        ("alerts", "dimensions: byChannel", "dimensions: []"),
    ],
    "diagnostics": [("app", "scope: app", "scope: plan")],
}


@pytest.mark.parametrize(
    ("rule", "file", "old", "new"), [(rule, *each) for rule in BROKEN for each in BROKEN[rule]]
)
def test_a_broken_copy_is_found(rule: str, file: str, old: str, new: str) -> None:
    assert old in SOURCES[file], f"{file} has no {old!r} to break"
    broken = Templates(SOURCES | {file: SOURCES[file].replace(old, new, 1)})
    assert list(RULES[rule](broken))


def test_every_rule_has_a_broken_copy() -> None:
    assert BROKEN.keys() == RULES.keys()


def test_a_file_that_cannot_be_parsed_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"storage\.bicep cannot be parsed"):
        Templates(SOURCES | {"storage": SOURCES["storage"].replace("sku: {", "sku: {{")})


def test_every_parameter_is_supplied_and_explained(templates: Templates) -> None:
    text = (ROOT / "infra/main.parameters.json").read_text(encoding="utf-8")
    declared = list(templates.parameters["main"])
    assert list(json.loads(text)["parameters"]) == declared
    assert [name for name in declared if f"| `{name}` |" not in README] == []


def test_every_output_is_explained(templates: Templates) -> None:
    assert [name for name in templates.outputs["main"] if f"`{name}`" not in README] == []


def test_every_alert_is_explained() -> None:
    assert [name for name in ALERTS if f"| `{name}` |" not in README] == []


def test_defaults_agree(templates: Templates) -> None:
    """The values of main.parameters.json, after azd has put in its defaults, are the template's."""
    text = (ROOT / "infra/main.parameters.json").read_text(encoding="utf-8")
    for name, parameter in json.loads(text)["parameters"].items():
        default = templates.parameters["main"][name]
        given = re.sub(r"\$\{\w+=?([^}]*)\}", r"\1", str(parameter["value"]))
        if default is not None and not isinstance(default, dict | list):
            assert given == default.strip("'"), name
