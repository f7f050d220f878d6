"""One turn of an orchestrator: it is called, and what it asks for is looked over."""

import logging
from typing import Any

from devhost import payload
from devhost.events import Event, EventType
from devhost.invocation import ask
from devhost.replay import Completed, Failed, OrchestrationFault, Turn, replay
from devhost.store import Instance
from devhost.worker import Functions, printable, unknown

log = logging.getLogger("devhost.turns")

_CUSTOM_STATUS_KB = 16
_VERSION_MISMATCH = Failed(
    "Orchestration version did not comply with Worker Versioning", "VersionMismatch"
)


def turn_of(functions: Functions, instance: Instance, history: list[Event]) -> Turn:
    """Call the orchestrator and derive what it asks for; a fault fails the instance.

    The custom status of the instance is set.
    """
    if not functions.settings.runs(instance.version):
        return Turn(ending=_VERSION_MISMATCH)
    name = instance.name
    code = functions.orchestrators.get(name.lower())
    if code is None:
        return Turn(ending=Failed(unknown("orchestrator", name, functions)))
    try:
        answer = ask(lambda text: functions.call(name, code, text).result(), history)
        status = _custom_status(answer)
        if status is not None or not _begins_again(history):
            instance.custom_status = status
        turn = replay(history, answer)
        _check_work(functions, turn)
        if instance.parent is not None:
            _check_end(functions, turn)
    except OrchestrationFault as fault:
        return Turn(ending=Failed(str(fault)))
    except Exception as error:
        # What one orchestrator asks for must not end the host, now and at each restart.
        log.exception("%s %s asks for what can't be read", name, instance.id)
        return Turn(ending=Failed(f"devhost can't read what it asks for: {error}"))
    return turn


def _custom_status(answer: dict[str, Any]) -> str | None:
    text = payload.or_none(answer.get("customStatus"))
    size = len((text or "").encode("utf-16-le")) // 1024
    if size > _CUSTOM_STATUS_KB:
        raise OrchestrationFault(
            "The UTF-16 size of the JSON-serialized payload must not exceed "
            f"{_CUSTOM_STATUS_KB} KB. The current payload size is {size} KB."
        )
    return text


def _begins_again(history: list[Event]) -> bool:
    """Whether it is the first turn after a continue-as-new, which keeps the custom status."""
    first = [e for e in history if e["EventType"] == EventType.ORCHESTRATOR_STARTED]
    return len(first) == 1 and history[1]["Generation"] is None


def _check_work(functions: Functions, turn: Turn) -> None:
    """Refuse work that nobody can do; the real host leaves the instance hanging."""
    for kind, function, known in (
        (EventType.TASK_SCHEDULED, "activity", functions.activities),
        (EventType.SUB_ORCHESTRATION_CREATED, "orchestrator", functions.orchestrators),
    ):
        for scheduled in turn.scheduled:
            if scheduled["EventType"] == kind and scheduled["Name"].lower() not in known:
                why = unknown(function, scheduled["Name"], functions)
                log.error("%s On the real host its caller stays Running for ever.", why)
                raise OrchestrationFault(why)
    for scheduled in turn.scheduled:
        for field in ("InstanceId", "Version"):
            value = scheduled.get(field, "")
            if not isinstance(value, str) or value != printable(value):
                raise OrchestrationFault(f"{field} {value!r} is no text")


def _check_end(functions: Functions, turn: Turn) -> None:
    """Refuse an end that no queue can carry to the parent."""
    text = turn.ending.error if isinstance(turn.ending, Failed) else ""
    if isinstance(turn.ending, Completed):
        text = payload.write(turn.ending.output)
    if not functions.settings.carries(text):
        raise OrchestrationFault(payload.UNFIT)
