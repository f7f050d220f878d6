"""The rules for the templates: the decisions of this project, which no compiler knows.

A rule takes the templates and gives the faults that it finds, so that test_rules.py can ask each
rule about a broken copy too. Values are the text in the template, quotes included.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import yaml

from domain.monitors.monitor import State
from tests.infra.templates import ROOT, Loop, Templates, Value, at, texts
from tests.test_documentation import documented_events

HOST = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
DURABLE: dict[str, Any] = HOST["extensions"]["durableTask"]

STORAGE, CONTAINER = "Microsoft.Storage/storageAccounts", "blobServices/containers"
VAULT, SITE, PLAN = "Microsoft.KeyVault/vaults", "Microsoft.Web/sites", "Microsoft.Web/serverfarms"
INSIGHTS, WORKSPACE = "Microsoft.Insights/components", "Microsoft.OperationalInsights/workspaces"
SCHEDULER, NETWORK = "Microsoft.DurableTask/schedulers", "Microsoft.Network"
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
ALERT = "Microsoft.Insights/scheduledQueryRules"

DEPLOYMENT = "properties.functionAppConfig.deployment.storage"
ENTRA = "properties.identityProviders.azureActiveDirectory"
SCALE = "properties.functionAppConfig.scaleAndConcurrency"

# What a resource must say. By rule, type of the only such resource, and path in its body.
FACTS: dict[str, dict[str, dict[str, Value]]] = {
    # Nothing lets anybody in for a key or a password, or shows a blob to all.
    "no_keys": {
        STORAGE: {
            "properties.allowSharedKeyAccess": "false",
            "properties.allowBlobPublicAccess": "false",
            "properties.minimumTlsVersion": "'TLS1_2'",
            "properties.supportsHttpsTrafficOnly": "true",
        },
        f"{STORAGE}/{CONTAINER}": {"properties.publicAccess": "'None'"},
        WORKSPACE: {"properties.features.disableLocalAuth": "true"},
        INSIGHTS: {"properties.DisableLocalAuth": "true"},
        VAULT: {"properties.enableRbacAuthorization": "true"},
        SITE: {"properties.httpsOnly": "true", "properties.siteConfig.minTlsVersion": "'1.2'"},
    },
    # Host, app, deployment and secrets all use the one identity.
    "by_identity": {
        SITE: {
            "identity.type": "'UserAssigned'",
            "identity.userAssignedIdentities": {"${identityId}": {}},
            "properties.keyVaultReferenceIdentity": "identityId",
            f"{DEPLOYMENT}.authentication.type": "'UserAssignedIdentity'",
            f"{DEPLOYMENT}.authentication.userAssignedIdentityResourceId": "identityId",
        },
    },
    # With an app registration the platform lets nobody in whose token it has not checked, and takes
    # tokens of this tenant for this app alone.
    "signed_in": {
        f"{SITE}/config": {
            "parent": "app",
            "name": "'authsettingsV2'",
            "properties.platform.enabled": "!empty(authClientId)",
            "properties.globalValidation.requireAuthentication": "true",
            "properties.globalValidation.unauthenticatedClientAction": "'Return401'",
            "properties.globalValidation.excludedPaths": [
                "'/api/health'",
                "'/api/openapi.json'",
                "'/api/ui'",
                "'/api/ui/*'",
                "'/api/hints/*'",
            ],
            f"{ENTRA}.enabled": "!empty(authClientId)",
            f"{ENTRA}.registration.clientId": "authClientId",
            f"{ENTRA}.registration.openIdIssuer": (
                "'${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'"
            ),
            f"{ENTRA}.validation.allowedAudiences": ["authClientId", "'api://${authClientId}'"],
        },
    },
    # Timers fall due when nobody calls, and a start or a hint does not wait for a cold start. If
    # not told more, Python takes one request at a time, and each other one a new instance.
    "flex": {
        PLAN: {"sku.name": "'FC1'", "sku.tier": "'FlexConsumption'", "properties.reserved": "true"},
        SITE: {
            "properties.functionAppConfig.runtime.name": "'python'",
            f"{SCALE}.alwaysReady.0": {"name": "'durable'", "instanceCount": "1"},
            f"{SCALE}.alwaysReady.1": {"name": "'http'", "instanceCount": "1"},
            f"{SCALE}.triggers.http.perInstanceConcurrency": "16",
            f"{DEPLOYMENT}.value": "deploymentContainerUrl",
            "properties.siteConfig.appSettings": "settingList",
        },
    },
    # With the network, storage and vault are reached through it.
    "network": {
        STORAGE: {
            "properties.publicNetworkAccess": "private ? 'Disabled' : 'Enabled'",
            "properties.networkAcls.defaultAction": "private ? 'Deny' : 'Allow'",
        },
        VAULT: {
            "properties.publicNetworkAccess": (
                "private && empty(allowlist) ? 'Disabled' : 'Enabled'"
            ),
            "properties.networkAcls.defaultAction": "private ? 'Deny' : 'Allow'",
        },
        f"{NETWORK}/virtualNetworks": {
            "properties.subnets.0.name": "'app'",
            "properties.subnets.0.properties.delegations.0.properties.serviceName": (
                "'Microsoft.App/environments'"
            ),
            "properties.subnets.1.name": "'endpoints'",
        },
        f"{NETWORK}/privateEndpoints": {
            "properties.subnet.id": "'${network.id}/subnets/endpoints'",
        },
    },
    # The hub of host.json. Ended instances stay as long as asked, as far as the scheduler can; if
    # not told, it keeps them for 30 days.
    "scheduler": {
        f"{SCHEDULER}/taskHubs": {"name": "host.extensions.durableTask.hubName"},
        f"{SCHEDULER}/retentionPolicies": {
            "parent": "scheduler",
            "name": "'default'",
            "properties.retentionPolicies.0.retentionPeriodInDays": (
                "min(retentionDays, largestRetention)"
            ),
        },
    },
    # Each alert is on, looks into the workspace, and reaches the group for each of its values.
    "alerts": {
        ALERT: {
            "properties.enabled": "true",
            "properties.scopes.0": "workspaceId",
            "properties.actions.actionGroups.0": "people.id",
            "properties.criteria.allOf.0.dimensions": "rule.dimensions",
            "properties.criteria.allOf.0.query": "rule.query",
        },
    },
}

# The value at the end of the way that a parameter of a module comes.
ORIGINS = {
    ("app", "identityId"): "identity.id",
    ("app", "identityClientId"): "identity.properties.clientId",
    ("app", "storageName"): "'stjobmon${token}'",
    (
        "app",
        "deploymentContainerUrl",
    ): "'${account.properties.primaryEndpoints.blob}${packages.name}'",
    ("app", "retentionDays"): "retentionDays",
    ("app", "authClientId"): "authClientId",
    ("scheduler", "retentionDays"): "retentionDays",
    ("storage", "private"): "useVirtualNetwork",
    ("vault", "private"): "useVirtualNetwork",
    ("alerts", "workspaceId"): "workspace.id",
}

# The roles that there are to be: who has which role on which resource, and when.
_DEPLOYER, _NO_SCHEDULER = "!empty(deployerPrincipalId)", "!useScheduler"
ROLES = {
    ("app", STORAGE, "blobDataOwner", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", ""),
    ("app", STORAGE, "tableDataContributor", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", ""),
    ("app", STORAGE, "queueDataContributor", "974c5e8b-45b9-4653-ba55-5f855dd0fb88", _NO_SCHEDULER),
    ("app", INSIGHTS, "metricsPublisher", "3913510d-42f4-4e42-8a64-420c390055eb", ""),
    ("app", VAULT, "secretsUser", "4633458b-17de-408a-b875-0445c86b69e6", ""),
    ("people", VAULT, "secretsOfficer", "b86a8fe4-44ce-4948-aee5-eccb2c155cd7", _DEPLOYER),
    ("app", SCHEDULER, "durableTaskDataContributor", "0ad04412-c4d5-4796-b79c-f76d14c8d402", ""),
}

# All settings that the templates set. The worker's threads are for all activities and
# orchestrators at once, and some more.
LIMITS = ("maxConcurrentActivityFunctions", "maxConcurrentOrchestratorFunctions")
THREADS = f"string({' + '.join(f'durable.{limit}' for limit in LIMITS)} + 8)"
SETTINGS = {
    "AzureWebJobsStorage__accountName": "storageName",
    "AzureWebJobsStorage__credential": "'managedidentity'",
    "AzureWebJobsStorage__clientId": "identityClientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "insightsConnection",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "'Authorization=AAD;ClientId=${identityClientId}'",
    "AUTH": "empty(authClientId) ? 'keys' : 'entra'",
    "AZURE_CLIENT_ID": "identityClientId",
    "DEMO_JOB_SERVICE_URL": "'http://127.0.0.1:8077'",
    "PYTHON_THREADPOOL_THREAD_COUNT": THREADS,
    "RETENTION_DAYS": "string(retentionDays)",
    "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": (
        "'Endpoint=${schedulerEndpoint};TaskHub=${durable.hubName}"
        ";Authentication=ManagedIdentity;ClientID=${identityClientId}'"
    ),
}
# The Flex Consumption plan refuses these, or ignores them.
FORBIDDEN = re.compile(
    "FUNCTIONS_WORKER_RUNTIME|FUNCTIONS_EXTENSION_VERSION|FUNCTIONS_WORKER_PROCESS_COUNT"
    "|FUNCTIONS_MAX_HTTP_CONCURRENCY|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD"
    "|WEBSITE_RUN_FROM_PACKAGE|WEBSITE_CONTENT.*|WEBSITE_VNET_ROUTE_ALL"
)
SECRET = re.compile(
    r"(?i)accountkey=|sharedaccess|sig=|\blist\w*keys?\(|password|instrumentationkey="
    r"|[A-Za-z0-9+/]{43}="
)

# The alerts, and the variable with the dimensions of each.
ALERTS: dict[str, Value] = {
    "job-not-succeeded": "byState",
    "job-slow": "byMonitor",
    "monitor-stale": "byMonitor",
    "monitor-blind": "byMonitor",
    "status-unrecognised": "bySource",
    "final-status-not-stored": "byMonitor",
    "watchdog-not-run": [],
    "cleanup-not-run": [],
    "cleanup-removes-nothing": [],
    "notice-given-up": "byChannel",
    "function-failed": "byFunction",
}
_NEW: dict[str, set[str]] = {"overdue": set(), "stalled": set()}
EVENTS = _NEW | documented_events()
"""The events that the app logs, with their fields."""


def facts(name: str, templates: Templates) -> Iterator[str]:
    """The resources say what `FACTS` wants of them."""
    for kind, wanted in FACTS[name].items():
        body = templates.the(kind).body
        for path, value in wanted.items():
            if at(body, path) != value:
                yield f"{kind}: {path} is {at(body, path)}, not {value}"


def origins(templates: Templates) -> Iterator[str]:
    """The parameters of the modules come from where `ORIGINS` says."""
    for (file, name), wanted in ORIGINS.items():
        if templates.origin(file, name) != wanted:
            yield f"{name} of {file} is {templates.origin(file, name)}"


def settings(templates: Templates) -> dict[str, str]:
    """The app settings that the templates themselves set, with the scheduler's."""
    names = ("storageSettings", "ownSettings", "schedulerSettings")
    sets = [templates.variables["app"][name] for name in names]
    return {name: value for each in sets for name, value in each.items()}


