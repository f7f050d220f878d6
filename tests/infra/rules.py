"""The rules for the templates: the decisions of this project, which no compiler knows.

A rule takes the templates and gives the faults that it finds, so that test_rules.py can ask each
rule about a broken copy too.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import yaml

from domain.monitors.monitor import State
from tests.infra.templates import ROOT, Loop, Part, Templates, Value, texts
from tests.test_documentation import documented_events

HOST = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
DURABLE: dict[str, Any] = HOST["extensions"]["durableTask"]

STORAGE, CONTAINER = "Microsoft.Storage/storageAccounts", "blobServices/containers"
VAULT, SITE = "Microsoft.KeyVault/vaults", "Microsoft.Web/sites"
INSIGHTS, WORKSPACE = "Microsoft.Insights/components", "Microsoft.OperationalInsights/workspaces"
SCHEDULER, NETWORK = "Microsoft.DurableTask/schedulers", "Microsoft.Network"
ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"

# The roles that there are to be: who has which role on which resource, and when.
ROLES = {
    ("app", STORAGE, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", ""),  # Blob Data Owner
    ("app", STORAGE, "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", ""),  # Table Data Contributor
    # Queue Data Contributor
    ("app", STORAGE, "974c5e8b-45b9-4653-ba55-5f855dd0fb88", "!useScheduler"),
    ("app", INSIGHTS, "3913510d-42f4-4e42-8a64-420c390055eb", ""),  # Monitoring Metrics Publisher
    ("app", VAULT, "4633458b-17de-408a-b875-0445c86b69e6", ""),  # Key Vault Secrets User
    # Key Vault Secrets Officer
    ("people", VAULT, "b86a8fe4-44ce-4948-aee5-eccb2c155cd7", "!empty(deployerPrincipalId)"),
    ("app", SCHEDULER, "0ad04412-c4d5-4796-b79c-f76d14c8d402", ""),  # Durable Task Data Contributor
}

# The alerts, and the variable with the dimensions of each.
ALERTS: dict[str, Value] = {
    "job-not-succeeded": "byState",
    "monitor-stale": "byMonitor",
    "monitor-blind": "byMonitor",
    "status-unrecognised": "bySource",
    "final-status-not-stored": "byMonitor",
    "watchdog-not-run": [],
    "cleanup-not-run": [],
    "cleanup-removes-nothing": [],
    "function-failed": "byFunction",
}
# The worker's threads are for all activities and orchestrators at once, and some more.
LIMITS = ("maxConcurrentActivityFunctions", "maxConcurrentOrchestratorFunctions")
THREADS = f"string({' + '.join(f'durable.{limit}' for limit in LIMITS)} + 8)"

EVENTS = documented_events() | {"watched": set()}
"""The events that the app logs, with their fields."""

# The Flex Consumption plan refuses these settings, or ignores them.
FORBIDDEN = re.compile(
    "FUNCTIONS_WORKER_RUNTIME|FUNCTIONS_EXTENSION_VERSION|FUNCTIONS_WORKER_PROCESS_COUNT"
    "|FUNCTIONS_MAX_HTTP_CONCURRENCY|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD"
    "|WEBSITE_RUN_FROM_PACKAGE|WEBSITE_CONTENT.*|WEBSITE_VNET_ROUTE_ALL"
)
SECRET = re.compile(
    r"(?i)accountkey=|sharedaccess|sig=|\blist\w*keys?\(|password|instrumentationkey="
    r"|[A-Za-z0-9+/]{43}="
)


def at(value: Value, path: str) -> Value:
    """The value at a path of names with dots between them, `None` if there is none."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def settings(templates: Templates) -> dict[str, str]:
    """The app settings that the templates themselves set, with the scheduler's."""
    variables = templates.variables["app"]
    sets: Iterable[dict[str, str]] = (
        variables[name] for name in ("storageSettings", "ownSettings", "schedulerSettings")
    )
    return {name: value for each in sets for name, value in each.items()}


def _holds(templates: Templates, kind: str, wanted: dict[str, Value]) -> Iterator[str]:
    """Each property of the only resource of a type is as wanted."""
    body = templates.the(kind).body
    for path, value in wanted.items():
        if at(body, path) != value:
            yield f"{kind}: {path} is {at(body, path)}, not {value}"


