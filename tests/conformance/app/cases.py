"""Orchestrators and activities that each show one behaviour of the host."""
# mypy: disallow-untyped-decorators=False
# ruff: noqa: INP001 - a function app's folder is no package

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Generator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions.models.Task import TaskBase

bp = df.Blueprint(http_auth_level=func.AuthLevel.ANONYMOUS)

Context = Any  # the SDK's hints neither know of an input nor of a timer's cancel
Steps = Generator[TaskBase, Any, Any]

_GATE_SECONDS = 20.0
_gates: dict[str, threading.Event] = defaultdict(threading.Event)
_calls: Counter[str] = Counter()


# -- activities -----------------------------------------------------------------------------


@bp.function_name("Echo")
@bp.activity_trigger(input_name="value")
def echo(value: Any) -> Any:
    return value


@bp.function_name("Kind")
@bp.activity_trigger(input_name="value")
def kind(value: Any) -> str:
    return type(value).__name__


@bp.function_name("Raise")
@bp.activity_trigger(input_name="text")
def raise_(text: str) -> None:
    _calls[f"Raise {text}"] += 1
    raise ValueError(text)


@bp.function_name("Exit")
@bp.activity_trigger(input_name="nothing")
def exit_(nothing: object) -> None:
    raise SystemExit(3)


@bp.function_name("ReturnSet")
@bp.activity_trigger(input_name="nothing")
def return_set(nothing: object) -> Any:
    return {1, 2}


@bp.function_name("FailUntil")
@bp.activity_trigger(input_name="order")
def fail_until(order: Any) -> int:
    """Fail until it was called often enough; the count is returned."""
    _calls[order["key"]] += 1
    if _calls[order["key"]] < order["calls"]:
        raise ValueError(f"call {_calls[order['key']]}")
    return _calls[order["key"]]


@bp.function_name("Gate")
@bp.activity_trigger(input_name="name")
def gate(name: str) -> str:
    """Take until a test opens the gate."""
    _calls[name] += 1
    if not _gates[name].wait(_GATE_SECONDS):
        raise TimeoutError(f"nobody opened {name}")
    return name


@bp.function_name("OpenGate")
@bp.route(route="gates/{name}/open", methods=["POST"])
def open_gate(req: func.HttpRequest) -> str:
    _gates[req.route_params["name"]].set()
    return "open"


@bp.function_name("Calls")
@bp.route(route="calls/{name}", methods=["GET"])
def calls(req: func.HttpRequest) -> str:
    return str(_calls[req.route_params["name"]])


# -- ends -----------------------------------------------------------------------------------


@bp.function_name("Call")
@bp.orchestration_trigger(context_name="context")
def call(context: Context) -> Steps:
    """Return what the named activity makes of the input."""
    order = context.get_input()
    return (yield context.call_activity(order["name"], order.get("input")))


@bp.function_name("CallChild")
@bp.orchestration_trigger(context_name="context")
def call_child(context: Context) -> Steps:
    """Return what the named sub-orchestration returns."""
    order = context.get_input()
    return (
        yield context.call_sub_orchestrator(
            order["name"], order.get("input"), order.get("id"), order.get("version")
        )
    )


@bp.function_name("GetInput")
@bp.orchestration_trigger(context_name="context")
def get_input(context: Context) -> Steps:
    return context.get_input()
    yield  # makes it a generator


@bp.function_name("NoGenerator")
@bp.orchestration_trigger(context_name="context")
def no_generator(context: Context) -> Any:
    return context.get_input()


@bp.function_name("Version")
@bp.orchestration_trigger(context_name="context")
def version(context: Context) -> Steps:
    return context.version
    yield


@bp.function_name("Fail")
@bp.orchestration_trigger(context_name="context")
def fail(context: Context) -> Steps:
    yield context.call_activity("Echo", None)
    raise ValueError(*context.get_input())


@bp.function_name("ExitOrchestrator")
@bp.orchestration_trigger(context_name="context")
def exit_orchestrator(context: Context) -> Steps:
    raise SystemExit(3)
    yield


@bp.function_name("YieldNoTask")
@bp.orchestration_trigger(context_name="context")
def yield_no_task(context: Context) -> Generator[Any, Any, None]:
    yield "not a task"


@bp.function_name("OutputSet")
@bp.orchestration_trigger(context_name="context")
def output_set(context: Context) -> Steps:
    yield context.call_activity("Echo", None)
    return {1, 2}