def app_settings(templates: Templates) -> Iterator[str]:
    """The settings are those that the app and its host need, for this plan, by one identity."""
    variables = templates.variables["app"]
    if variables["durable"] != "loadJsonContent('../../host.json').extensions.durableTask":
        yield "hub and limits are not those of host.json"
    if settings(templates) != SETTINGS:
        yield f"{set(settings(templates).items()) ^ set(SETTINGS.items())}"
    yield from filter(FORBIDDEN.fullmatch, settings(templates))


def secrets(templates: Templates) -> Iterator[str]:
    """No value is a secret; secrets of the sources are references to the vault."""
    values = [templates.variables, templates.parameters, [part.body for part in templates.parts]]
    yield from (f"{text!r}" for text in texts(values) if SECRET.search(text))
    reference = "'@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${setting.value})'"
    value = f"contains(secretSettings, setting.key) ? {reference} : setting.value"
    listed = Loop("setting", "items(settings)", {"name": "setting.key", "value": value})
    if templates.variables["app"]["settingList"] != listed:
        yield f"the settings are {templates.variables['app']['settingList']}"
    # Of two settings with one name the later wins, so that no name is there twice.
    if not templates.variables["app"]["settings"].endswith(", appSettings, secretSettings)"):
        yield "a secret does not replace a setting of its name"


