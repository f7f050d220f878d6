"""The well-known shapes of Durable Functions, as its documentation teaches them."""
# mypy: disallow-untyped-decorators=False
# ruff: noqa: INP001 - a function app's folder is no package

import asyncio
from collections import Counter
from collections.abc import Generator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Self

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions.models.Task import TaskBase

bp = df.Blueprint()

Context = Any  # the SDK's hints neither know of an input nor of a timer's cancel
Steps = Generator[TaskBase, Any, Any]

_looks: Counter[str] = Counter()


# -- function chaining ----------------------------------------------------------------------


@bp.orchestration_trigger(context_name="context")
def greet_cities(context: Context) -> Steps:
    """Greet three cities, one after the other."""
    tokyo = yield context.call_activity("say_hello", "Tokyo")
    seattle = yield context.call_activity("say_hello", "Seattle")
    london = yield context.call_activity("say_hello", "London")
    return [tokyo, seattle, london]


@bp.activity_trigger(input_name="city")
def say_hello(city: str) -> str:
    return f"Hello {city}!"


# -- fan-out, fan-in ------------------------------------------------------------------------


@bp.orchestration_trigger(context_name="context")
def sum_of_squares(context: Context) -> Steps:
    """Ask for the work, do all of it at once, add up."""
    numbers = yield context.call_activity("list_numbers", context.get_input())
    tasks = [context.call_activity("square", number) for number in numbers]
    squares = yield context.task_all(tasks)
    return sum(squares or [])  # the SDK gives None for no tasks at all


@bp.activity_trigger(input_name="count")
def list_numbers(count: int) -> list[int]:
    return list(range(1, count + 1))


@bp.activity_trigger(input_name="number")
async def square(number: int) -> int:
    """An async activity, so that all of them run at once whatever the number of threads."""
    await asyncio.sleep(0.01)
    return number * number


# -- monitor --------------------------------------------------------------------------------


@bp.orchestration_trigger(context_name="context")
def watch(context: Context) -> Steps:
    """Look at a thing every now and then until it is ready or the time is over."""
    order = context.get_input()
    expires = context.current_utc_datetime + timedelta(seconds=order["patience"])
    while context.current_utc_datetime < expires:
        if (yield context.call_activity("is_ready", order)):
            return "ready"
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=0.05))
    return "expired"


@bp.activity_trigger(input_name="order")
def is_ready(order: Any) -> bool:
    _looks[order["thing"]] += 1
    return _looks[order["thing"]] >= int(order["looks"])


# -- human interaction ----------------------------------------------------------------------


@bp.orchestration_trigger(context_name="context")
def ask_for_approval(context: Context) -> Steps:
    """Wait for a decision, but not for ever."""
    due = context.current_utc_datetime + timedelta(seconds=context.get_input())
    timeout = context.create_timer(due)
    decision = context.wait_for_external_event("approval")
    winner = yield context.task_any([decision, timeout])
    if winner == timeout:
        return "escalated"
    timeout.cancel()
    return "approved" if decision.result else "rejected"


# -- sub-orchestrations with retry ----------------------------------------------------------


@bp.orchestration_trigger(context_name="context")
def provision_devices(context: Context) -> Steps:
    """Set up some devices, each as an orchestration that may need several attempts."""
    options = df.RetryOptions(20, 3)
    tasks = [
        context.call_sub_orchestrator_with_retry("provision_device", options, device)
        for device in context.get_input()
    ]
    return (yield context.task_all(tasks))


@bp.orchestration_trigger(context_name="context")
def provision_device(context: Context) -> Steps:
    device = context.get_input()
    return (yield context.call_activity("FailUntil", device))


# -- classes as inputs and outputs ----------------------------------------------------------


@dataclass
class Parcel:
    """A class that says itself how it becomes JSON."""

    sender: str
    grams: int

    @staticmethod
    def to_json(parcel: "Parcel") -> dict[str, Any]:
        return asdict(parcel)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**data)


@bp.function_name("StartParcel")
@bp.route(route="parcels/{id}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def start_parcel(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Start an orchestration with an object as its input."""
    parcel = Parcel("Ada", 100)
    id_ = await client.start_new("send_parcel", req.route_params["id"], client_input=parcel)
    return client.create_check_status_response(req, id_)


@bp.orchestration_trigger(context_name="context")
def send_parcel(context: Context) -> Steps:
    """Pass an object from client to orchestrator, activity and sub-orchestration."""
    parcel = yield context.call_activity("pack", context.get_input())
    grams = yield context.call_sub_orchestrator("weigh_parcel", parcel)
    return f"{type(parcel).__name__} of {parcel.sender}: {grams} g"


@bp.activity_trigger(input_name="parcel")
def pack(parcel: Parcel) -> Parcel:
    return Parcel(parcel.sender, parcel.grams + 20)


@bp.orchestration_trigger(context_name="context")
def weigh_parcel(context: Context) -> Steps:
    """An orchestration can't return an object: the SDK encodes outputs as plain JSON."""
    packed = yield context.call_activity("pack", context.get_input())
    return packed.grams


# -- functions that want more than their input ----------------------------------------------


@bp.activity_trigger(input_name="value")
def tell_context(value: Any, context: func.Context) -> dict[str, Any]:
    """An activity that asks for its invocation."""
    return {"function": context.function_name, "has_id": bool(context.invocation_id)}


@bp.activity_trigger(input_name="id")
@bp.durable_client_input(client_name="client")
async def look_at_myself(id: str, client: df.DurableOrchestrationClient) -> str:  # noqa: A002
    """An activity that asks the hub about the instance which called it."""
    status = await client.get_status(id)
    return str(status.to_json()["runtimeStatus"])


@bp.orchestration_trigger(context_name="context")
def use_function_objects(context: Context) -> Steps:
    """Call by function rather than by name, and use the ids that are safe to replay."""
    told = yield context.call_activity(tell_context, None)
    status = yield context.call_activity(look_at_myself, context.instance_id)
    guids = [str(context.new_guid()) for _ in range(2)]
    again = yield context.call_activity("Echo", guids)
    return {"told": told, "status": status, "guids": guids == again and len(set(guids))}
