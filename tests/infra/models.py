"""Hold resources against the published management models of Azure.

A resource type has one API version here, the one that the installed package was made for, so that
a property is known exactly if that version has it. What the models can't tell: which values go
together, what a plan or region allows, and whether a name is free.

Two generations of packages are read: those with an `_attribute_map`, and those with `rest_field`s.
Runs in .venv-infra.
"""

import importlib
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from tests.infra.bicep import Resource, Runtime

_MODELS = "azure.mgmt"

# Type: API version, package, the model that is sent, and the one that is read if it is another.
TYPES: dict[str, tuple[str, ...]] = {
    "Microsoft.Authorization/roleAssignments": (
        *("2022-04-01", "authorization.v2022_04_01", "RoleAssignmentCreateParameters"),
    ),
    "Microsoft.DurableTask/schedulers": ("2026-02-01", "durabletask", "Scheduler"),
    "Microsoft.DurableTask/schedulers/taskHubs": ("2026-02-01", "durabletask", "TaskHub"),
    "Microsoft.Insights/actionGroups": ("2023-01-01", "monitor", "ActionGroupResource"),
    "Microsoft.Insights/components": (
        *("2020-02-02", "applicationinsights.v2020_02_02", "ApplicationInsightsComponent"),
    ),
    "Microsoft.Insights/scheduledQueryRules": (
        *("2023-12-01", "monitor", "ScheduledQueryRuleResource"),
    ),
    "Microsoft.KeyVault/vaults": (
        *("2025-05-01", "keyvault", "VaultCreateOrUpdateParameters", "Vault"),
    ),
    "Microsoft.ManagedIdentity/userAssignedIdentities": (
        *("2024-11-30", "msi.v2024_11_30", "Identity"),
    ),
    "Microsoft.Network/privateDnsZones": ("2024-06-01", "privatedns", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": (
        *("2024-06-01", "privatedns", "VirtualNetworkLink"),
    ),
    "Microsoft.Network/privateEndpoints": ("2024-10-01", "network", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": (
        *("2024-10-01", "network", "PrivateDnsZoneGroup"),
    ),
    "Microsoft.Network/virtualNetworks": ("2024-10-01", "network", "VirtualNetwork"),
    "Microsoft.OperationalInsights/workspaces": ("2025-07-01", "loganalytics", "Workspace"),
    "Microsoft.Storage/storageAccounts": (
        *("2024-01-01", "storage", "StorageAccountCreateParameters", "StorageAccount"),
    ),
    "Microsoft.Storage/storageAccounts/blobServices": (
        *("2024-01-01", "storage", "BlobServiceProperties"),
    ),
    "Microsoft.Storage/storageAccounts/blobServices/containers": (
        *("2024-01-01", "storage", "BlobContainer"),
    ),
    "Microsoft.Storage/storageAccounts/tableServices": (
        *("2024-01-01", "storage", "TableServiceProperties"),
    ),
    "Microsoft.Web/serverfarms": ("2025-03-01", "web", "AppServicePlan"),
    "Microsoft.Web/sites": ("2025-03-01", "web", "Site"),
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": (
        *("2025-03-01", "web", "CsmPublishingCredentialsPoliciesEntity"),
    ),
}


@dataclass
class Shape:
    """What a value may be.

    Attributes:
        kind: A Python type; `object` for anything.
        values: Those of an enumeration.
        item: Of the elements of a list, and of the values of a mapping.
        model: Of an object with known properties: their shapes, looked up when needed.
        nested: The same, for objects that have no model of their own.
    """

    kind: type = object
    values: tuple[object, ...] = ()
    item: "Shape | None" = None
    model: type | None = None
    nested: dict[str, "Shape"] = field(default_factory=dict)
    required: bool = False
    read_only: bool = False

    @property
    def properties(self) -> dict[str, "Shape"] | None:
        """By name, or None where any name will do."""
        return _properties(self.model) if self.model else self.nested or None


def _object(**properties: Shape) -> Shape:
    return Shape(dict, nested=properties)


_SWITCHES = Shape(
    list, item=_object(category=Shape(str, required=True), enabled=Shape(bool, required=True))
)
# No installed package has a model of these.
WRITTEN_BY_HAND = {
    ("Microsoft.Insights/diagnosticSettings", "2021-05-01-preview"): _object(
        properties=_object(
            workspaceId=Shape(str, required=True), logs=_SWITCHES, metrics=_SWITCHES
        ),
    ),
    ("Microsoft.Resources/resourceGroups", "2024-03-01"): _object(
        location=Shape(str, required=True), tags=Shape(dict, item=Shape(str))
    ),
}


def faults(resource: Resource) -> Iterator[str]:
    """What the models say against a resource."""
    sent, read = _shapes(resource.type, resource.version)
    if sent is None or read is None:
        yield f"{resource.symbol}: no model of {resource.type}@{resource.version}"
        return
    if not resource.existing:
        # The name is part of the URL; the rest is Bicep's.
        body = dict(resource.body)
        for key in ("name", "parent", "scope", "dependsOn"):
            body.pop(key, None)
        yield from _against(body, sent, resource.symbol)
    for path in resource.reads:
        if not _has(read, path.split(".")):
            yield f"{resource.symbol}: has no {path} to read"


