"""The worker's rules, on functions made to keep or break them."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest

from tests.app.worker_rules import faults_of, the_app_of

Code = Callable[..., Any]


def plain(value: str) -> str:
    return value


def anything(value: object) -> dict[str, Any]:
    return {"value": value}


def not_annotated(value):  # type: ignore[no-untyped-def]
    return value


def subscripted(value: dict[str, Any]) -> str:
    return str(value)


def optional(value: str | None) -> str:
    return str(value)


def with_context(value: str, context: func.Context) -> str:
    return f"{value} {context}"


def with_other_context(value: str, context: str) -> str:
    return value + context


def with_another(value: str, other: str) -> str:
    return value + other


def with_none() -> str:
    return ""


def out(value: func.Out[str]) -> str:
    return str(value)


def page(value: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(value.url)


def page_of_text(value: str) -> str:
    return value


def page_of_number(value: int) -> func.HttpResponse:
    return func.HttpResponse(str(value))


def number_page(value: func.HttpRequest) -> int:
    return len(value.url)


def mapping_page(value: func.HttpRequest) -> dict[str, str]:
    return dict(value.params)


def tick(value: func.TimerRequest) -> None:
    assert value


def tick_with_result(value: func.TimerRequest) -> bool:
    return value.past_due


async def with_client(value: object, client: df.DurableOrchestrationClient) -> None:
    await client.start_new("Any", None, value)


async def client_as_input(value: object) -> None:
    assert value


def activity(app: df.DFApp, code: Code) -> None:
    app.activity_trigger(input_name="value")(code)


def route(app: df.DFApp, code: Code) -> None:
    app.route(route="x", trigger_arg_name="value")(code)


def timer(app: df.DFApp, code: Code) -> None:
    app.timer_trigger(arg_name="value", schedule="0 0 * * * *")(code)


def bad_name(app: df.DFApp, code: Code) -> None:
    app.function_name("2 words")(app.activity_trigger(input_name="value")(code))


def bound_twice(app: df.DFApp, code: Code) -> None:
    app.durable_client_input(client_name="value")(app.activity_trigger(input_name="value")(code))


def client(app: df.DFApp, code: Code) -> None:
    app.durable_client_input(client_name="client")(app.activity_trigger(input_name="value")(code))


def faults(bind: Callable[[df.DFApp, Code], None], code: Code) -> list[str]:
    app = df.DFApp()
    bind(app, code)
    app.function_name("Page")(app.route(route="page", trigger_arg_name="value")(page))
    return faults_of(app.get_functions()[0])


@pytest.mark.parametrize(
    ("bind", "code"),
    [
        (activity, plain),
        (activity, anything),
        (activity, not_annotated),
        (activity, with_context),
        (route, page),
        (route, page_of_text),
        (timer, tick),
        (client, with_client),
    ],
)
def test_what_keeps_the_rules_loads(bind: Callable[[df.DFApp, Code], None], code: Code) -> None:
    assert faults(bind, code) == []


@pytest.mark.parametrize(
    ("bind", "code", "fault"),
    [
        (activity, subscripted, "value: dict[str, typing.Any] is no class"),
        (activity, optional, "value: str | None is no class"),
        (activity, with_another, "other: a parameter, but no binding"),
        (activity, with_none, "value: a binding, but no parameter"),
        (activity, with_other_context, "context: must be an azure.functions.Context"),
        (activity, out, "value: Out does not agree with the direction of the binding"),
        (route, page_of_number, "value: httpTrigger can't be int"),
        (route, number_page, "return: http can't be int"),
        (route, mapping_page, "return: dict[str, str] is no class"),
        (timer, page, "value: timerTrigger can't be HttpRequest"),
        (timer, tick_with_result, "return: nothing takes the value"),
        (bad_name, plain, "the host takes no such name"),
        (bound_twice, client_as_input, "value: bound twice"),
    ],
)
def test_what_breaks_a_rule_is_found(
    bind: Callable[[df.DFApp, Code], None], code: Code, fault: str
) -> None:
    assert fault in faults(bind, code)


@pytest.mark.parametrize("apps", [0, 2])
def test_the_module_must_hold_one_app(apps: int) -> None:
    module = ModuleType("some_app")
    for number in range(apps):
        setattr(module, f"app{number}", df.DFApp())
    module.__dict__["blueprint"] = df.Blueprint()
    with pytest.raises(SystemExit, match="not one"):
        the_app_of(module)
