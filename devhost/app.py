"""The function app: its index of functions, and calls into its code.

A folder is a function app when it holds `function_app.py` with one function app of the v2 model
of Azure Functions for Python. host.json and local.settings.json are read where `func start` reads
them. A function with a trigger or binding that is not served here is left out, with a warning.
"""

import functools
import importlib
import inspect
import logging
import sys
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions.decorators.function_app import Function
from azure.functions.durable_functions import ActivityTriggerConverter
from azure.functions.meta import Datum

from devhost.settings import (
    AppError,
    HostSettings,
    is_disabled,
    load_host_settings,
    load_local_settings,
)
from devhost.worker import (
    Code,
    Worker,
    describe,
    invocation_id,
    thread_local_storage,
    threads_setting,
)
from devhost.worker_rules import NotOneApp, faults_of, takes_result, the_app_of

log = logging.getLogger("devhost.app")

_SERVED = {
    "httpTrigger",
    "timerTrigger",
    "orchestrationTrigger",
    "activityTrigger",
    "durableClient",
    "http",
}


@dataclass(frozen=True)
class RetryContext:
    """The retry that a timer function is in: numbers, and the text of the exception before."""

    retry_count: int
    max_retry_count: int
    exception: str | None = None


class _Context(func.Context):
    """What a function gets that declares a parameter named `context`."""

    def __init__(self, name: str, folder: Path, id_: str, retry: RetryContext | None) -> None:
        self._name, self._folder, self._id, self._retry = name, folder, id_, retry

    invocation_id = property(lambda self: self._id)
    function_name = property(lambda self: self._name)
    function_directory = property(lambda self: str(self._folder))
    thread_local_storage = property(lambda _self: thread_local_storage())
    trace_context = property(lambda _self: None)
    retry_context = property(lambda self: self._retry)


@dataclass(frozen=True)
class FunctionInfo:
    """One function of the index.

    Attributes:
        name: The function's name; that of an orchestrator or activity is the wire name.
        kind: The type of its trigger binding: `httpTrigger`, `timerTrigger`, ...
        trigger: The trigger as the SDK describes it, with `name` and its own attributes.
        call: The user's function, as the SDK wrapped it.
        client_names: Parameters that take the durable client binding.
        wants_context: Whether it takes the invocation context.
        takes_result: Whether it may return anything but None.
        retry: The settings of `@app.retry`, if it has some.
        not_served: The bindings for which it is left out; empty if it is served.
    """

    name: str
    kind: str
    trigger: Any
    call: Callable[..., Any]
    client_names: tuple[str, ...] = ()
    wants_context: bool = False
    takes_result: bool = True
    retry: dict[str, str] | None = None
    not_served: tuple[str, ...] = ()

    @property
    def why_not(self) -> str:
        """Why it is left out."""
        return (
            f"Function {self.name} uses {', '.join(self.not_served)}, which devhost does not serve."
        )


@dataclass
class App:
    """A loaded function app.

    Attributes:
        folder: Where it lies.
        functions: Its index, in the order of the app, without those that are disabled.
        settings: Those of host.json.
        client_binding: JSON text given to durable client parameters; the server sets it.
        worker: Runs the functions.
        orchestrators: The served ones by lower-case name.
        activities: The same.
        left_out: Why an orchestrator or activity is not served, by lower-case name.
    """

    folder: Path
    functions: list[FunctionInfo]
    settings: HostSettings = field(default_factory=HostSettings)
    client_binding: str = ""
    worker: Worker = field(init=False)
    orchestrators: Code = field(init=False)
    activities: Code = field(init=False)
    left_out: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.worker = Worker(threads_setting(), self.settings.function_timeout)
        self.orchestrators = _by_name(
            (getattr(f.trigger, "orchestration", None) or f.name, f.call)
            for f in self.of_kind("orchestrationTrigger")
        )
        self.activities = _by_name(
            (getattr(f.trigger, "activity", None) or f.name, self._activity(f))
            for f in self.of_kind("activityTrigger")
        )
        self.left_out = {f.name.lower(): f.why_not for f in self.functions if f.not_served}

    def of_kind(self, kind: str) -> list[FunctionInfo]:
        """The served functions with that type of trigger."""
        return [f for f in self.functions if f.kind == kind and not f.not_served]

    def call(self, name: str, code: Callable[..., Any], text: str) -> Future[str]:
        """Run an orchestrator or an activity; see `worker.Functions`."""
        return self.worker.call(name, code, text)

    def invoke(
        self, function: FunctionInfo, value: object, retry: RetryContext | None = None
    ) -> Future[Any]:
        """Call a function with its trigger's value; see `Worker.call`."""
        id_ = str(uuid.uuid4())
        arguments = self._arguments(function, value, id_, retry)
        return self.worker.call(function.name, function.call, id_=id_, **arguments)

    def _activity(self, function: FunctionInfo) -> Callable[[str], Any]:
        """An activity as JSON text in, JSON text out; async if the function is."""

        def given(text: str) -> dict[str, object]:
            value = ActivityTriggerConverter.decode(Datum(text, "json"), trigger_metadata=None)
            return self._arguments(function, value, invocation_id() or "")

        def told(result: object) -> str:
            return str(ActivityTriggerConverter.encode(result, expected_type=None).value)

        def run(text: str) -> str:
            return told(function.call(**given(text)))

        async def run_on_loop(text: str) -> str:
            return told(await function.call(**given(text)))

        return run_on_loop if inspect.iscoroutinefunction(function.call) else run

    def _arguments(
        self, function: FunctionInfo, value: object, id_: str, retry: RetryContext | None = None
    ) -> dict[str, object]:
        arguments = {function.trigger.name: value}
        arguments |= dict.fromkeys(function.client_names, self.client_binding)
        if function.wants_context:
            arguments["context"] = _Context(function.name, self.folder, id_, retry)
        return arguments