def unspoken() -> Iterator[str]:
    """The API versions above that their package does not use."""
    for name, (version, package, *_) in TYPES.items():
        place = Path(str(importlib.import_module(f"{_MODELS}.{package}").__file__)).parent
        sources = [*(place / "operations").glob("*.py"), place / "_configuration.py"]
        if not any(f'"{version}"' in path.read_text(encoding="utf-8") for path in sources):
            yield f"{package} does not speak {version} of {name}"


@cache
def _shapes(kind: str, version: str) -> tuple[Shape | None, Shape | None]:
    by_hand = WRITTEN_BY_HAND.get((kind, version))
    if by_hand or TYPES.get(kind, ("",))[0] != version:
        return by_hand, by_hand
    _, package, sent, *read = TYPES[kind]
    models = importlib.import_module(f"{_MODELS}.{package}.models")
    shapes = [Shape(dict, model=getattr(models, name)) for name in (sent, *read)]
    return shapes[0], shapes[-1]


def _against(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if value is None or isinstance(value, Runtime) or shape.kind is object:
        return
    wrong_bool = isinstance(value, bool) and shape.kind is not bool
    if not isinstance(value, shape.kind) or wrong_bool:
        yield f"{path}: {value!r} is no {shape.kind.__name__}"
    elif shape.values and value not in shape.values:
        yield f"{path}: {value!r} is none of {', '.join(map(str, shape.values))}"
    elif isinstance(value, list) and shape.item:
        for index, each in enumerate(value):
            yield from _against(each, shape.item, f"{path}[{index}]")
    elif isinstance(value, dict) and shape.item:
        for key, each in value.items():
            yield from _against(each, shape.item, f"{path}.{key}")
    elif isinstance(value, dict) and shape.properties is not None:
        yield from _properties_against(value, shape.properties, path)


def _properties_against(
    value: dict[str, Any], properties: dict[str, Shape], path: str
) -> Iterator[str]:
    for name, each in value.items():
        if name not in properties:
            yield f"{path}: has no property {name}"
        elif properties[name].read_only:
            yield f"{path}: {name} is read-only"
        else:
            yield from _against(each, properties[name], f"{path}.{name}")
    for name, shape in properties.items():
        if shape.required and not shape.read_only and value.get(name) is None:
            yield f"{path}: lacks {name}"


def _has(shape: Shape, path: list[str]) -> bool:
    if not path:
        return True
    inner = (shape.properties or {}).get(path[0])
    return inner is not None and _has(inner, path[1:])


@cache
def _properties(model: Any) -> dict[str, Shape]:
    models = importlib.import_module(model.__module__.rpartition(".")[0])
    names = {"_models": models}
    if hasattr(model, "_attribute_map"):
        return _mapped(model, typing.get_type_hints(model.__init__, localns=names), models)
    hints = typing.get_type_hints(model, localns=names)
    found = {}
    for base in reversed(model.__mro__):
        for attribute, rest in vars(base).items():
            if hasattr(rest, "_rest_name_input"):
                shape = _hinted(hints[attribute])
                shape.read_only = rest._visibility == ["read"]
                found[rest._rest_name_input or attribute] = shape
    return found


def _mapped(model: Any, hints: dict[str, Any], models: Any) -> dict[str, Shape]:
    """The properties of an `_attribute_map`, where "a.b" is b of an object without a model."""
    found: dict[str, Shape] = {}
    for attribute, told in model._attribute_map.items():
        *parents, name = told["key"].split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, Shape(dict)).nested
        rules = model._validation.get(attribute, {})
        # Only the signature knows enumerations, and only the map what is read-only.
        hint = hints.get(attribute)
        shape = _hinted(hint) if hint else _named(told["type"], models)
        shape.required = rules.get("required", False)
        shape.read_only = rules.get("readonly", False)
        place[name] = shape
    return found


def _named(name: str, models: Any) -> Shape:
    if name[0] in "[{":
        return Shape(list if name[0] == "[" else dict, item=_named(name[1:-1], models))
    model = getattr(models, name, None)
    return Shape(dict, model=model) if model else Shape()


def _hinted(hint: Any) -> Shape:
    """The shape of an annotation; a property is required if it can't be None."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kinds = [each for each in arguments if each is not types.NoneType]
        enums = [each for each in kinds if isinstance(each, type) and issubclass(each, Enum)]
        shape = _hinted(enums[0] if enums else kinds[0]) if enums or len(kinds) == 1 else Shape()
        shape.required = types.NoneType not in arguments
        return shape
    shape = Shape(required=True)
    if origin in (list, dict):
        shape.kind, shape.item = origin, _hinted(arguments[-1])
    elif isinstance(hint, type) and issubclass(hint, Enum):
        first = next(iter(hint)).value
        shape.kind = type(first)
        shape.values = tuple(each.value for each in hint)
    elif hint in (datetime, timedelta):
        shape.kind = str
    elif hint in (str, int, bool):
        shape.kind = hint
    elif hint is float:
        shape.kind = int  # Bicep has no others
    elif isinstance(hint, type) and (hasattr(hint, "_attribute_map") or hasattr(hint, "as_dict")):
        shape.kind, shape.model = dict, hint
    return shape
