"""The rules by which the Functions Python worker loads an app, or refuses it.

1. The module function_app holds exactly one function app, under any name.
2. The app is asked for its functions. It answers that once.
3. The parameters of each function fit its bindings: names, directions, classes.

A function that breaks a rule is no warning: the host then lists no function at all. Rules and
reasons are those of the worker's loader.py and functions.py (Azure/azure-functions-python-worker).

As a program, with the folder of an app as its argument, it prints the index as JSON: a fresh
process imports what the folder holds, and nothing else of this repository.
"""

import importlib
import inspect
import json
import re
import sys
import typing
from collections import Counter
from collections.abc import Callable
from types import ModuleType, NoneType
from typing import Any

import azure.functions as func
from azure.functions.decorators.core import Binding, BindingDirection
from azure.functions.decorators.function_app import Function

# The host's own rule for names (Utility.cs of azure-functions-host).
_NAME = re.compile(r"(?!host$)[a-z][a-z0-9_-]{0,127}", re.IGNORECASE)
_CONVERTERS: Any = func.get_binding_registry()  # type: ignore[no-untyped-call]
_OUT, _BOTH = BindingDirection.OUT.value, BindingDirection.INOUT.value


class NotOneApp(ValueError):
    """The module holds no function app, or several."""


def the_app_of(module: ModuleType) -> func.FunctionRegister:
    """The one function app of a module; blueprints don't count.

    Raises:
        NotOneApp: There is none, or a second one, be it a second name of the same.
    """
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
    if len(apps) > 1:
        raise NotOneApp(
            f"More than one {type(apps[0]).__name__} or other top level function app instances "
            "are defined."
        )
    if not apps:
        name = f"{module.__name__}.py"
        raise NotOneApp(f"Could not find top level function app instances in {name}.")
    return apps[0]


def faults_of(function: Function) -> list[str]:
    """Why the worker does not load this function; empty if it does."""
    code = function.get_user_function()
    try:
        hints = typing.get_type_hints(code)
    except Exception as error:  # noqa: BLE001 - an annotation is the app's code
        return [f"{type(error).__name__}: {error}"]
    parameters = dict(inspect.signature(code).parameters)
    bindings = {str(binding.name): binding for binding in function.get_bindings()}
    result = bindings.pop("$return", None)
    faults = _shape_faults(function)
    if "context" in parameters and "context" not in bindings:
        del parameters["context"]
        hint = hints.get("context", func.Context)
        if not isinstance(hint, type) or hint.__name__ != "Context":
            faults.append(
                'the "context" parameter is expected to be of type azure.functions.Context, '
                f"got {hint!r}"
            )
    declared = "the following parameters are declared in"
    if more := parameters.keys() - bindings:
        faults.append(f"{declared} Python but not in function.json: {more!r}")
    if more := bindings.keys() - parameters:
        faults.append(f"{declared} function.json but not in Python: {more!r}")
    for name in parameters.keys() & bindings.keys() & hints.keys():
        faults += _parameter_faults(bindings[name], hints[name])
    return faults + _return_faults(hints, result)


def late_faults_of(function: Function) -> list[str]:
    """What the worker finds out only when the function returns something."""
    hint = typing.get_type_hints(function.get_user_function()).get("return", NoneType)
    return [] if hint is NoneType or takes_result(function) else ["nothing takes what it returns"]


def takes_result(function: Function) -> bool:
    """Whether the function may return anything but None."""
    return any(b.name == "$return" or _has_implicit_output(b) for b in function.get_bindings())


def _shape_faults(function: Function) -> list[str]:
    faults = []
    if not _NAME.fullmatch(function.get_function_name() or ""):
        faults.append("the host takes no such name")
    count = Counter(binding.name for binding in function.get_bindings())
    faults += [f"{name}: bound twice" for name in count if count[name] > 1]
    if sum("trigger" in str(binding.type).lower() for binding in function.get_bindings()) != 1:
        faults.append("must have one trigger")
    if any(binding.direction == _BOTH for binding in function.get_bindings()):
        faults.append('"inout" bindings are not supported')
    return faults