def _by_name(functions: Iterable[tuple[str, Callable[[str], Any]]]) -> Code:
    found: dict[str, Callable[[str], Any]] = {}
    for name, call in functions:
        if name.lower() in found:
            raise AppError(f"There is a second function {name!r}; case does not tell names apart")
        found[name.lower()] = call
    return found


def load(folder: Path) -> App:
    """Read the settings of the app in `folder`, import it, and index its functions.

    Raises:
        AppError: Settings or index are wrong. What the app's import raises, goes through.
    """
    _cache_parsed_dates()
    folder = folder.resolve()
    if not (folder / "function_app.py").is_file():
        raise AppError(f"{folder} holds no function_app.py")
    load_local_settings(folder)
    settings = load_host_settings(folder)
    sys.path.insert(0, str(folder))
    module = importlib.import_module("function_app")
    try:
        registered = the_app_of(module).get_functions()
    except NotOneApp as error:
        raise AppError(f"{folder / 'function_app.py'}: {error}") from error
    except ValueError as error:
        raise AppError(str(error)) from error
    functions = [_info(f) for f in registered if not is_disabled(str(f.get_function_name()))]
    for function in functions:
        if function.not_served:
            log.warning("%s It is left out.", function.why_not)
        elif function.retry and function.kind != "timerTrigger":
            log.warning(
                "Function %s has a retry policy, which is for timers alone here: it is ignored. "
                "Retries of activities are the orchestrator's: call_activity_with_retry.",
                function.name,
            )
    return App(folder, functions, settings)


def _cache_parsed_dates() -> None:
    """Parse each timestamp of a history once, not at every replay: half of a turn went there."""
    module: Any = importlib.import_module("azure.durable_functions.models.history.HistoryEvent")
    if not hasattr(module.dt_parse, "cache_info"):
        module.dt_parse = functools.lru_cache(10_000)(module.dt_parse)


def _info(function: Function) -> FunctionInfo:
    # The SDK's own hints allow None for what every indexed function has.
    name, bindings = str(function.get_function_name()), function.get_bindings()
    try:
        faults = faults_of(function)
    except Exception as error:  # noqa: BLE001 - looks at annotations, which are the app's code
        faults = [describe(error)]
    kinds = {str(b.name): str(b.type) for b in bindings}
    not_served = tuple(sorted(set(kinds.values()) - _SERVED))
    if faults and not_served:
        # Extensions, as those for the SDK's own types, change what the worker takes there.
        log.warning("The worker may refuse the %s function: %s", name, faults[0])
    elif faults:
        raise AppError(f"cannot load the {name} function: {' '.join(faults[0].split())}")
    trigger, call = function.get_trigger(), function.get_user_function()
    wants_context = "context" in inspect.signature(call).parameters and "context" not in kinds
    settings = getattr(function, "get_settings_dict", lambda _name: None)
    return FunctionInfo(
        name=name,
        kind=kinds[str(getattr(trigger, "name", ""))],
        trigger=trigger,
        call=call,
        client_names=tuple(n for n, kind in kinds.items() if kind == "durableClient"),
        wants_context=wants_context,
        takes_result=takes_result(function),
        retry=settings("retry_policy"),
        not_served=not_served,
    )
