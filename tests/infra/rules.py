"""What must hold for what is deployed, whichever options are chosen.

A rule takes what tests/infra/check.py found in one environment and gives the faults. So the same
rules can be asked about broken templates.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.infra.running import ROOT

_BLOB_DATA_OWNER = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
_QUEUE_DATA_CONTRIBUTOR = "974c5e8b-45b9-4653-ba55-5f855dd0fb88"
_TABLE_DATA_CONTRIBUTOR = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"
_METRICS_PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"
_SECRETS_USER = "4633458b-17de-408a-b875-0445c86b69e6"
_SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
_DURABLE_TASK_DATA_CONTRIBUTOR = "0ad04412-c4d5-4796-b79c-f76d14c8d402"

_STORAGE, _VAULT = "Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"
_INSIGHTS, _SCHEDULER = "Microsoft.Insights/components", "Microsoft.DurableTask/schedulers"

# The Flex Consumption plan refuses these, or ignores them.
_FORBIDDEN = re.compile(
    "FUNCTIONS_WORKER_RUNTIME|FUNCTIONS_EXTENSION_VERSION|FUNCTIONS_WORKER_PROCESS_COUNT"
    "|FUNCTIONS_MAX_HTTP_CONCURRENCY|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD"
    "|WEBSITE_RUN_FROM_PACKAGE|WEBSITE_CONTENT.*|WEBSITE_VNET_ROUTE_ALL"
)
_SECRET = re.compile(
    r"(?i)accountkey=|sharedaccess|sig=|\blist\w*keys?\(|password|instrumentationkey="
    r"|[A-Za-z0-9+/]{43}="
)


@dataclass(frozen=True)
class Deployed:
    """What is deployed in one environment.

    Attributes:
        name: Of the environment: default, network, scheduler or all.
        resources: With their ids, types and bodies.
        services: Those of azure.yaml.
    """

    name: str
    resources: list[dict[str, Any]]
    services: dict[str, Any]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The resources of a type."""
        return [each for each in self.resources if each["type"] == kind]

    def the(self, kind: str) -> dict[str, Any]:
        """The only resource of a type."""
        (one,) = self.of(kind)
        return one

    @property
    def settings(self) -> dict[str, str]:
        """The app settings."""
        pairs = self.the("Microsoft.Web/sites")["properties"]["siteConfig"]["appSettings"]
        found = {pair["name"]: pair["value"] for pair in pairs}
        assert len(found) == len(pairs), "a setting is there twice"
        return found

    @property
    def has_network(self) -> bool:
        """Whether the environment asks for the virtual network."""
        return self.name in ("network", "all")

    @property
    def has_scheduler(self) -> bool:
        """Whether the environment asks for the Durable Task Scheduler."""
        return self.name in ("scheduler", "all")


def environments(found: dict[str, Any]) -> list[Deployed]:
    """All that was found in one folder."""
    return [
        Deployed(name, deployed["resources"], found["services"])
        for name, deployed in found["deployed"].items()
    ]


def roles(deployed: Deployed) -> Iterator[str]:
    """The app has the roles that it needs, each on one resource, and no other; so have people."""
    wanted = {
        ("app", _STORAGE, _BLOB_DATA_OWNER),
        ("app", _STORAGE, _TABLE_DATA_CONTRIBUTOR),
        ("app", _INSIGHTS, _METRICS_PUBLISHER),
        ("app", _VAULT, _SECRETS_USER),
    }
    if deployed.has_scheduler:
        wanted.add(("app", _SCHEDULER, _DURABLE_TASK_DATA_CONTRIBUTOR))
    else:
        wanted.add(("app", _STORAGE, _QUEUE_DATA_CONTRIBUTOR))
    if deployed.name == "all":
        wanted.add(("people", _VAULT, _SECRETS_OFFICER))
    given = set()
    for each in deployed.of("Microsoft.Authorization/roleAssignments"):
        properties = each["properties"]
        who = "app" if properties["principalId"].endswith("principalId]") else "people"
        role = properties["roleDefinitionId"].rpartition("/")[2]
        given.add((who, each["scope"].rpartition("/")[0], role))
    yield from (f"lacks {role}" for role in wanted - given)
    yield from (f"has {role}, which it does not need" for role in given - wanted)


