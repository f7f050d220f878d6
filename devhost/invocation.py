"""One call of an orchestrator function: a history goes in, its action list comes out."""

import json
from collections.abc import Callable
from typing import Any

from devhost import payload
from devhost.events import Event, EventType
from devhost.replay import OrchestrationFault
from devhost.worker import FunctionFailed

_OUT_OF_PROC = "\n\n$OutOfProcData$:"


def ask(orchestrator: Callable[[str], str], history: list[Event]) -> dict[str, Any]:
    """What the SDK answers to a history.

    An orchestrator that raised has answered too: with what it asked for until then, and with
    `error`.

    Raises:
        OrchestrationFault: It raised before the SDK could make an answer.
    """
    try:
        text = orchestrator(json.dumps(request(history)))
    except BaseException as error:  # noqa: BLE001 - an orchestrator may raise anything
        failed = error if isinstance(error, FunctionFailed) else FunctionFailed(error)
        # The answer of one that raised stands in the exception's text.
        _, marker, text = str(failed).rpartition(_OUT_OF_PROC)
        if not marker:
            raise OrchestrationFault(str(failed)) from None
    answer: dict[str, Any] = json.loads(text)
    return answer


def request(history: list[Event]) -> dict[str, Any]:
    """What the Python worker gives to an orchestrator function."""
    started = next(e for e in history if e["EventType"] == EventType.EXECUTION_STARTED)
    parent, input_ = started["ParentInstance"], started["Input"]
    return {
        "history": history,
        "input": payload.read(input_) if input_ is not None else None,
        "instanceId": started["OrchestrationInstance"]["InstanceId"],
        "isReplaying": any(e["EventType"] == EventType.ORCHESTRATOR_COMPLETED for e in history),
        "parentInstanceId": parent and parent["OrchestrationInstance"]["InstanceId"],
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 3,
        "maximumShortTimerDuration": "6.00:00:00",
        "longRunningTimerIntervalDuration": "3.00:00:00",
        "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
    }
