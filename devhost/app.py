"""The function app: its settings, its index of functions, and calls into its code.

A folder is a function app when it holds `function_app.py` with `app`, as the v2 model of
Azure Functions for Python has it. `host.json` and `local.settings.json` are read where
`func start` reads them; a setting that the environment has already wins.
"""

import asyncio
import functools
import importlib
import inspect
import json
import os
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import azure.functions as func
from azure.functions.decorators.function_app import Function
from azure.functions.durable_functions import ActivityTriggerConverter
from azure.functions.meta import Datum

from devhost.engine import Code

T = TypeVar("T")

_NO_SETTINGS: dict[str, Any] = {}
_DEFAULT_HUB = "TestHubName"
_SERVED = {
    "httpTrigger",
    "timerTrigger",
    "orchestrationTrigger",
    "activityTrigger",
    "durableClient",
    "http",
}


class AppError(Exception):
    """The folder does not hold an app that this host can run."""


class _Context(func.Context):
    """What a function gets that declares a parameter named `context`."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._id = str(uuid.uuid4())

    invocation_id = property(lambda self: self._id)
    function_name = property(lambda self: self._name)
    function_directory = property(lambda self: str(self._folder))
    thread_local_storage = property(lambda _self: threading.local())
    trace_context = property(lambda _self: None)
    retry_context = property(lambda _self: None)


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
    """

    name: str
    kind: str
    trigger: Any
    call: Callable[..., Any]
    client_names: tuple[str, ...] = ()
    wants_context: bool = False


@dataclass
class App:
    """A loaded function app.

    Attributes:
        folder: Where it lies.
        functions: Its index, in the order of the app.
        hub: The name of the task hub.
        route_prefix: The first part of HTTP routes, `api` by default; may be empty.
        default_version: Stamped on new instances.
        activity_threads: How many activities run at once.
        client_binding: JSON text given to durable client parameters; the server sets it.
        loop: Runs async functions; the server sets it.
    """

    folder: Path
    functions: list[FunctionInfo]
    hub: str = _DEFAULT_HUB
    route_prefix: str = "api"
    default_version: str = ""
    activity_threads: int = 10
    client_binding: str = ""
    loop: asyncio.AbstractEventLoop | None = None
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(thread_name_prefix="function"), init=False
    )
    _running: set[Future[Any]] = field(default_factory=set, init=False)
    orchestrators: Code = field(init=False)
    activities: Code = field(init=False)

    def __post_init__(self) -> None:
        self.orchestrators = _by_name(
            (f.trigger.orchestration or f.name, f.call)
            for f in self.of_kind("orchestrationTrigger")
        )
        self.activities = _by_name(
            (f.trigger.activity or f.name, self._activity(f))
            for f in self.of_kind("activityTrigger")
        )

    def of_kind(self, kind: str) -> list[FunctionInfo]:
        """The functions with that type of trigger."""
        return [f for f in self.functions if f.kind == kind]

    async def invoke(self, function: FunctionInfo, value: object) -> Any:
        """Call a function with its trigger's value: async code on the loop, other in a thread."""
        arguments = self._arguments(function, value)
        if inspect.iscoroutinefunction(function.call):
            return await function.call(**arguments)
        running = self._threads.submit(function.call, **arguments)
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(running)

    @property
    def idle(self) -> bool:
        """Whether no thread is at work on a function that `invoke` called."""
        return not self._running

    def _arguments(self, function: FunctionInfo, value: object) -> dict[str, object]:
        arguments = {function.trigger.name: value}
        arguments |= dict.fromkeys(function.client_names, self.client_binding)
        if function.wants_context:
            arguments["context"] = _Context(function.name, self.folder)
        return arguments

    def _activity(self, function: FunctionInfo) -> Callable[[str], str]:
        """An activity as JSON text in, JSON text out, to be called on a thread of its own."""

        def run(input_text: str) -> str:
            value = ActivityTriggerConverter.decode(
                Datum(input_text, "json"), trigger_metadata=None
            )
            arguments = self._arguments(function, value)
            result = function.call(**arguments)
            if inspect.isawaitable(result):
                result = self._await(result)
            return str(ActivityTriggerConverter.encode(result, expected_type=None).value)

        return run

    def _await(self, awaitable: Awaitable[object]) -> object:
        async def wrapped() -> object:
            return await awaitable

        if self.loop is None:
            return asyncio.run(wrapped())
        return asyncio.run_coroutine_threadsafe(wrapped(), self.loop).result()


def _by_name(functions: Iterable[tuple[str, Callable[[str], str]]]) -> Code:
    found: dict[str, Callable[[str], str]] = {}
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
    host = _read_json(folder / "host.json")
    extensions = _setting(host, "extensions", _NO_SETTINGS)
    durable = _setting(extensions, "durableTask", _NO_SETTINGS)
    http = _setting(extensions, "http", _NO_SETTINGS)
    local = _read_json(folder / "local.settings.json")
    for name, value in _setting(local, "Values", _NO_SETTINGS, "local.settings.json").items():
        os.environ.setdefault(name, str(value))
    sys.path.insert(0, str(folder))
    module: Any = importlib.import_module("function_app")
    registered = getattr(module, "app", None)
    if registered is None:
        raise AppError(f"{folder / 'function_app.py'} defines no `app`")
    try:
        functions = [_describe(f) for f in registered.get_functions()]
    except ValueError as error:
        raise AppError(str(error)) from error
    return App(
        folder=folder,
        functions=functions,
        hub=_setting(durable, "hubName", _DEFAULT_HUB),
        route_prefix=_setting(http, "routePrefix", "api").strip("/"),
        default_version=_setting(durable, "defaultVersion", ""),
        activity_threads=_setting(durable, "maxConcurrentActivityFunctions", 10),
    )


def _cache_parsed_dates() -> None:
    """Parse each timestamp of a history once, not at every replay: half of a turn went there."""
    module: Any = importlib.import_module("azure.durable_functions.models.history.HistoryEvent")
    if not hasattr(module.dt_parse, "cache_info"):
        module.dt_parse = functools.lru_cache(10_000)(module.dt_parse)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise AppError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise AppError(f"{path} does not hold a JSON object")
    return content


def _setting(parent: dict[str, Any], name: str, default: T, file: str = "host.json") -> T:
    """A setting of the type of its default; a number is 1 or more."""
    value = parent.get(name, default)
    if type(value) is not type(default) or value == 0:
        raise AppError(f"{name} in {file} can't be {json.dumps(value)}")
    return value


def _describe(function: Function) -> FunctionInfo:
    # The SDK's own hints allow None for what every indexed function has.
    name, bindings = str(function.get_function_name()), function.get_bindings()
    kinds = {str(b.name): str(b.type) for b in bindings}
    unknown = sorted(set(kinds.values()) - _SERVED)
    if unknown:
        raise AppError(f"Function {name} uses {', '.join(unknown)}, which devhost does not serve")
    trigger, call = function.get_trigger(), function.get_user_function()
    wants_context = "context" in inspect.signature(call).parameters and "context" not in kinds
    return FunctionInfo(
        name=name,
        kind=kinds[str(getattr(trigger, "name", ""))],
        trigger=trigger,
        call=call,
        client_names=tuple(n for n, kind in kinds.items() if kind == "durableClient"),
        wants_context=wants_context,
    )
