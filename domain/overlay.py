"""A source's own table, laid over the preset that it names.

1. Key by key its own value wins. Only an [auth] of another kind replaces the preset's whole.
2. Parameters fill what is left of the preset. So one that is only in a part which the source has
   replaced need not be given.

In a URL a parameter is percent-encoded, unless it is the origin or a part of that.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from domain.fault_list import Path
from domain.preset import PARAMETER, Preset, parameters_in

_BEFORE_OR_IN_ORIGIN = re.compile(r"([A-Za-z]+://)?[^/?#]*")


@dataclass(frozen=True)
class Place:
    """Where a value of a laid table is from.

    Attributes:
        of_preset: Whether it is in the preset's file; else in that of the sources.
        parameters: The parameters that are in it.
        complete: Whether all of those are given.
    """

    of_preset: bool = False
    parameters: tuple[str, ...] = ()
    complete: bool = True


class Overlay:
    """The table of a source that names a preset.

    Attributes:
        preset: The preset.
        table: What comes of both, to be read like any source's table.
    """

    def __init__(self, preset: Preset, own: Mapping[str, Any]) -> None:
        self.preset = preset
        self._own = {
            key: value for key, value in own.items() if key not in {"preset", "parameters"}
        }
        self._given = own.get("parameters", {})
        known = {
            name: parameter.default
            for name, parameter in preset.parameters.items()
            if parameter.default is not None
        }
        if isinstance(self._given, dict):
            known |= {name: str(value) for name, value in self._given.items()}
        table = _merged(preset.source, self._own, known, "")
        self.table: dict[str, Any] = {"description": preset.description, **table}

    def parameter_faults(self) -> Iterator[tuple[Path, str]]:
        """What is wrong with the parameters, by their path in the source's table."""
        preset = self.preset
        if not isinstance(self._given, dict):
            yield ("parameters",), "must be a table"
            return
        for name, value in self._given.items():
            if name not in preset.parameters:
                known = ", ".join(preset.parameters) or "none"
                yield ("parameters", name), f"is no parameter of {preset.file}; it has: {known}"
            elif isinstance(value, bool) or not isinstance(value, str | int) or value == "":
                yield ("parameters", name), "must be a text or a whole number"
        for name in sorted(self._missing_in(self.table)):
            doc = preset.parameters[name].doc
            yield ("parameters", name), f"is missing: {doc} ({preset.file})"

    def place(self, path: Path) -> Place:
        """Where the value that a path leads to is from; what is in neither is missing in both."""
        theirs, depth = value_at(self.preset.source, path)
        if value_at(self._own, path)[1] >= depth:
            return Place()
        return Place(
            of_preset=True,
            parameters=tuple(sorted(parameters_in(theirs))),
            complete=not self._missing_in(value_at(self.table, path)[0]),
        )

    def _missing_in(self, value: object) -> set[str]:
        return parameters_in(value) & {*self.preset.parameters} - {*self._given}


def value_at(value: Any, path: Path) -> tuple[Any, int]:
    """What the path leads to, None if nothing; and how many of its steps there are."""
    for depth, step in enumerate(path):
        keys: Any = value if isinstance(value, dict) else ()
        if isinstance(value, list):
            keys = range(len(value))
        if step not in keys:
            return None, depth
        value = value[step]
    return value, len(path)


def _merged(theirs: Any, own: Any, parameters: Mapping[str, str], key: str) -> Any:
    if not isinstance(theirs, dict) or not isinstance(own, dict):
        return own
    if key == "auth" and own.get("kind", theirs.get("kind")) != theirs.get("kind"):
        return own
    merged = {name: _with(parameters, theirs[name], name) for name in theirs if name not in own}
    for name, value in own.items():
        merged[name] = _merged(theirs[name], value, parameters, name) if name in theirs else value
    return merged


def _with(parameters: Mapping[str, str], value: Any, key: str) -> Any:
    """The preset's value with parameters in it; `key` is that of the value."""
    match value:
        case dict():
            return {name: _with(parameters, inner, name) for name, inner in value.items()}
        case list():
            return [_with(parameters, inner, key) for inner in value]
        case str() if key == "url":
            return PARAMETER.sub(lambda found: _in_url(found, parameters), value)
        case str():
            return PARAMETER.sub(lambda found: parameters.get(found[1], found[0]), value)
        case _:
            return value


def _in_url(found: re.Match[str], parameters: Mapping[str, str]) -> str:
    value = parameters.get(found[1])
    if value is None:
        return found[0]
    if _BEFORE_OR_IN_ORIGIN.fullmatch(found.string[: found.start()]):
        return value.rstrip("/")
    return quote(value, safe="")