def roles(templates: Templates) -> Iterator[str]:
    """The app has the roles that it needs, each on one resource, and no other; so have people."""
    given = set()
    for part in templates.of(ASSIGNMENT):
        scope = templates.named(part.file, part.body["scope"]).type
        principal = templates.origin(part.file, at(part.body, "properties.principalId"))
        who = {"identity.properties.principalId": "app", "principalId": "people"}.get(principal)
        if who == "app" and (
            templates.origin(part.file, templates.named(part.file, "identity").body["name"])
            != templates.origin("identity", templates.the(IDENTITY).body["name"])
        ):
            yield f"{part.symbol} is for another identity"
        definition = at(part.body, "properties.roleDefinitionId")
        role = re.fullmatch(r"subscriptionResourceId\('[\w./]+', (\w+)\)", definition)
        assert role, definition
        looped = templates.variables[part.file][part.loop] if part.loop else [role[1]]
        for name in looped:
            given.add((who, scope, templates.variables[part.file][name].strip("'"), part.when))
    yield from (f"{each} is missing" for each in ROLES - given)
    yield from (f"{each} is not needed" for each in given - ROLES)


def no_keys(templates: Templates) -> Iterator[str]:
    """Nothing lets anybody in for a key or a password, or shows a blob to all."""
    yield from _holds(
        templates,
        STORAGE,
        {
            "properties.allowSharedKeyAccess": "false",
            "properties.allowBlobPublicAccess": "false",
            "properties.minimumTlsVersion": "'TLS1_2'",
            "properties.supportsHttpsTrafficOnly": "true",
        },
    )
    yield from _holds(templates, f"{STORAGE}/{CONTAINER}", {"properties.publicAccess": "'None'"})
    yield from _holds(templates, WORKSPACE, {"properties.features.disableLocalAuth": "true"})
    yield from _holds(templates, INSIGHTS, {"properties.DisableLocalAuth": "true"})
    yield from _holds(templates, VAULT, {"properties.enableRbacAuthorization": "true"})
    yield from _holds(templates, SITE, {"properties.httpsOnly": "true"})
    policies = templates.of(f"{SITE}/basicPublishingCredentialsPolicies")
    if {at(each.body, "properties.allow") for each in policies} != {"false"}:
        yield "the site can be published to with a password"


def by_identity(templates: Templates) -> Iterator[str]:
    """Host, app, deployment, secrets, telemetry and scheduler all use the one identity."""
    storage = "properties.functionAppConfig.deployment.storage"
    identity = {"type": "'UserAssigned'", "userAssignedIdentities": {"${identityId}": {}}}
    wanted = {
        "identity": identity,
        "properties.keyVaultReferenceIdentity": "identityId",
        f"{storage}.authentication": {
            "type": "'UserAssignedIdentity'",
            "userAssignedIdentityResourceId": "identityId",
        },
    }
    yield from _holds(templates, SITE, wanted)
    for name, value in {"identityId": "id", "identityClientId": "properties.clientId"}.items():
        if templates.origin("app", name) != f"identity.{value}":
            yield f"{name} is not of the app's identity"
    for name, value in {
        "AzureWebJobsStorage__accountName": "storageName",
        "AzureWebJobsStorage__credential": "'managedidentity'",
        "AzureWebJobsStorage__clientId": "identityClientId",
        "AZURE_CLIENT_ID": "identityClientId",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": (
            "'Authorization=AAD;ClientId=${identityClientId}'"
        ),
        "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": (
            "'Endpoint=${schedulerEndpoint};TaskHub=${durable.hubName}"
            ";Authentication=ManagedIdentity;ClientID=${identityClientId}'"
        ),
    }.items():
        if settings(templates).get(name) != value:
            yield f"{name} is {settings(templates).get(name)}"


def tags(templates: Templates) -> Iterator[str]:
    """azd finds the environment and each of its services by their tags."""
    services = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))["services"]
    for part in (each for each in templates.parts if "location" in each.body):
        # Parts of resources, and what is laid over them, take no tags.
        value = part.body.get("tags")
        if part.type == SITE:
            if value != f"union(tags, {{ 'azd-service-name': '{''.join(services)}' }})":
                yield f"the site has the tags {value}, azure.yaml has {sorted(services)}"
        elif value != "tags":
            yield f"{part.file}.{part.symbol} is not tagged"
    for module in (each for each in templates.parts if "params" in each.body):
        if "tags" in templates.parameters[module.type] and module.body["params"]["tags"] != "tags":
            yield f"{module.symbol} gets other tags"
    if templates.variables["main"]["tags"] != {"azd-env-name": "environmentName"}:
        yield "the tags do not name the environment"


