"""host.json against a strict schema: the host itself ignores what it does not know."""

import copy
import inspect
import json
from typing import Any

import jsonschema
import pytest

from devhost.testing import load_once
from tests.app.loading import ROOT

HOST: dict[str, Any] = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
SCHEMA = json.loads((ROOT / "tests/app/host_schema.json").read_text(encoding="utf-8"))
DURABLE = "extensions.durableTask"
MISSING = object()


def faults(host: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(host)]


def changed(path: str, value: object) -> dict[str, Any]:
    """A copy with the value at the path set, or removed."""
    host = copy.deepcopy(HOST)
    *parents, last = path.split(".")
    inner = host
    for parent in parents:
        inner = inner[parent]
    if value is MISSING:
        del inner[last]
    else:
        inner[last] = value
    return host


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", ["host.json", "infra/host.azureManaged.json"])
def test_host_json_is_valid(file: str) -> None:
    assert faults(json.loads((ROOT / file).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("file", ["host.json", "infra/host.azureManaged.json"])
def test_no_property_is_written_twice(file: str) -> None:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)

    json.loads((ROOT / file).read_text(encoding="utf-8"), object_pairs_hook=once)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        # misspelt
        (f"{DURABLE}.taskHubName", "JobMonitor"),
        (f"{DURABLE}.HubName", "JobMonitor"),
        (f"{DURABLE}.overridableStates", "NonRunningStates"),
        (f"{DURABLE}.storageProvider.maxPollingInterval", "00:00:10"),
        (f"{DURABLE}.tracing.distributedTracing", True),
        ("extensions.durabletask", {}),
        ("extensionBundles", {}),
        ("logging.applicationInsights.samplingSettings.excludeTypes", "Request"),
        ("logging.logLevel.Defalt", "Information"),
        # misplaced
        ("durableTask", {"hubName": "JobMonitor"}),
        ("http", {"routePrefix": "api"}),
        (f"{DURABLE}.partitionCount", 4),
        (f"{DURABLE}.maxQueuePollingInterval", "00:00:10"),
        (f"{DURABLE}.traceInputsAndOutputs", False),
        (f"{DURABLE}.storageProvider.hubName", "JobMonitor"),
        # of the wrong type
        (f"{DURABLE}.maxConcurrentActivityFunctions", "16"),
        (f"{DURABLE}.maxConcurrentOrchestratorFunctions", 1.5),
        (f"{DURABLE}.useGracefulShutdown", "true"),
        (f"{DURABLE}.defaultVersion", 1.0),
        (f"{DURABLE}.storageProvider", "AzureStorage"),
        ("version", 2.0),
        # outside its limits
        (f"{DURABLE}.maxConcurrentActivityFunctions", 0),
        (f"{DURABLE}.storageProvider.partitionCount", 17),
        (f"{DURABLE}.hubName", "job-monitor"),
        (f"{DURABLE}.hubName", "1Hub"),
        (f"{DURABLE}.hubName", "H" * 46),
        # no such value
        (f"{DURABLE}.versionMatchStrategy", "CurrentAndOlder"),
        (f"{DURABLE}.versionFailureStrategy", "Ignore"),
        (f"{DURABLE}.overridableExistingInstanceStates", "AnyState"),
        (f"{DURABLE}.storageProvider.type", "AzureTables"),
        (f"{DURABLE}.storageProvider.type", "azureManaged"),
        (f"{DURABLE}.tracing.version", "2"),
        ("logging.logLevel.default", "Info"),
        ("logging.applicationInsights.samplingSettings.excludedTypes", "Request,Trace"),
        # no time span, or another than meant
        (f"{DURABLE}.storageProvider.maxQueuePollingInterval", 10),
        (f"{DURABLE}.storageProvider.maxQueuePollingInterval", "10"),
        (f"{DURABLE}.storageProvider.maxQueuePollingInterval", "00:00"),
        (f"{DURABLE}.storageProvider.maxQueuePollingInterval", "00:00:00"),
        (f"{DURABLE}.storageProvider.maxQueuePollingInterval", "00:00:60"),
        # a stopped host's messages hidden for minutes, or gone while they are worked on
        (f"{DURABLE}.storageProvider.controlQueueVisibilityTimeout", MISSING),
        (f"{DURABLE}.storageProvider.workItemQueueVisibilityTimeout", "00:05:00"),
        (f"{DURABLE}.storageProvider.workItemQueueVisibilityTimeout", "00:00:10"),
        # a text that XML can't carry would stall the hub
        (f"{DURABLE}.storageProvider.queueClientMessageEncoding", MISSING),
        (f"{DURABLE}.storageProvider.queueClientMessageEncoding", "UTF8"),
        ("functionTimeout", "00:10:01"),
        ("functionTimeout", "24:00:00"),
        ("functionTimeout", "-1"),
        # bundles without what the app needs, or with what it was not tested on
        ("extensionBundle.id", "Microsoft.Azure.Functions.ExtensionBundle.Preview"),
        ("extensionBundle.version", "[3.*, 4.0.0)"),
        ("extensionBundle.version", "[4.*, 6.0.0)"),
        ("extensionBundle.version", "[4.*, 5.0.0]"),
        ("extensionBundle.version", "4.*"),
        # never for Python
        (f"{DURABLE}.extendedSessionsEnabled", False),
        (f"{DURABLE}.extendedSessionIdleTimeoutInSeconds", 30),
        # would show inputs and outputs in the logs
        (f"{DURABLE}.tracing.traceInputsAndOutputs", True),
        # left to a default that differs between plans, or is named after the site
        (f"{DURABLE}.hubName", MISSING),
        (f"{DURABLE}.maxConcurrentActivityFunctions", MISSING),
        (f"{DURABLE}.storageProvider.partitionCount", MISSING),
        ("extensionBundle", MISSING),
        ("version", MISSING),
    ],
)
def test_a_broken_host_json_is_found(path: str, value: object) -> None:
    assert faults(changed(path, value))


def test_there_is_a_thread_for_all_sync_functions_at_once() -> None:
    # The worker runs orchestrators, activities and other sync functions in one pool. With fewer
    # threads, polls of a slow source hold up the orchestrators.
    local = json.loads((ROOT / "local.settings.json").read_text(encoding="utf-8"))
    threads = int(local["Values"]["PYTHON_THREADPOOL_THREAD_COUNT"])
    durable = HOST["extensions"]["durableTask"]
    limits = ("maxConcurrentActivityFunctions", "maxConcurrentOrchestratorFunctions")
    assert threads >= sum(durable[limit] for limit in limits)
    # A sync HTTP function would need as many more as there may be requests at once.
    others = {
        function.name
        for function in load_once(ROOT).functions
        if function.kind not in {"orchestrationTrigger", "activityTrigger"}
        and not inspect.iscoroutinefunction(function.call)
    }
    assert others == set()


def test_the_apps_own_lines_are_logged_and_the_engines_are_not() -> None:
    # Without these a poll writes 20 lines, nearly all of them the engine's tracking. A category
    # holds for those that begin with it, so each function that logs has its own.
    levels = HOST["logging"]["logLevel"]
    assert levels["Function"] == "Warning"
    own = {name for name in levels if name.startswith("Function.")}
    assert own == {
        f"Function.{function.name}.User"
        for function in load_once(ROOT).functions
        if function.kind != "orchestrationTrigger"
    }
    assert {levels[name] for name in own} == {"Information"}
    # Azure's list of requests is made from this category.
    assert "Host.Results" not in levels
