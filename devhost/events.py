"""History events: the records that an orchestration is replayed from.

Numbers, names and fields are those of DurableTask.Core, as its JSON reaches the Python
worker. An event is a plain dict. `EventId` is -1 but for the events that schedule work:
there it is the id of the task.
"""

from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

Event = dict[str, Any]

NO_ID = -1


class EventType(IntEnum):
    """The kinds of history event that this host writes."""

    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    EXECUTION_TERMINATED = 3
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_CREATED = 7
    SUB_ORCHESTRATION_COMPLETED = 8
    SUB_ORCHESTRATION_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_RAISED = 15
    GENERIC_EVENT = 17
    EXECUTION_SUSPENDED = 19
    EXECUTION_RESUMED = 20


NAMES = {
    EventType.SUB_ORCHESTRATION_CREATED: "SubOrchestrationInstanceCreated",
    EventType.SUB_ORCHESTRATION_COMPLETED: "SubOrchestrationInstanceCompleted",
    EventType.SUB_ORCHESTRATION_FAILED: "SubOrchestrationInstanceFailed",
} | {
    kind: kind.name.title().replace("_", "")
    for kind in EventType
    if not kind.name.startswith("SUB_ORCHESTRATION")
}
"""The names under which the management API shows the kinds."""

KINDS = {name: kind for kind, name in NAMES.items()}
"""The kinds by these names."""

SCHEDULING = frozenset(
    {EventType.TASK_SCHEDULED, EventType.SUB_ORCHESTRATION_CREATED, EventType.TIMER_CREATED}
)
"""The events whose `EventId` is a task id."""

ASKED_BY = {
    EventType.TASK_COMPLETED: EventType.TASK_SCHEDULED,
    EventType.TASK_FAILED: EventType.TASK_SCHEDULED,
    EventType.SUB_ORCHESTRATION_COMPLETED: EventType.SUB_ORCHESTRATION_CREATED,
    EventType.SUB_ORCHESTRATION_FAILED: EventType.SUB_ORCHESTRATION_CREATED,
}
"""What an end of work answers; its `TaskScheduledId` is the `EventId` there."""


def stamp(moment: datetime) -> str:
    """The moment as .NET prints it: UTC, seven digits of a second, `Z`; sorts as text."""
    # Not strftime, which writes the year 1 as "1".
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "0Z"


def moment(text: str) -> datetime:
    """The inverse of `stamp`; also takes six digits, and the year 1 as "1", as the SDK writes it.

    Raises:
        ValueError: It is not in that form.
    """
    year, dash, rest = text.partition("-")
    return datetime.fromisoformat(year.zfill(4) + dash + rest)


def event(kind: EventType, at: str, event_id: int = NO_ID, **fields: Any) -> Event:
    """An event of a kind, at a time in the form of `stamp`."""
    head = {"EventType": int(kind), "EventId": event_id, "IsPlayed": False, "Timestamp": at}
    return head | fields


def execution_started(
    at: str,
    *,
    name: str,
    version: str,
    instance_id: str,
    execution_id: str,
    input_text: str | None,
    parent: Event | None = None,
    generation: int | None = None,
) -> Event:
    """The first event of a generation.

    `input_text` is JSON; `parent` as in ParentInstance; `generation` 0 but after continue-as-new.
    """
    return event(
        EventType.EXECUTION_STARTED,
        at,
        OrchestrationInstance={"InstanceId": instance_id, "ExecutionId": execution_id},
        ParentInstance=parent,
        Name=name,
        Version=version,
        Input=input_text,
        Tags=None,
        Correlation=None,
        ParentTraceContext=None,
        ScheduledStartTime=None,
        Generation=generation,
        GenerateNewTrace=False,
    )


def failure(
    kind: EventType, at: str, task_id: int, reason: str, details: str | None = None
) -> Event:
    """The failure of an activity or a sub-orchestration."""
    return event(
        kind, at, TaskScheduledId=task_id, Reason=reason, Details=details, FailureDetails=None
    )