def roles(templates: Templates) -> Iterator[str]:
    """The app has the roles that it needs, each on one resource, and no other; so have people."""
    given = set()
    own_name = templates.origin("identity", templates.the(IDENTITY).body["name"])
    for part in templates.of(ASSIGNMENT):
        scope = templates.named(part.file, part.body["scope"]).type
        principal = templates.origin(part.file, at(part.body, "properties.principalId"))
        who = {"identity.properties.principalId": "app", "principalId": "people"}.get(principal)
        identity = templates.named(part.file, "identity").body["name"]
        if who == "app" and templates.origin(part.file, identity) != own_name:
            yield f"{part.symbol} is for another identity"
        definition = at(part.body, "properties.roleDefinitionId")
        role = re.fullmatch(r"subscriptionResourceId\('[\w./]+', (\w+)\)", definition)
        assert role, definition
        variables = templates.variables[part.file]
        for name in variables[part.loop] if part.loop else [role[1]]:
            given.add((who, scope, name, variables[name].strip("'"), part.when))
    yield from (f"{each} is missing" for each in ROLES - given)
    yield from (f"{each} is not needed" for each in given - ROLES)


def publishing(templates: Templates) -> Iterator[str]:
    """The site cannot be published to with its user name and password."""
    policies = templates.of(f"{SITE}/basicPublishingCredentialsPolicies")
    allowed = {each.body["name"]: at(each.body, "properties.allow") for each in policies}
    if allowed != {"'ftp'": "false", "'scm'": "false"}:
        yield f"{allowed}"


