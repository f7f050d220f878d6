"""Functions that end in every way in which Python lets one end; `KINDS` names the ways."""
# mypy: disallow-untyped-decorators=False
# ruff: noqa: INP001 - a function app's folder is no package

import asyncio
import builtins
import json
import logging
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
retried: list[str] = []


class Own(BaseException):
    """No exception of the library's."""


class NoText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class ExitsForText(BaseException):
    def __str__(self) -> str:
        raise SystemExit(4)


class NumberForText(Exception):
    def __str__(self) -> Any:
        return 5  # noqa: PLE0307 - that is what is wrong with it


class NoTraceback(Exception):
    @property
    def __cause__(self) -> Any:  # type: ignore[override] # nothing asks a function to be sane
        raise KeyboardInterrupt


def _exit() -> NoReturn:
    sys.exit(3)


def _caused_by_itself() -> NoReturn:
    error = ValueError("in a circle")
    error.__cause__ = error
    raise error


def _noted() -> NoReturn:
    error = ValueError("noted")
    error.__notes__ = [object(), "\ud800"]  # type: ignore[list-item] # see above
    raise error


def _deep() -> Any:
    return _deep()


def _raising(error: Any) -> Callable[[], NoReturn]:
    def run() -> NoReturn:
        raise error

    return run


def _fits_no_call(kind: type[BaseException]) -> bool:
    try:
        kind("planted")
    except TypeError:
        return True
    return False


_BUILTIN = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException) and not _fits_no_call(kind)
}
KINDS: dict[str, Callable[[], object]] = {
    **{name: _raising(kind("planted")) for name, kind in _BUILTIN.items()},
    "CancelledError": _raising(asyncio.CancelledError()),
    "CancelledClass": _raising(asyncio.CancelledError),
    "ExceptionGroup": _raising(BaseExceptionGroup("group", [SystemExit(1), ValueError("a")])),
    "UnicodeDecodeError": _raising(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "planted")),
    "Own": _raising(Own("own")),
    "NoText": _raising(NoText()),
    "ExitsForText": _raising(ExitsForText()),
    "NumberForText": _raising(NumberForText()),
    "NoTraceback": _raising(NoTraceback()),
    "HalfCharacter": _raising(ValueError("half \ud800 a character")),
    "Nul": _raising(ValueError("a\0b")),
    "NotXml": _raising(ValueError("a\uffffb")),
    "Large": _raising(ValueError("x" * 1_000_000)),
    "OutOfProc": _raising(ValueError("\n\n$OutOfProcData$:{")),
    "NoName": _raising(type("a\nb", (Exception,), {})("odd name")),
    "NotAnException": _raising("text"),
    "Exit": _exit,
    "CausedByItself": _caused_by_itself,
    "Noted": _noted,
    "Deep": _deep,
}


@app.function_name("Kinds")
@app.route(route="kinds", methods=["GET"])
def kinds(req: func.HttpRequest) -> str:
    return json.dumps(list(KINDS))


@app.function_name("Retried")
@app.route(route="retried", methods=["GET"])
def retried_(req: func.HttpRequest) -> str:
    return json.dumps(retried)


@app.function_name("Http")
@app.route(route="http/{kind}", methods=["GET"])
def http(req: func.HttpRequest) -> str:
    KINDS[req.route_params["kind"]]()
    return "not raised"


@app.function_name("HttpAsync")
@app.route(route="async/{kind}", methods=["GET"])
async def http_async(req: func.HttpRequest) -> str:
    await asyncio.sleep(0)
    KINDS[req.route_params["kind"]]()
    return "not raised"


@app.function_name("Act")
@app.activity_trigger(input_name="kind")
def act(kind: str) -> str:
    KINDS[kind]()
    return "not raised"


@app.function_name("ActAsync")
@app.activity_trigger(input_name="kind")
async def act_async(kind: str) -> str:
    await asyncio.sleep(0)
    KINDS[kind]()
    return "not raised"


@app.function_name("Calls")
@app.orchestration_trigger(context_name="context")
def calls(context: Any) -> Any:
    """Call an activity that raises; what it raised reaches us as an exception alone."""
    order = context.get_input()
    try:
        yield context.call_activity(order["activity"], order["kind"])
    except Exception as error:  # noqa: BLE001 - all that an orchestrator gets
        return f"caught {str(error)[:100]}"
    return "not raised"


@app.function_name("Orchestrator")
@app.orchestration_trigger(context_name="context")
def orchestrator(context: Any) -> Any:
    KINDS[context.get_input()["kind"]]()
    return "not raised"
    yield


@app.function_name("OrchestratorLater")
@app.orchestration_trigger(context_name="context")
def orchestrator_later(context: Any) -> Any:
    yield context.create_timer(context.current_utc_datetime)
    KINDS[context.get_input()["kind"]]()
    return "not raised"


@app.function_name("Timer")
@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
@app.retry(strategy="fixed_delay", max_retry_count=str(len(KINDS) - 1), delay_interval="00:00:00")
def timer(timer: func.TimerRequest) -> None:
    """Raise one kind after the other: each failure is retried at once."""
    kind = list(KINDS)[len(retried)]
    retried.append(kind)
    logging.getLogger("planted").info("raises %s", kind)
    KINDS[kind]()