@bp.function_name("TellReplays")
@bp.orchestration_trigger(context_name="context")
def tell_replays(context: Context) -> Steps:
    """Whether each step was a replay when the last one was taken."""
    flags = [context.is_replaying]
    for _ in range(2):
        yield context.call_activity("Echo", None)
        flags.append(context.is_replaying)
    return flags


@bp.function_name("TellIds")
@bp.orchestration_trigger(context_name="context")
def tell_ids(context: Context) -> Steps:
    yield context.call_activity("Echo", None)
    return [context.instance_id, context.parent_instance_id]


@bp.function_name("CallOut")
@bp.orchestration_trigger(context_name="context")
def call_out(context: Context) -> Steps:
    """Use what a host may not serve."""
    entity = df.EntityId("counter", "one")
    match context.get_input():
        case "http":
            yield context.call_http("GET", "http://127.0.0.1:9/")
        case "call":
            yield context.call_entity(entity, "get")
        case "signal":
            context.signal_entity(entity, "add", 1)
            yield context.call_activity("Echo", None)


# -- events and control ---------------------------------------------------------------------


@bp.function_name("Wait")
@bp.orchestration_trigger(context_name="context")
def wait(context: Context) -> Steps:
    """Return what comes with the event `go`."""
    return (yield context.wait_for_external_event("go"))


@bp.function_name("GateThenWait")
@bp.orchestration_trigger(context_name="context")
def gate_then_wait(context: Context) -> Steps:
    """Call the activity `Gate`, then return what came with the event `go`."""
    yield context.call_activity("Gate", context.get_input())
    return (yield context.wait_for_external_event("go"))


@bp.function_name("WaitTwice")
@bp.orchestration_trigger(context_name="context")
def wait_twice(context: Context) -> Steps:
    first = yield context.wait_for_external_event("go")
    second = yield context.wait_for_external_event("go")
    return [first, second]


@bp.function_name("GateThenWaitTwice")
@bp.orchestration_trigger(context_name="context")
def gate_then_wait_twice(context: Context) -> Steps:
    yield context.call_activity("Gate", context.get_input())
    first = yield context.wait_for_external_event("go")
    second = yield context.wait_for_external_event("go")
    return [first, second]


@bp.function_name("WaitTwiceAtOnce")
@bp.orchestration_trigger(context_name="context")
def wait_twice_at_once(context: Context) -> Steps:
    waits = [context.wait_for_external_event("go") for _ in range(2)]
    return (yield context.task_all(waits))


@bp.function_name("WaitThenGate")
@bp.orchestration_trigger(context_name="context")
def wait_then_gate(context: Context) -> Steps:
    yield context.wait_for_external_event("go")
    return (yield context.call_activity("Gate", context.get_input()))


@bp.function_name("StatusThenWait")
@bp.orchestration_trigger(context_name="context")
def status_then_wait(context: Context) -> Steps:
    context.set_custom_status(context.get_input())
    yield context.wait_for_external_event("go")


@bp.function_name("BigStatus")
@bp.orchestration_trigger(context_name="context")
def big_status(context: Context) -> Steps:
    context.set_custom_status("x" * context.get_input())
    yield context.call_activity("Echo", None)


@bp.function_name("Block")
@bp.orchestration_trigger(context_name="context")
def block(context: Context) -> Steps:
    """Hold up the host's work on orchestrations, as no orchestrator should."""
    time.sleep(context.get_input())
    return None
    yield


# -- timers ---------------------------------------------------------------------------------


@bp.function_name("Sleep")
@bp.orchestration_trigger(context_name="context")
def sleep(context: Context) -> Steps:
    delay = timedelta(seconds=context.get_input())
    began = context.current_utc_datetime
    yield context.create_timer(began + delay)
    return (context.current_utc_datetime - began).total_seconds()


@bp.function_name("SleepNaive")
@bp.orchestration_trigger(context_name="context")
def sleep_naive(context: Context) -> Steps:
    yield context.create_timer(context.current_utc_datetime.replace(tzinfo=None))


@bp.function_name("SleepElsewhere")
@bp.orchestration_trigger(context_name="context")
def sleep_elsewhere(context: Context) -> Steps:
    """Create a timer that is due at once, written in a zone that is two hours ahead."""
    zone = timezone(timedelta(hours=2))
    yield context.create_timer(context.current_utc_datetime.astimezone(zone))


@bp.function_name("SleepUntilYearOne")
@bp.orchestration_trigger(context_name="context")
def sleep_until_year_one(context: Context) -> Steps:
    yield context.create_timer(datetime(1, 1, 1, tzinfo=UTC))
    return "over"


