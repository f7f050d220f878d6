"""The file of the sources, checked whole before anything uses it.

1. The text is parsed as TOML, and `${NAME}` in a string becomes the app setting NAME.
2. Each [sources.NAME] table becomes a `Source`; the faults of one hide none of another.
3. All faults are raised at once. No fault repeats a URL or a credential.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from domain.errors import ConfigurationFault, Fault, InvalidInput
from domain.source import Source

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SETTING = re.compile(r"\$\{([^{}]*)\}")

_Path = tuple[str | int, ...]
_WORDS = {  # pydantic's own words where they would puzzle, or repeat a value
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "tuple_type": "must be a list",
    "too_short": "must list at least one status",
    "union_tag_invalid": "must be none, bearer, header or basic",
    "union_tag_not_found": "is missing; it is none, bearer, header or basic",
}


@dataclass(frozen=True)
class Sources:
    """All configured sources by name, and the name of the one that serves when none is named."""

    by_name: Mapping[str, Source]
    default: str | None

    def get(self, name: str | None) -> Source:
        """The named source, else the default; raises InvalidInput that tells the known names."""
        known = ", ".join(self.by_name)
        name = name or self.default
        if name is None:
            raise InvalidInput([Fault("source", f"is missing; it is one of: {known}")])
        if name not in self.by_name:
            raise InvalidInput([Fault("source", f"is not configured; it is one of: {known}")])
        return self.by_name[name]


def load_sources(text: str, settings: Mapping[str, str], file: str = "job_sources.toml") -> Sources:
    """The sources in a TOML text; raises ConfigurationFault with every fault of the file."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationFault([Fault(file, f"is no TOML: {error}")]) from None
    faults = _FaultList(file)
    document = {key: _filled(value, (key,), settings, faults) for key, value in raw.items()}
    tables = document.pop("sources", None)
    if not isinstance(tables, dict) or not tables:
        faults.add(("sources",), "must hold at least one table [sources.NAME]")
        tables = {}
    default = document.pop("default", None)
    if default is not None and default not in [*tables]:
        faults.add(("default",), "must be the name of a source in this file")
    for key in document:
        faults.add((key,), "is not known")
    by_name = {name: _source(name, table, faults) for name, table in tables.items()}
    if faults.by_place:
        raise ConfigurationFault([Fault(*each) for each in faults.by_place.items()])
    return Sources(
        {name: source for name, source in by_name.items() if source},
        default or (next(iter(by_name)) if len(by_name) == 1 else None),
    )


def _filled(value: Any, path: _Path, settings: Mapping[str, str], faults: "_FaultList") -> Any:
    """The value with settings in the place of each `${NAME}`, at any depth."""
    match value:
        case dict():
            return {k: _filled(v, (*path, k), settings, faults) for k, v in value.items()}
        case list():
            return [_filled(v, (*path, i), settings, faults) for i, v in enumerate(value)]
        case str():
            missing = [name for name in _SETTING.findall(value) if name not in settings]
            for name in missing:
                faults.add(path, f"needs the app setting {name}, which is not set")
            # A setting's value is taken as it is: what looks like a ${NAME} in it stays.
            return value if missing else _SETTING.sub(lambda m: settings[m[1]], value)
        case _:
            return value


def _source(name: str, table: Any, faults: "_FaultList") -> Source | None:
    path = ("sources", name)
    if not _NAME.fullmatch(name):
        faults.add(path, "must be a name of 1 to 32 of a-z, 0-9 and -, a letter first")
    if not isinstance(table, dict):
        faults.add(path, "must be a table")
        return None
    if "name" in table:
        faults.add((*path, "name"), "is not known")
    try:
        return Source.model_validate(
            {**table, "name": name}, context={"allow_http": table.get("allow_http")}
        )
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            kind, loc, what = each["type"], each["loc"], each["msg"]
            if loc[0] == "auth":  # pydantic adds the kind to the path
                loc = ("auth", "kind") if kind.startswith("union_tag") else ("auth", *loc[2:])
            what = what.removeprefix("Value error, ").replace("Input should", "must")
            faults.add((*path, *loc), _WORDS.get(kind, what))
        return None


class _FaultList:
    """What is wrong, by place; of several faults in one place the first is the telling one."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.by_place: dict[str, str] = {}

    def add(self, path: _Path, what: str) -> None:
        """Note a fault; the path ("sources", "demo", "status", "url") leads to its place."""
        last = max(i for i, part in enumerate(path) if isinstance(part, str))
        table = ".".join(str(part) for part in path[:last])
        key = str(path[last]) + "".join(f"[{number}]" for number in path[last + 1 :])
        place = f"{self._file} [{table}] {key}" if table else f"{self._file} {key}"
        self.by_place.setdefault(place, what)
