"""The worker's rules, on functions made to keep or break them."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest

from devhost.worker_rules import NotOneApp, faults_of, late_faults_of, the_app_of

Code = Callable[..., Any]

DECLARED = "the following parameters are declared in"


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
    function = app.get_functions()[0]
    return faults_of(function) + late_faults_of(function)


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
        (
            activity,
            subscripted,
            "binding value has invalid non-type annotation dict[str, typing.Any]",
        ),
        (activity, optional, "binding value has invalid non-type annotation str | None"),
        (activity, with_another, f"{DECLARED} Python but not in function.json: {{'other'}}"),
        (activity, with_none, f"{DECLARED} function.json but not in Python: {{'value'}}"),
        (
            activity,
            with_other_context,
            (
                'the "context" parameter is expected to be of type azure.functions.Context, got '
                "<class 'str'>"
            ),
        ),
        (
            activity,
            out,
            (
                'binding value is declared to have the "in" direction in function.json, but its '
                "annotation is azure.functions.Out in Python"
            ),
        ),
        (
            route,
            page_of_number,
            (
                'type of value binding in function.json "httpTrigger" does not match its Python '
                'annotation "int"'
            ),
        ),
        (route, number_page, 'Python return annotation "int" does not match binding type "http"'),
        (route, mapping_page, "has invalid non-type return annotation dict[str, str]"),
        (
            timer,
            page,
            (
                'type of value binding in function.json "timerTrigger" does not match its Python '
                'annotation "HttpRequest"'
            ),
        ),
        (timer, tick_with_result, "nothing takes what it returns"),
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
    with pytest.raises(NotOneApp, match="function app instances"):
        the_app_of(module)