def no_keys(deployed: Deployed) -> Iterator[str]:
    """Nothing lets anybody in for a key or a password, or shows a blob to all."""
    storage = deployed.the(_STORAGE)["properties"]
    logs = deployed.the("Microsoft.OperationalInsights/workspaces")["properties"]
    (container,) = deployed.of(f"{_STORAGE}/blobServices/containers")
    publishing = {
        each["name"]: each["properties"]["allow"]
        for each in deployed.of("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    }
    holds = {
        "shared keys are off": storage["allowSharedKeyAccess"] is False,
        "public blobs are off": storage["allowBlobPublicAccess"] is False,
        "the container is private": container["properties"]["publicAccess"] == "None",
        "TLS 1.2": storage["minimumTlsVersion"] == "TLS1_2",
        "https only": storage["supportsHttpsTrafficOnly"] is True,
        "Log Analytics takes no keys": logs["features"]["disableLocalAuth"] is True,
        "Application Insights takes no keys": (
            deployed.the(_INSIGHTS)["properties"]["DisableLocalAuth"] is True
        ),
        "the vault goes by roles": (
            deployed.the(_VAULT)["properties"]["enableRbacAuthorization"] is True
        ),
        "no publishing passwords": publishing == {"ftp": False, "scm": False},
    }
    yield from (f"not so: {text}" for text, so in holds.items() if not so)


def by_identity(deployed: Deployed) -> Iterator[str]:
    """Host, app, deployment and telemetry all use the one identity."""
    site = deployed.the("Microsoft.Web/sites")
    identity = deployed.the("Microsoft.ManagedIdentity/userAssignedIdentities")["id"]
    client = f"[{identity} properties.clientId]"
    if site["identity"] != {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}:
        yield "the app has another identity"
    if site["properties"]["keyVaultReferenceIdentity"] != identity:
        yield "secrets are read by another identity"
    storage = site["properties"]["functionAppConfig"]["deployment"]["storage"]
    if storage["authentication"] != {
        "type": "UserAssignedIdentity",
        "userAssignedIdentityResourceId": identity,
    }:
        yield "the package is read by another identity"
    account = deployed.the(_STORAGE)["name"]
    wanted = {
        "AzureWebJobsStorage__accountName": account,
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": client,
        "AZURE_CLIENT_ID": client,
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"Authorization=AAD;ClientId={client}",
    }
    if deployed.has_scheduler:
        endpoint = f"[{deployed.the(_SCHEDULER)['id']} properties.endpoint]"
        wanted["DURABLE_TASK_SCHEDULER_CONNECTION_STRING"] = (
            f"Endpoint={endpoint};TaskHub={_durable()['hubName']}"
            f";Authentication=ManagedIdentity;ClientID={client}"
        )
    for name, value in wanted.items():
        if deployed.settings.get(name) != value:
            yield f"{name} is {deployed.settings.get(name)}, not {value}"


def tags(deployed: Deployed) -> Iterator[str]:
    """azd finds the environment and each of its services by their tags."""
    hosts = {
        each["tags"]["azd-service-name"]
        for each in deployed.resources
        if "azd-service-name" in each.get("tags", {})
    }
    if hosts != deployed.services.keys():
        yield f"azure.yaml has {sorted(deployed.services)}, the tags say {sorted(hosts)}"
    for each in deployed.resources:
        # Parts of resources and what is laid over them has no tags.
        takes_tags = "location" in each
        if takes_tags and each.get("tags", {}).get("azd-env-name") != "some-name":
            yield f"{each['symbol']} is not tagged"


def flex(deployed: Deployed) -> Iterator[str]:
    """The plan and what it asks of its app."""
    plan, site = deployed.the("Microsoft.Web/serverfarms"), deployed.the("Microsoft.Web/sites")
    if plan["sku"] != {"name": "FC1", "tier": "FlexConsumption"}:
        yield "another plan"
    if plan["properties"]["reserved"] is not True:
        yield "the plan is not for Linux"
    config = site["properties"]["functionAppConfig"]
    if config["runtime"]["name"] != "python":
        yield "not for Python"
    if {"name": "durable", "instanceCount": 1} not in config["scaleAndConcurrency"]["alwaysReady"]:
        yield "nobody is awake for durable timers"
    container = deployed.the(f"{_STORAGE}/blobServices/containers")["name"]
    if not config["deployment"]["storage"]["value"].endswith(container):
        yield "the package is read from another container"
    if site["properties"]["httpsOnly"] is not True:
        yield "plain http"
    for name in deployed.settings:
        if _FORBIDDEN.fullmatch(name):
            yield f"{name} is not for this plan"


def concurrency(deployed: Deployed) -> Iterator[str]:
    """As many threads as functions at once."""
    threads = deployed.settings.get("PYTHON_THREADPOOL_THREAD_COUNT")
    for name in ("maxConcurrentActivityFunctions", "maxConcurrentOrchestratorFunctions"):
        if threads != str(_durable()[name]):
            yield f"{threads} threads, but {name} is {_durable()[name]}"


def network(deployed: Deployed) -> Iterator[str]:
    """With the network, storage and vault are reached through it, by their ordinary names."""
    storage, vault = (deployed.the(kind)["properties"] for kind in (_STORAGE, _VAULT))
    subnet = deployed.the("Microsoft.Web/sites")["properties"]["virtualNetworkSubnetId"]
    endpoints = deployed.of("Microsoft.Network/privateEndpoints")
    if not deployed.has_network:
        if endpoints or subnet or storage["networkAcls"]["defaultAction"] != "Allow":
            yield "there is to be no network"
        return
    if storage["publicNetworkAccess"] != "Disabled" or vault["networkAcls"]["defaultAction"] != (
        "Deny"
    ):
        yield "open to the internet"
    groups = {
        (connection["properties"]["privateLinkServiceId"].rpartition("/")[0], group)
        for each in endpoints
        for connection in each["properties"]["privateLinkServiceConnections"]
        for group in connection["properties"]["groupIds"]
    }
    wanted = {*((_STORAGE, group) for group in ("blob", "queue", "table")), (_VAULT, "vault")}
    if groups != wanted:
        yield f"private endpoints for {sorted(groups)}"
    zones = {each["id"] for each in deployed.of("Microsoft.Network/privateDnsZones")}
    links = deployed.of("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    records = deployed.of("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    used = {
        (each["parent"], config["properties"]["privateDnsZoneId"])
        for each in records
        for config in each["properties"]["privateDnsZoneConfigs"]
    }
    if {zone for _, zone in used} != zones or {each["parent"] for each in links} != zones:
        yield "a zone without records or without link"
    if {endpoint for endpoint, _ in used} != {each["id"] for each in endpoints}:
        yield "an endpoint without a name"
    for endpoint, zone in used:
        if f".{endpoint.rpartition('/pe-')[2].partition('-')[0]}" not in zone:
            yield f"{endpoint} has its name in {zone}"
    subnets = {
        f"{each['id']}/subnets/{inner['name']}": inner["properties"]
        for each in deployed.of("Microsoft.Network/virtualNetworks")
        for inner in each["properties"]["subnets"]
    }
    delegated = [each["properties"]["serviceName"] for each in subnets[subnet]["delegations"]]
    if delegated != ["Microsoft.App/environments"]:
        yield f"the subnet of the app is delegated to {delegated}"
    for each in endpoints:
        place = each["properties"]["subnet"]["id"]
        if place not in subnets or place == subnet:
            yield f"{each['symbol']} is in {place}"


def no_secret(deployed: Deployed) -> Iterator[str]:
    """No value is one; secrets of the sources are references to the vault."""
    yield from (f"{text!r}" for text in _texts(deployed.resources) if _SECRET.search(text))
    vault = deployed.the(_VAULT)["name"]
    wanted = f"@Microsoft.KeyVault(VaultName={vault};SecretName=sales-token)"
    if deployed.name == "all" and deployed.settings.get("SALES_TOKEN") != wanted:
        yield f"SALES_TOKEN is {deployed.settings.get('SALES_TOKEN')}"


def alerts(deployed: Deployed) -> Iterator[str]:
    """Each alert is on, looks into the workspace and reaches the group."""
    workspace = deployed.the("Microsoft.OperationalInsights/workspaces")["id"]
    group = deployed.the("Microsoft.Insights/actionGroups")["id"]
    rules = deployed.of("Microsoft.Insights/scheduledQueryRules")
    names = {
        *("monitor-stale-or-blind", "final-status-not-stored"),
        *("cleanup-not-run", "function-failed"),
    }
    if {each["name"] for each in rules} != names:
        yield "there are other alerts"
    for each in rules:
        properties = each["properties"]
        if (properties["enabled"], properties["scopes"]) != (True, [workspace]):
            yield f"{each['name']} does not look"
        if properties["actions"] != {"actionGroups": [group]}:
            yield f"{each['name']} tells nobody"


def diagnostics(deployed: Deployed) -> Iterator[str]:
    """What the app, its storage and its vault log, goes to the workspace."""
    workspace = deployed.the("Microsoft.OperationalInsights/workspaces")["id"]
    told = {
        each["scope"]
        for each in deployed.of("Microsoft.Insights/diagnosticSettings")
        if each["properties"]["workspaceId"] == workspace
    }
    kinds = ("Microsoft.Web/sites", _STORAGE, _VAULT)
    yield from (f"nothing from {kind}" for kind in kinds if deployed.the(kind)["id"] not in told)


def names(deployed: Deployed) -> Iterator[str]:
    """Names are as Azure wants them, and no two resources share one."""
    for kind, pattern in {
        _STORAGE: r"[a-z0-9]{3,24}",
        _VAULT: r"(?!.*--)[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]",
        _SCHEDULER: r"[a-zA-Z0-9-]{3,64}",
        "Microsoft.Web/sites": r"[a-zA-Z0-9-]{2,60}",
        f"{_STORAGE}/blobServices/containers": r"[a-z0-9-]{3,63}",
    }.items():
        for each in deployed.of(kind):
            if not re.fullmatch(pattern, each["name"]):
                yield f"{each['name']} is no name for {kind}"
    ids = [f"{each.get('scope')} {each['id']}" for each in deployed.resources]
    yield from (f"{each} is there twice" for each in {*ids} if ids.count(each) > 1)


def _durable() -> dict[str, Any]:
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    durable: dict[str, Any] = host["extensions"]["durableTask"]
    return durable


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


RULES: dict[str, Callable[[Deployed], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        *(roles, no_keys, by_identity, tags, flex, concurrency),
        *(network, no_secret, alerts, diagnostics, names),
    )
}