def flex(templates: Templates) -> Iterator[str]:
    """The plan, and its demands on the app."""
    plan = {
        "sku": {"name": "'FC1'", "tier": "'FlexConsumption'"},
        "properties": {"reserved": "true"},
    }
    yield from _holds(templates, "Microsoft.Web/serverfarms", plan)
    site = templates.the(SITE).body
    config = at(site, "properties.functionAppConfig")
    if at(config, "runtime.name") != "'python'":
        yield "not for Python"
    scale = config["scaleAndConcurrency"]
    # Timers fall due when nobody calls; a start or a hint does not wait for a cold start.
    if scale["alwaysReady"] != [
        {"name": f"'{group}'", "instanceCount": "1"} for group in ("durable", "http")
    ]:
        yield f"always ready are {scale['alwaysReady']}"
    # Python takes one request at a time if not told more, and each other one a new instance.
    if at(scale, "triggers.http.perInstanceConcurrency") != "16":
        yield "another number of requests at once"
    url = templates.origin("app", at(config, "deployment.storage.value"))
    if not str(url).endswith("${packages.name}'"):
        yield "the package is read from another container"
    forbidden = filter(FORBIDDEN.fullmatch, settings(templates))
    yield from (f"{name} is not for this plan" for name in forbidden)


def concurrency(templates: Templates) -> Iterator[str]:
    """There is a thread for each function that may run at once, after host.json."""
    if templates.variables["app"]["durable"] != (
        "loadJsonContent('../../host.json').extensions.durableTask"
    ):
        yield "the limits are not those of host.json"
    threads = settings(templates).get("PYTHON_THREADPOOL_THREAD_COUNT")
    if threads != THREADS:
        yield f"there are {threads} threads"


def network(templates: Templates) -> Iterator[str]:
    """With the network, storage and vault are reached through it, by their ordinary names."""
    services = templates.variables["network"]["services"]
    groups = {(each["group"], templates.origin("network", each["target"])) for each in services}
    wanted = {*((f"'{name}'", "account.id") for name in ("blob", "queue", "table"))}
    if groups != wanted | {("'vault'", "vault.id")}:
        yield f"private endpoints for {sorted(groups)}"
    for each in services:
        zone = templates.origin("network", each["zone"])
        # By the cloud that the template is deployed to, the vault as well.
        if each["group"].strip("'") not in zone or "${" not in zone:
            yield f"{each['group']} has its name in {zone}"
    for kind in ("privateDnsZones", "privateDnsZones/virtualNetworkLinks", "privateEndpoints"):
        if templates.the(f"{NETWORK}/{kind}").loop != "services":
            yield f"not every service has {kind}"
    subnets = at(templates.the(f"{NETWORK}/virtualNetworks").body, "properties.subnets")
    delegated = {
        each["name"]: at(each["properties"].get("delegations", [{}])[0], "properties.serviceName")
        for each in subnets
    }
    if delegated != {"'app'": "'Microsoft.App/environments'", "'endpoints'": None}:
        yield f"the subnets are delegated: {delegated}"
    if "\n@batchSize(1)\nresource endpoints " not in templates.sources["network"]:
        yield "private endpoints that are made in parallel fail"
    endpoints = {"properties.subnet.id": "'${network.id}/subnets/endpoints'"}
    yield from _holds(templates, f"{NETWORK}/privateEndpoints", endpoints)
    for kind, closed in {STORAGE: "private", VAULT: "private && empty(allowlist)"}.items():
        yield from _holds(
            templates,
            kind,
            {
                "properties.publicNetworkAccess": f"{closed} ? 'Disabled' : 'Enabled'",
                "properties.networkAcls.defaultAction": "private ? 'Deny' : 'Allow'",
            },
        )
    for module in ("storage", "vault"):
        if templates.origin(module, "private") != "useVirtualNetwork":
            yield f"{module} does not know of the network"


def no_secret(templates: Templates) -> Iterator[str]:
    """No value is a secret; secrets of the sources are references to the vault."""
    values = [templates.variables, templates.parameters, [part.body for part in templates.parts]]
    yield from (f"{text!r}" for text in texts(values) if SECRET.search(text))
    reference = "'@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${setting.value})'"
    one = {
        "name": "setting.key",
        "value": f"contains(secretSettings, setting.key) ? {reference} : setting.value",
    }
    listed = templates.variables["app"]["settingList"]
    if listed != Loop("setting", "items(settings)", one):
        yield f"the settings are {listed}"
    # The last of the same name wins: one name is never there twice.
    if not re.search(r", appSettings, secretSettings\)$", templates.variables["app"]["settings"]):
        yield "a secret does not replace a setting of its name"


