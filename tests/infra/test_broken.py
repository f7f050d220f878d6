"""The checks, checked: each of these broken copies must be found out."""

from typing import Any

import pytest

from tests.infra.rules import RULES, environments
from tests.infra.running import broken, check

MAIN, PARAMETERS = "infra/main.bicep", "infra/main.parameters.json"
ACCESS, APP, STORAGE = (f"infra/modules/{name}.bicep" for name in ("access", "app", "storage"))
NETWORK, VAULT, ALERTS = (f"infra/modules/{name}.bicep" for name in ("network", "vault", "alerts"))
INSIGHTS, SCHEDULER = (f"infra/modules/{name}.bicep" for name in ("insights", "scheduler"))

# Found by parsing, by evaluating or by the models: file, text, what replaces it, what is said.
BY_LANGUAGE = {
    "misspelt property": (STORAGE, "minimumTlsVersion", "minimumTLSVersion", "has no property"),
    "misspelt deep inside": (APP, "instanceCount: 1", "count: 1", "has no property count"),
    "misspelt at the top": (APP, "kind: 'functionapp'\n", "kinds: 'x'\n", "has no property kinds"),
    "property of another version": (
        *(SCHEDULER, "    ipAllowlist", "    ipAllowList", "has no property ipAllowList"),
    ),
    "wrong enum": (STORAGE, "'StorageV2'", "'StorageV9'", "'StorageV9' is none of"),
    "wrong enum by parameter": (
        *(MAIN, "schedulerSku string = 'C", "schedulerSku string = 'X", "against @allowed"),
    ),
    "wrong enum in another generation of models": (
        *(SCHEDULER, "sku: { name: sku }", "sku: { name: 'Free' }", "'Free' is none of"),
    ),
    "wrong type": (APP, "reserved: true", "reserved: 'yes'", "'yes' is no bool"),
    "text for a number": (APP, "instanceCount: 1", "instanceCount: '1'", "'1' is no int"),
    "one for a list": (INSIGHTS, "tags: tags", "tags: ['a']", "is no dict"),
    "unknown API version": (APP, "sites@2025-03-01", "sites@2031-03-01", "no model of"),
    "unknown type": (APP, "Microsoft.Web/sites@", "Microsoft.Web/site@", "no model of"),
    "missing required": (APP, "  location: location\n", "", "lacks location"),
    "missing required inside": (SCHEDULER, "    ipAllowlist: allowlist\n", "", "lacks ipAllowlist"),
    "read-only property": (SCHEDULER, "    sku: {", "    endpoint: name\n    sku: {", "read-only"),
    "undefined symbol": (STORAGE, "parent: account", "parent: acount", "acount is not declared"),
    "undefined in a branch not taken": (
        *(APP, "{} : schedulerSettings", "{} : shedulerSettings", "is not declared"),
    ),
    "undefined function": (APP, "concat(", "concatenate(", "function concatenate is not known"),
    "declared twice": (STORAGE, "param sku string", "param name string", "declared twice"),
    "parameter not passed on": (MAIN, "    sku: storageSku\n", "", "sku is not supplied"),
    "parameter that is not there": (MAIN, "    sku: storageSku", "    skus: 1", "no parameter"),
    "parameter of the wrong type": (
        *(MAIN, "    private: useVirtualNetwork", "    private: location", "is no bool"),
    ),
    "parameter not supplied": (
        *(PARAMETERS, '"location": {', '"region": {', "has no parameter region"),
    ),
    "nothing gives the value": (
        *(PARAMETERS, "${AZURE_LOCATION}", "${AZURE_REGION}", "nothing gives AZURE_REGION"),
    ),
    "value outside its limits": (
        *(
            PARAMETERS,
            '"maximumInstanceCount": { "value": 40',
            '"maximumInstanceCount": { "value": 0',
        ),
        "against @minValue",
    ),
    "value that is not allowed": (PARAMETERS, '"3.12"', '"2.7"', "against @allowed"),
    "output that is not there": (
        *(MAIN, "vault.outputs.name\n    sub", "vault.outputs.title\n    sub", "has no title"),
    ),
    "output of what is not deployed": (
        *(
            MAIN,
            "useVirtualNetwork ? network!.outputs.appSubnetId : ''",
            "network!.outputs.appSubnetId",
        ),
        "not deployed has no outputs",
    ),
    "property that nobody can read": (
        *(STORAGE, "primaryEndpoints.table", "primaryEndpoints.tables", "to read"),
    ),
    "file that is not there": (MAIN, "modules/vault.bicep", "modules/vaults.bicep", "there is no"),
    "whole resource for its id": (
        APP,
        "serverFarmId: plan.id",
        "serverFarmId: plan",
        "is no value",
    ),
    "brace that is not closed": (STORAGE, "sku: { name: sku }", "sku: { name: sku", "parsed"),
    "no Bicep": (VAULT, "resource vault", "ressource vault", "parsed"),
}

