"""What the Functions Python worker asks of an app before it loads it.

1. It imports function_app, which must hold exactly one app object.
2. It asks the app for its functions. An app answers that once.
3. It compares the parameters of each function with its bindings: names, directions, classes.

A function that breaks a rule is no warning: the host then lists no function at all. The rules are
those of the worker's loader.py and functions.py (Azure/azure-functions-python-worker); where it
also allows `typing.List[...]`, only classes pass here.

As a program, with the folder of an app as its argument, it prints what it found as JSON: a fresh
process imports what the folder holds, and nothing else of this repository.
"""

import importlib
import inspect
import json
import re
import sys
import typing
from collections import Counter
from types import ModuleType, NoneType
from typing import Any

import azure.functions as func
from azure.functions.decorators.core import Binding, BindingDirection
from azure.functions.decorators.function_app import Function

# The host's own rule for names (Utility.cs of azure-functions-host).
_NAME = re.compile(r"(?!host$)[a-z][a-z0-9_-]{0,127}", re.IGNORECASE)
_CONVERTERS: Any = func.get_binding_registry()  # type: ignore[no-untyped-call]
_OUT, _BOTH = BindingDirection.OUT.value, BindingDirection.INOUT.value


def the_app_of(module: ModuleType) -> func.FunctionRegister:
    """The one app object of a module; blueprints don't count."""
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
    if len(apps) != 1:
        raise SystemExit(f"{module.__name__} holds {len(apps)} app objects, not one")
    return apps[0]


def faults_of(function: Function) -> list[str]:
    """Why the worker would not load this function; empty if it would."""
    code = function.get_user_function()
    hints = typing.get_type_hints(code)
    parameters = dict(inspect.signature(code).parameters)
    bindings = {binding.name: binding for binding in function.get_bindings()}
    result = bindings.pop("$return", None)
    faults = _shape_faults(function)
    if "context" in parameters and "context" not in bindings:
        del parameters["context"]
        if hints.get("context", func.Context) is not func.Context:
            faults.append("context: must be an azure.functions.Context")
    faults += [f"{name}: a parameter, but no binding" for name in parameters.keys() - bindings]
    faults += [f"{name}: a binding, but no parameter" for name in bindings.keys() - parameters]
    for name in parameters.keys() & bindings.keys() & hints.keys():
        faults += _parameter_faults(bindings[name], hints[name])
    return faults + _return_faults(hints, result, bindings.values())


def _shape_faults(function: Function) -> list[str]:
    faults = []
    if not _NAME.fullmatch(function.get_function_name() or ""):
        faults.append("the host takes no such name")
    count = Counter(binding.name for binding in function.get_bindings())
    faults += [f"{name}: bound twice" for name in count if count[name] > 1]
    if sum("Trigger" in str(binding.type) for binding in function.get_bindings()) != 1:
        faults.append("must have one trigger")
    for binding in function.get_bindings():
        if binding.direction == _BOTH:
            faults.append(f"{binding.name}: goes both ways")
    return faults


def _parameter_faults(binding: Binding, hint: Any) -> list[str]:
    is_out = typing.get_origin(hint) is func.Out
    wanted = typing.get_args(hint)[0] if is_out else hint
    if not isinstance(wanted, type):
        return [f"{binding.name}: {hint} is no class"]
    if is_out != (binding.direction == _OUT):
        return [f"{binding.name}: Out does not agree with the direction of the binding"]
    if wanted in (str, bytes) and not _has_implicit_output(binding):
        return []  # the worker hands over the text that it got
    converter = _CONVERTERS.get(binding.type)
    if converter is None:
        return [f"{binding.name}: no converter for {binding.type}"]
    check = (
        converter.check_output_type_annotation if is_out else converter.check_input_type_annotation
    )
    return [] if check(wanted) else [f"{binding.name}: {binding.type} can't be {wanted.__name__}"]


def _return_faults(
    hints: dict[str, Any], result: Binding | None, others: typing.Iterable[Binding]
) -> list[str]:
    if "return" not in hints:
        return []
    hint = hints["return"]
    if result is None:
        # The worker finds this out only when the function returns something.
        takes_it = any(map(_has_implicit_output, others))
        return [] if takes_it or hint is NoneType else ["return: nothing takes the value"]
    if result.direction != _OUT:
        return ["return: must be bound outwards"]
    if not isinstance(hint, type):
        return [f"return: {hint} is no class"]
    if not _CONVERTERS.get(result.type).check_output_type_annotation(hint):
        return [f"return: {result.type} can't be {hint.__name__}"]
    return []


def _has_implicit_output(binding: Binding) -> bool:
    """Whether the binding takes what the function returns, as those of Durable Functions do."""
    converter = _CONVERTERS.get(binding.type)
    return bool(getattr(converter, "has_implicit_output", bool)())


def main(folder: str) -> None:
    sys.path.insert(0, folder)
    app = the_app_of(importlib.import_module("function_app"))
    found = {
        "functions": [
            {
                "name": function.get_function_name(),
                "bindings": [json.loads(text) for text in function.get_raw_bindings()],
                "faults": faults_of(function),
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