def tags(templates: Templates) -> Iterator[str]:
    """azd finds the environment and each of its services by their tags."""
    services = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))["services"]
    of_the_site = f"union(tags, {{ 'azd-service-name': '{''.join(services)}' }})"
    for part in templates.parts:
        # Parts of resources, and what is laid over them, have no location and take no tags.
        wanted = of_the_site if part.type == SITE else "tags"
        if "location" in part.body and part.body.get("tags") != wanted:
            yield f"{part.file}.{part.symbol} has the tags {part.body.get('tags')}"
        passed = part.body.get("params", {})
        if passed.get("tags", "tags") != "tags":
            yield f"{part.symbol} gets other tags"
    if templates.variables["main"]["tags"] != {"azd-env-name": "environmentName"}:
        yield "the tags do not name the environment"


def endpoints(templates: Templates) -> Iterator[str]:
    """Storage and vault have private endpoints with their ordinary names in the cloud's zones."""
    services = templates.variables["network"]["services"]
    groups = {(each["group"], templates.origin("network", each["target"])) for each in services}
    wanted = {(f"'{name}'", "account.id") for name in ("blob", "queue", "table")}
    if groups != wanted | {("'vault'", "vault.id")}:
        yield f"private endpoints for {sorted(groups)}"
    for each in services:
        zone = templates.origin("network", each["zone"])
        if each["group"].strip("'") not in zone or "${" not in zone:
            yield f"{each['group']} has its name in {zone}"
    for kind in ("privateDnsZones", "privateDnsZones/virtualNetworkLinks", "privateEndpoints"):
        if templates.the(f"{NETWORK}/{kind}").loop != "services":
            yield f"not every service has {kind}"
    if "\n@batchSize(1)\nresource endpoints " not in templates.sources["network"]:
        yield "private endpoints that are made in parallel fail"


def queries(templates: Templates) -> Iterator[str]:
    """There is an alert for each kind of trouble, and each asks for events that the app logs."""
    listed = templates.variables["alerts"]["rules"]
    by = {each["name"].strip("'"): each["dimensions"] for each in listed}
    if by != ALERTS:
        yield f"there are other alerts: {by}"
    fields = {"event", "monitor", "source", "run"}.union(*EVENTS.values())
    for name, query in templates.variables["alerts"].items():
        if isinstance(query, str):
            asked = {
                "event": _compared("event", query) - {*EVENTS},
                "state": _compared("state", query) - {*map(str, State)},
                "field": set(re.findall(r"\be\.(\w+)", query)) - fields,
            }
            yield from (f"{name}: no {what} {each}" for what in asked for each in asked[what])


def _compared(column: str, query: str) -> set[str]:
    """The values that a query compares a column with."""
    compared = re.findall(rf'\b{column} (?:== |in \()("[^)\n]*)', query)
    values = " ".join(each.partition(" and ")[0] for each in compared)
    return set(re.findall(r'"(\w+)"', values))


def diagnostics(templates: Templates) -> Iterator[str]:
    """The app, its storage and its vault log into the workspace."""
    logged = {
        templates.named(part.file, part.body["scope"]).type
        for part in templates.of("Microsoft.Insights/diagnosticSettings")
        if templates.origin(part.file, at(part.body, "properties.workspaceId")) == "workspace.id"
    }
    yield from (f"nothing from {kind}" for kind in (SITE, STORAGE, VAULT) if kind not in logged)


RULES: dict[str, Callable[[Templates], Iterator[str]]] = {
    name: partial(facts, name) for name in FACTS
} | {
    rule.__name__: rule
    for rule in (
        *(origins, app_settings, secrets, roles, publishing),
        *(tags, endpoints, queries, diagnostics),
    )
}