@bp.function_name("LeaveTimer")
@bp.orchestration_trigger(context_name="context")
def leave_timer(context: Context) -> Steps:
    """Return while a timer is still open; it is cancelled if the input says so."""
    order = context.get_input()
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=order["seconds"]))
    yield context.task_any([timer, context.call_activity("Echo", None)])
    if order.get("cancel"):
        timer.cancel()
    return "returned"


@bp.function_name("Retry")
@bp.orchestration_trigger(context_name="context")
def retry(context: Context) -> Steps:
    """Call an activity that fails with three attempts, some milliseconds apart."""
    order = context.get_input()
    options = df.RetryOptions(order.get("milliseconds", 20), 3)
    try:
        return (yield context.call_activity_with_retry(order["name"], options, order.get("input")))
    except Exception as error:  # noqa: BLE001 - all that an orchestrator ever gets
        return f"gave up: {error}"


# -- continue as new ------------------------------------------------------------------------


@bp.function_name("CountDown")
@bp.orchestration_trigger(context_name="context")
def count_down(context: Context) -> Steps:
    left = context.get_input()
    yield context.call_activity("Echo", left)
    if left:
        context.continue_as_new(left - 1)
        return "ignored"
    return "done"


@bp.function_name("Generations")
@bp.orchestration_trigger(context_name="context")
def generations(context: Context) -> Steps:
    """Set a status and wait in the first generation; only wait in the second."""
    if context.get_input() == "second":
        return (yield context.wait_for_external_event("go"))
    context.set_custom_status("first")
    yield context.wait_for_external_event("go")
    yield context.call_activity("Echo", None)
    context.continue_as_new("second")
    return None


@bp.function_name("ContinueWithOpenTimer")
@bp.orchestration_trigger(context_name="context")
def continue_with_open_timer(context: Context) -> Steps:
    """Continue as new while a timer is open; it is cancelled if the input says so."""
    order = context.get_input()
    if order["seconds"] == 0:
        yield context.wait_for_external_event("go")
        return "second"
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=order["seconds"]))
    yield context.task_any([timer, context.call_activity("Echo", None)])
    if order.get("cancel"):
        timer.cancel()
    yield context.call_activity("Echo", None)
    context.continue_as_new({"seconds": 0})
    return None


@bp.function_name("ContinueAtOnce")
@bp.orchestration_trigger(context_name="context")
def continue_at_once(context: Context) -> Steps:
    """Cancel a timer and continue as new in one turn; then wait with a timer of the same number."""
    seconds = context.get_input()
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds or 3600))
    if seconds:
        yield context.task_any([timer, context.call_activity("Echo", None)])
        timer.cancel()
        context.continue_as_new(0)
        return None
    event = context.wait_for_external_event("go")
    winner = yield context.task_any([timer, event])
    if winner == timer:
        return "the timer of before"
    timer.cancel()
    return event.result


@bp.function_name("RaceThenContinue")
@bp.orchestration_trigger(context_name="context")
def race_then_continue(context: Context) -> Steps:
    """Continue as new in the turn in which an event beats a timer."""
    timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    yield context.task_any([timer, context.wait_for_external_event("go")])
    timer.cancel()
    context.continue_as_new(None)


@bp.function_name("ContinueThenRaise")
@bp.orchestration_trigger(context_name="context")
def continue_then_raise(context: Context) -> Steps:
    yield context.call_activity("Echo", None)
    context.continue_as_new(None)
    raise ValueError("after all")


@bp.function_name("ContinueForever")
@bp.orchestration_trigger(context_name="context")
def continue_forever(context: Context) -> Steps:
    """Continue as new without ever waiting for anything."""
    context.continue_as_new(None)
    return None
    yield


@bp.function_name("Collect")
@bp.orchestration_trigger(context_name="context")
def collect(context: Context) -> Steps:
    """Take one event a generation until the last; a poll stands between the two."""
    seen = context.get_input() or []
    item = yield context.wait_for_external_event("item")
    seen.append(item)
    if item == "last":
        return seen
    yield context.call_activity("Echo", None)
    context.continue_as_new(seen)
    return None


@bp.function_name("DropBuffered")
@bp.orchestration_trigger(context_name="context")
def drop_buffered(context: Context) -> Steps:
    """Wait at a gate, continue as new, and see whether an event of before is still there."""
    name = context.get_input()
    if name is None:
        return (yield context.wait_for_external_event("go"))
    yield context.call_activity("Gate", name)
    context.continue_as_new(None)
    return None
