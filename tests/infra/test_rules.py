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


# File, text, its replacement, and the rule that has to find it.
BROKEN = {
    "missing role": ("access", "[blobDataOwner, tableData", "[tableData", "roles"),
    "role of the scheduler is another": ("scheduler", "0ad04412", "0ad04413", "roles"),
    "another role": ("access", "ns', secretsUser)", "ns', secretsOfficer)", "roles"),
    "role on too much": ("access", "  scope: vault\n", "  scope: account\n", "roles"),
    "role for queues with the scheduler": ("access", " = if (!useScheduler)", " =", "roles"),
    "role of the app for people": (
        *("access", "Id: deployerPrincipalId", "Id: identity.properties.principalId", "roles"),
    ),
    "role for another identity": (
        *(
            "main",
            "identityName: identityName\n    insights",
            "identityName: vaultName\n    insights",
        ),
        "roles",
    ),
    "shared key on": ("storage", "SharedKeyAccess: false", "SharedKeyAccess: true", "no_keys"),
    "property that is gone": ("storage", "    allowSharedKeyAccess: false\n", "", "no_keys"),
    "public blobs": ("storage", "publicAccess: 'None'", "publicAccess: 'Blob'", "no_keys"),
    "plain http": ("app", "httpsOnly: true", "httpsOnly: false", "no_keys"),
    "local authentication": (
        *("insights", "DisableLocalAuth: true", "DisableLocalAuth: false", "no_keys"),
    ),
    "publishing password": ("app", "allow: false", "allow: true", "no_keys"),
    "no client id of the host": (
        *("app", "  AzureWebJobsStorage__clientId: identityClientId\n", "", "by_identity"),
    ),
    "no client id for telemetry": ("app", ";ClientId=${identityClientId}", "", "by_identity"),
    "another task hub": ("app", "TaskHub=${durable.hubName}", "TaskHub=default", "by_identity"),
    "another identity": (
        *("main", "identity.outputs.clientId", "insights.outputs.connection", "by_identity"),
    ),
    "other service tag": ("app", "'azd-service-name': 'app'", "'azd-service-name': 'api'", "tags"),
    "untagged": ("storage", "  tags: tags\n", "", "tags"),
    "other tags": ("main", "    tags: tags\n", "    tags: {}\n", "tags"),
    "forbidden setting": (
        *("app", "var ownSettings = {", "var ownSettings = {\n  WEBSITE_CONTENTSHARE: 'x'", "flex"),
    ),
    "nobody always ready": ("app", "name: 'durable', i", "name: 'blob', i", "flex"),
    "cold start for a request": ("app", "{ name: 'http', instanceCount: 1 }\n", "", "flex"),
    "one request an instance": (
        "app",
        "triggers: { http: { perInstanceConcurrency: 16 } }",
        "",
        "flex",
    ),
    "package from elsewhere": ("storage", "${packages.name}'", "x'", "flex"),
    "threads for activities alone": (
        *("app", " + durable.maxConcurrentOrchestratorFunctions", "", "concurrency"),
    ),
    "no endpoint for tables": (
        *("network", "  { group: 'table', zone: tableZone, target: storageId }\n", "", "network"),
    ),
    "endpoint in the wrong zone": ("network", "zone: queueZone", "zone: blobZone", "network"),
    "endpoints in parallel": ("network", "@batchSize(1)\n", "", "network"),
    "zone of one cloud": ("network", "zone: vaultZone", "zone: 'privatelink.vault.net'", "network"),
    "storage left open": ("storage", "private ? 'Disabled'", "private ? 'Enabled'", "network"),
    "vault left open": ("vault", "private ? 'Deny'", "private ? 'Allow'", "network"),
    "not delegated": ("network", "Microsoft.App/env", "Microsoft.Web/env", "network"),
    "secret in the template": (
        *("app", "var ownSettings = {", "var ownSettings = {\n  X: 'AccountKey=a'", "no_secret"),
    ),
    "secret not from the vault": ("app", "'@Microsoft.KeyVault(Vault", "'(Vault", "no_secret"),
    "setting that is there twice": ("app", ", appSettings, secretSettings)", ")", "no_secret"),
    "role named after a late value": (
        *("access", "identity.id, role)", "identity.properties.principalId, role)", "known_names"),
    ),
    "name from an output": (
        *("main", "vaultName: vaultName\n    use", "vaultName: vault.outputs.id\n    use"),
        "known_names",
    ),
    "no retention of the scheduler": (
        *("scheduler", "min(retentionDays, largestRetention)", "30", "scheduler"),
    ),
    "alert that reaches nobody": ("alerts", "[people.id]", "[]", "alerts"),
    "alert that looks elsewhere": ("alerts", "scopes: [workspaceId]", "scopes: []", "alerts"),
    "alert on an unknown event": ("alerts", 'event == "stale"', 'event == "silent"', "alerts"),
    "alert on an unknown state": ("alerts", '"Lost", "Unreach', '"Gone", "Unreach', "alerts"),
    "alert on an unknown field": ("alerts", "toint(e.storeAttempts)", "toint(e.tries)", "alerts"),
    "one mail for all monitors": ("alerts", "dimensions: byMonitor", "dimensions: []", "alerts"),
    "dimensions left out": ("alerts", "dimensions: rule.dimensions\n", "", "alerts"),
    "no logs": ("app", "scope: app", "scope: plan", "diagnostics"),
    "name too long": ("main", "'stjobmon${token}'", "'storagejobmonitor${token}'", "names"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_copy_is_found(name: str) -> None:
    file, old, new, rule = BROKEN[name]
    assert old in SOURCES[file], f"{file} has no {old!r} to break"
    broken = Templates(SOURCES | {file: SOURCES[file].replace(old, new, 1)})
    assert list(RULES[rule](broken))


def test_every_rule_has_a_broken_copy() -> None:
    assert {rule for *_, rule in BROKEN.values()} == RULES.keys()


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
