"""How instances and histories look in the answers of the Durable HTTP API."""

import re
from typing import Any

from devhost import payload
from devhost.events import ASKED_BY, NAMES, Event, EventType
from devhost.store import Instance

_SCHEDULES = frozenset(ASKED_BY.values())
_RESULTS = {
    EventType.TASK_COMPLETED,
    EventType.SUB_ORCHESTRATION_COMPLETED,
    EventType.EXECUTION_COMPLETED,
}
_HIDDEN = {EventType.ORCHESTRATOR_STARTED, EventType.ORCHESTRATOR_COMPLETED}
_HEAD = ("EventType", "EventId", "IsPlayed", "Timestamp")
_STARTED_DROPS = ("OrchestrationInstance", "ParentInstance", "Version", "Tags", "Name")
_TIMES = ("Timestamp", "FireAt")


def status_payload(
    instance: Instance,
    *,
    history: list[Event] | None = None,
    show_input: bool = True,
    show_output: bool = False,
) -> dict[str, Any]:
    """The status of an instance, with times to the second; `historyEvents` only if given."""
    shown = {
        "name": instance.name,
        "version": instance.version or None,
        "instanceId": instance.id,
        "runtimeStatus": instance.status,
        "input": _parsed(instance.input) if show_input else None,
        "customStatus": _parsed(instance.custom_status),
        "output": _parsed(instance.output),
        "createdTime": instance.created[:19] + "Z",
        "lastUpdatedTime": instance.updated[:19] + "Z",
    }
    if history is not None:
        shown["historyEvents"] = _render(history, show_input, show_output)
    return shown


def _parsed(text: str | None) -> Any:
    """A stored text as the JSON value that it is, or as itself."""
    if text is None:
        return None
    try:
        return payload.read(text)
    except (ValueError, RecursionError):
        return text


def _short(time: str) -> str:
    """A time without the zeros at the end of its fraction, as .NET writes it in JSON."""
    return re.sub(r"(\.\d*?)0+Z$", lambda found: found[1].rstrip(".") + "Z", time)


def _render(history: list[Event], show_input: bool, show_output: bool) -> list[Event]:
    """Fold each piece of work into its completion, and name the kinds of events."""
    finished = {e["TaskScheduledId"] for e in history if e["EventType"] in ASKED_BY}
    scheduled = {e["EventId"]: e for e in history if e["EventType"] in _SCHEDULES}
    shown = []
    for entry in history:
        kind = EventType(entry["EventType"])
        folded = kind in _SCHEDULES and entry["EventId"] in finished
        if kind in _HIDDEN or folded:
            continue
        out: Event = {"EventType": NAMES[kind]}
        out |= {k: v for k, v in entry.items() if k not in _HEAD}
        out["Timestamp"] = entry["Timestamp"]
        out |= {name: _short(out[name]) for name in _TIMES if name in out}
        if kind in ASKED_BY:
            source = scheduled[out.pop("TaskScheduledId")]
            out["ScheduledTime"] = _short(source["Timestamp"]).replace("Z", "+00:00")
            out["FunctionName"] = source["Name"]
            if "InstanceId" in source:
                out["InstanceId"] = source["InstanceId"]
            out["Input"] = None
        elif kind == EventType.EXECUTION_STARTED:
            out["FunctionName"] = out["Name"]
            out = {k: v for k, v in out.items() if k not in _STARTED_DROPS}
        elif kind in _SCHEDULES:
            out.pop("Version")
            out["Input"] = None
        elif kind == EventType.TIMER_FIRED:
            out.pop("TimerId")
        elif kind == EventType.GENERIC_EVENT:
            out = {"Data": out.pop("Data")} | out
        if kind in _RESULTS and show_output:
            out["Result"] = _parsed(out["Result"])
        elif kind in _RESULTS:
            out.pop("Result")
        if not show_input:
            out.pop("Input", None)
        shown.append(out)
    return shown
