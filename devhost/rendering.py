"""How instances and histories look in the answers of the Durable HTTP API."""

import json
from typing import Any

from devhost.events import NAMES, Event, EventType
from devhost.store import Instance

_COMPLETIONS = {
    EventType.TASK_COMPLETED,
    EventType.TASK_FAILED,
    EventType.SUB_ORCHESTRATION_COMPLETED,
    EventType.SUB_ORCHESTRATION_FAILED,
}
_SCHEDULES = {EventType.TASK_SCHEDULED, EventType.SUB_ORCHESTRATION_CREATED}
_RESULTS = {
    EventType.TASK_COMPLETED,
    EventType.SUB_ORCHESTRATION_COMPLETED,
    EventType.EXECUTION_COMPLETED,
}
_HIDDEN = {EventType.ORCHESTRATOR_STARTED, EventType.ORCHESTRATOR_COMPLETED}
_STARTED_DROPS = ("OrchestrationInstance", "ParentInstance", "Version", "Tags", "Name")


def status_payload(
    instance: Instance,
    *,
    history: list[Event] | None = None,
    show_input: bool = True,
    show_output: bool = False,
) -> dict[str, Any]:
    """The status of an instance, with times to the second; `historyEvents` only if given."""
    payload = {
        "name": instance.name,
        "instanceId": instance.id,
        "runtimeStatus": instance.status,
        "input": _parsed(instance.input) if show_input else None,
        "customStatus": _parsed(instance.custom_status),
        "output": _parsed(instance.output),
        "createdTime": instance.created[:19] + "Z",
        "lastUpdatedTime": instance.updated[:19] + "Z",
    }
    if history is not None:
        payload["historyEvents"] = _render(history, show_input, show_output)
    return payload


def _parsed(text: str | None) -> Any:
    """A stored text as the JSON value that it is, or as itself."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _render(history: list[Event], show_input: bool, show_output: bool) -> list[Event]:
    """Fold each piece of work into its completion, and name the kinds of events."""
    finished = {e["TaskScheduledId"] for e in history if e["EventType"] in _COMPLETIONS}
    scheduled = {e["EventId"]: e for e in history if e["EventType"] in _SCHEDULES}
    shown = []
    for entry in history:
        kind = EventType(entry["EventType"])
        folded = kind in _SCHEDULES and entry["EventId"] in finished
        if kind in _HIDDEN or folded:
            continue
        out = {k: v for k, v in entry.items() if k not in ("EventId", "IsPlayed")}
        out["EventType"] = NAMES[kind]
        if kind in _COMPLETIONS:
            source = scheduled[out.pop("TaskScheduledId")]
            out |= {"ScheduledTime": source["Timestamp"], "FunctionName": source["Name"]}
            out["Input"] = source.get("Input")
        elif kind == EventType.EXECUTION_STARTED:
            out["FunctionName"] = out["Name"]
            out = {k: v for k, v in out.items() if k not in _STARTED_DROPS}
        elif kind in _SCHEDULES:
            out.pop("Version")
        elif kind == EventType.TIMER_FIRED:
            out.pop("TimerId")
        if kind in _RESULTS:
            result = out.pop("Result")
            if show_output:
                out["Result"] = _parsed(result)
        if not show_input:
            out.pop("Input", None)
        shown.append(out)
    return shown