# Found by a rule: file, text, what replaces it, which rule.
BY_RULE = {
    "shared key on": (STORAGE, "SharedKeyAccess: false", "SharedKeyAccess: true", "no_keys"),
    "public blobs": (STORAGE, "publicAccess: 'None'", "publicAccess: 'Blob'", "no_keys"),
    "local authentication": (
        INSIGHTS,
        "DisableLocalAuth: true",
        "DisableLocalAuth: false",
        "no_keys",
    ),
    "publishing password": (APP, "allow: false", "allow: true", "no_keys"),
    "missing role": (ACCESS, "[blobDataOwner, tableDataContributor]", "[blobDataOwner]", "roles"),
    "missing role of the scheduler": (
        *(SCHEDULER, "0ad04412-c4d5-4796-b79c-f76d14c8d402", "some", "roles"),
    ),
    "another role": (ACCESS, "ns', secretsUser)", "ns', secretsOfficer)", "roles"),
    "role on too much": (ACCESS, "  scope: vault\n", "  scope: account\n", "roles"),
    "no __clientId": (
        APP,
        "  AzureWebJobsStorage__clientId: identityClientId\n",
        "",
        "by_identity",
    ),
    "no client id for telemetry": (APP, ";ClientId=${identityClientId}", "", "by_identity"),
    "another task hub": (APP, "TaskHub=${durable.hubName}", "TaskHub=default", "by_identity"),
    "other service tag": (APP, "'azd-service-name': 'app'", "'azd-service-name': 'api'", "tags"),
    "other service in azure.yaml": ("azure.yaml", "  app:", "  api:", "tags"),
    "untagged": (STORAGE, "  tags: tags\n", "", "tags"),
    "forbidden setting": (
        *(APP, "var ownSettings = {", "var ownSettings = {\n  FUNCTIONS_WORKER_RUNTIME: 'python'"),
        "flex",
    ),
    "forbidden by its beginning": (
        *(APP, "var ownSettings = {", "var ownSettings = {\n  WEBSITE_CONTENTSHARE: 'x'", "flex"),
    ),
    "nobody always ready": (APP, "name: 'durable', i", "name: 'http', i", "flex"),
    "other number of threads": (
        *(APP, "string(durable.maxConcurrentActivityFunctions)", "'8'", "concurrency"),
    ),
    "no endpoint for tables": (
        *(NETWORK, "  { group: 'table', zone: tableZone, target: storageId }\n", "", "network"),
    ),
    "endpoint in the wrong zone": (NETWORK, "zone: queueZone", "zone: blobZone", "network"),
    "storage left open": (STORAGE, "private ? 'Disabled'", "private ? 'Enabled'", "network"),
    "subnet not delegated": (NETWORK, "Microsoft.App/env", "Microsoft.Web/env", "network"),
    "secret in the template": (
        *(APP, "var ownSettings = {", "var ownSettings = {\n  X: 'AccountKey=abc'", "no_secret"),
    ),
    "secret not from the vault": (APP, "'@Microsoft.KeyVault(Vault", "'(Vault", "no_secret"),
    "alert that tells nobody": (ALERTS, "[people.id]", "[]", "alerts"),
    "alert in the wrong place": (ALERTS, "scopes: [workspaceId]", "scopes: []", "alerts"),
    "no logs": (APP, "scope: app", "scope: plan", "diagnostics"),
    "name too long": (MAIN, "'stjobmon${token}'", "'storagejobmonitor${token}'", "names"),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is found in each broken copy. All are checked at once: starting takes longest."""
    folder = tmp_path_factory.mktemp("broken")
    cases = BY_LANGUAGE | BY_RULE
    copies = [broken(folder / name, *case[:3]) for name, case in cases.items()]
    return dict(zip(cases, check(*copies)["checked"], strict=True))


@pytest.mark.parametrize("name", BY_LANGUAGE)
def test_language_or_models_find(results: dict[str, Any], name: str) -> None:
    faults = results[name]["faults"]
    assert [fault for fault in faults if BY_LANGUAGE[name][3] in fault], faults


@pytest.mark.parametrize("name", BY_RULE)
def test_a_rule_finds(results: dict[str, Any], name: str) -> None:
    rule = RULES[BY_RULE[name][3]]
    assert results[name]["faults"] == []  # it is a rule that has to find it
    assert [fault for each in environments(results[name]) for fault in rule(each)]