def known_names(templates: Templates) -> Iterator[str]:
    """Names are known before a deployment: with one from an output, what-if shows nothing."""
    passed = {part.type: part.body["params"] for part in templates.parts if "params" in part.body}
    for part in templates.parts:
        name = part.body["name"]
        symbols = re.findall(r"\w+", name) if part.file != "main" else []
        values = [str(passed[part.file].get(symbol)) for symbol in symbols]
        if any(".outputs." in value for value in [name, *values]):
            yield f"{part.file}.{part.symbol}: {name} is known late"
        if part.type == ASSIGNMENT and not re.fullmatch(
            r"guid\(\w+\.id, (\w+\.id|deployerPrincipalId), \w+\)", name
        ):
            yield f"{part.file}.{part.symbol} is named {name}"


def scheduler(templates: Templates) -> Iterator[str]:
    """The scheduler keeps ended instances as long as asked, as far as it can; 30 days otherwise."""
    policies = [{"retentionPeriodInDays": "min(retentionDays, largestRetention)"}]
    wanted = {"parent": "scheduler", "name": "'default'"}
    policy = f"{SCHEDULER}/retentionPolicies"
    yield from _holds(templates, policy, wanted | {"properties.retentionPolicies": policies})
    if templates.origin("scheduler", "retentionDays") != "retentionDays":
        yield "the scheduler does not know the retention"
    # The hub is the one of host.json, whichever is deployed.
    hub = {"parent": "scheduler", "name": "host.extensions.durableTask.hubName"}
    yield from _holds(templates, f"{SCHEDULER}/taskHubs", hub)


def alerts(templates: Templates) -> Iterator[str]:
    """Each alert is on, looks into the workspace, and reaches the group for each of its values."""
    rule = templates.the("Microsoft.Insights/scheduledQueryRules").body["properties"]
    wanted = {
        "enabled": "true",
        "scopes": ["workspaceId"],
        "actions": {"actionGroups": ["people.id"]},
        "autoMitigate": "true",
    }
    for name, value in wanted.items():
        if rule[name] != value:
            yield f"{name} is {rule[name]}"
    if templates.origin("alerts", "workspaceId") != "workspace.id":
        yield "the alerts look elsewhere"
    if at(rule["criteria"]["allOf"][0], "dimensions") != "rule.dimensions":
        yield "the alerts have no dimensions"
    listed = templates.variables["alerts"]["rules"]
    by = {each["name"].strip("'"): each["dimensions"] for each in listed}
    if by != ALERTS:
        yield f"there are other alerts: {by}"
    known = {"event", "monitor", "source", "run"}.union(*EVENTS.values())
    for name, query in templates.variables["alerts"].items():
        if isinstance(query, str):
            yield from (
                f"{name}: no event {each}" for each in _asked("event", query) - EVENTS.keys()
            )
            yield from (f"{name}: no state {each}" for each in _asked("state", query) - {*State})
            fields = set(re.findall(r"\be\.(\w+)", query))
            yield from (f"{name}: no field {field}" for field in fields - known)


def _asked(column: str, query: str) -> set[str]:
    """The values that a query compares a column with."""
    compared = re.findall(rf'\b{column} (?:== |in \()("[^)\n]*)', query)
    return {
        value for each in compared for value in re.findall(r'"(\w+)"', each.partition(" and ")[0])
    }


def diagnostics(templates: Templates) -> Iterator[str]:
    """The app, its storage and its vault log into the workspace."""
    logged = {
        templates.named(part.file, part.body["scope"]).type
        for part in templates.of("Microsoft.Insights/diagnosticSettings")
        if templates.origin(part.file, at(part.body, "properties.workspaceId")) == "workspace.id"
    }
    yield from (f"nothing from {kind}" for kind in (SITE, STORAGE, VAULT) if kind not in logged)


def names(templates: Templates) -> Iterator[str]:
    """Names are as Azure wants them, with the 13 characters of the token."""
    for kind, pattern in {
        STORAGE: r"[a-z0-9]{3,24}",
        VAULT: r"(?!.*--)[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]",
        SCHEDULER: r"[a-zA-Z0-9-]{3,64}",
        SITE: r"[a-zA-Z0-9-]{2,60}",
    }.items():
        part: Part = templates.the(kind)
        name = templates.origin(part.file, part.body["name"])
        if not re.fullmatch(pattern, name.strip("'").replace("${token}", "x" * 13)):
            yield f"{name} is no name for {kind}"


RULES: dict[str, Callable[[Templates], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        *(roles, no_keys, by_identity, tags, flex, concurrency),
        *(network, no_secret, known_names, scheduler),
        *(alerts, diagnostics, names),
    )
}