def _parameter_faults(binding: Binding, hint: Any) -> list[str]:
    name, is_out = binding.name, _is_out(hint)
    wanted = typing.get_args(hint)[0] if typing.get_origin(hint) is func.Out else hint
    if not isinstance(wanted, type) and not _is_generic(wanted):
        return [f"binding {name} has invalid non-type annotation {hint!r}"]
    if binding.direction == _OUT and not is_out:
        return [
            (
                f'binding {name} is declared to have the "out" direction, but its annotation in '
                "Python is not a subclass of azure.functions.Out"
            )
        ]
    if binding.direction != _OUT and is_out:
        return [
            (
                f'binding {name} is declared to have the "in" direction in function.json, but its '
                "annotation is azure.functions.Out in Python"
            )
        ]
    generic = wanted in (str, bytes) and not _has_implicit_output(binding)
    if _fits(None if generic else binding.type, wanted, is_out=is_out):
        return []
    shown = getattr(wanted, "__name__", repr(wanted))
    return [
        (
            f'type of {name} binding in function.json "{binding.type}" does not match its Python '
            f'annotation "{shown}"'
        )
    ]


def _return_faults(hints: dict[str, Any], result: Binding | None) -> list[str]:
    if result is None:
        return []
    if result.direction != _OUT:
        return ['"$return" binding must have direction set to "out"']
    if "return" not in hints:
        return []
    hint = hints["return"]
    if _is_out(hint):
        return ["return annotation should not be azure.functions.Out"]
    if not isinstance(hint, type):
        return [f"has invalid non-type return annotation {hint!r}"]
    if not _fits(result.type, hint, is_out=True):
        return [
            (
                f'Python return annotation "{hint.__name__}" does not match binding type '
                f'"{result.type}"'
            )
        ]
    return []


def _is_out(hint: Any) -> bool:
    return func.Out in (hint, typing.get_origin(hint))


def _is_generic(hint: Any) -> bool:
    """Whether it is of `typing`, as `typing.List[int]` is; `list[int]` and a union are not."""
    kind = type(hint).__name__
    is_alias = kind in ("_GenericAlias", "_SpecialGenericAlias")
    return is_alias and typing.get_origin(hint) not in (tuple, typing.ClassVar, Callable)


def _fits(type_: str | None, wanted: Any, *, is_out: bool) -> bool:
    """Whether the converter of a binding takes the class; text and bytes are for the rest."""
    converter = _CONVERTERS.get(type_) if type_ else None
    try:
        if converter is None:
            return issubclass(wanted, (str, bytes, bytearray) if is_out else (str, bytes))
        if is_out:
            return bool(converter.check_output_type_annotation(wanted))
        return bool(converter.check_input_type_annotation(wanted))
    except TypeError:  # no class
        return False


def _has_implicit_output(binding: Binding) -> bool:
    """Whether the binding takes what the function returns, as those of Durable Functions do."""
    converter = _CONVERTERS.get(binding.type)
    if converter is None:
        return binding.type != "durableClient"
    return bool(getattr(converter, "has_implicit_output", bool)())


def main(folder: str) -> None:
    """Print the index of the app in a folder, with the faults of each function, as JSON."""
    sys.path.insert(0, folder)
    app = the_app_of(importlib.import_module("function_app"))
    found = {
        "functions": [
            {
                "name": function.get_function_name(),
                "bindings": [json.loads(text) for text in function.get_raw_bindings()],
                "faults": faults_of(function) + late_faults_of(function),
            }
            for function in app.get_functions()
        ],
        "modules": {
            name: file
            for name, module in sys.modules.items()
            if name != "__main__" and (file := getattr(module, "__file__", None))
        },
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
