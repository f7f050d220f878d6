"""A source's or channel's own table, laid over the preset that it names.

1. Key by key its own value wins. Only an [auth] of another kind replaces the preset's whole.
2. Parameters fill the rest of the preset. So one that is only in a part which the source has
   replaced need not be given.

In a URL a parameter is percent-encoded, unless it is the origin or a part of that.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from domain.sources.preset import PARAMETER, Preset, parameters_in
from domain.sources.tree import Path, last_key, map_texts, value_at

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
        given = self._given if isinstance(self._given, dict) else {}
        self._merger = _Merger(
            {
                name: each.default
                for name, each in preset.parameters.items()
                if each.default is not None
            }
            | {name: str(value) for name, value in given.items()}
        )
        table = self._merger.merged(preset.table, self._own, "")
        self.table: dict[str, Any] = {"description": preset.description, **table}

    def parameter_faults(self) -> Iterator[tuple[Path, str]]:
        """The faults of the parameters, by their path in the source's table."""
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
        for name in sorted(self._merger.missing):
            doc = preset.parameters[name].doc
            yield ("parameters", name), f"is missing: {doc} ({preset.file})"

    def place(self, path: Path) -> Place:
        """The origin of the value that a path leads to; a value in neither is missing in both."""
        theirs, depth = value_at(self.preset.table, path)
        if value_at(self._own, path)[1] >= depth:
            return Place()
        parameters = parameters_in(theirs)
        return Place(
            of_preset=True,
            parameters=tuple(sorted(parameters)),
            complete=not parameters & self._merger.missing,
        )


class _Merger:
    """Puts a table on top of a preset's, and parameters into the rest of that."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters
        self.missing: set[str] = set()

    def merged(self, theirs: Any, own: Any, key: str) -> Any:
        """Both as one; `key` is that under which they stand."""
        if not isinstance(theirs, dict) or not isinstance(own, dict):
            return own
        if key == "auth" and own.get("kind", theirs.get("kind")) != theirs.get("kind"):
            return own
        both = {
            name: map_texts(value, self._filled, (name,))
            for name, value in theirs.items()
            if name not in own
        }
        for name, value in own.items():
            both[name] = self.merged(theirs[name], value, name) if name in theirs else value
        return both

    def _filled(self, text: str, path: Path) -> str:
        into = self._into_url if last_key(path) == "url" else self._into_text
        return PARAMETER.sub(into, text)

    def _into_text(self, found: re.Match[str]) -> str:
        if found[1] not in self._parameters:
            self.missing.add(found[1])
        return self._parameters.get(found[1], found[0])

    def _into_url(self, found: re.Match[str]) -> str:
        value = self._into_text(found)
        if _BEFORE_OR_IN_ORIGIN.fullmatch(found.string[: found.start()]):
            return value.rstrip("/")
        return quote(value, safe="")
