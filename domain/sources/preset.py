"""Presets: sources whose systems are known, kept as data in presets/NAME.toml.

A preset has a `[source]` table like one of job_sources.toml. In it, `{{NAME}}` stands for a
parameter. `[parameters]` describes each parameter, and has its default if there is one.
`domain.sources.overlay` lays a source's own table over that of its preset. The presets of channels
are alike: they are in presets/channels/NAME.toml, and have a `[channel]` table.
"""

import re
import tomllib
from typing import Annotated, Any

from pydantic import Field, ValidationError

from domain.sources.auth import Table
from domain.sources.faults import FaultList, faults_in
from domain.sources.tree import Path, leaves

CHANNELS = "channels/"
"""The beginning of the name of a channel's preset."""

PARAMETER = re.compile(r"\{\{([^{}]*)\}\}")


class Parameter(Table):
    """A value that a preset needs to be told; without a default it must be given."""

    doc: Annotated[str, Field(min_length=1)]
    default: str | None = None


class Preset(Table):
    """A described system.

    Attributes:
        name: As sources name it; `channels/NAME` for one of a channel.
        description: A word for people on the sources that use it.
        documentation: The pages of the system's own documentation that it was taken from.
        parameters: The values that it needs to be told.
        key: The name of its table: `source` or `channel`.
        table: The table of a source or a channel, as it is in its file.
    """

    name: str
    description: Annotated[str, Field(min_length=1)]
    documentation: Annotated[tuple[str, ...], Field(min_length=1)]
    parameters: dict[str, Parameter] = Field(default={})
    key: str
    table: dict[str, Any]

    @property
    def file(self) -> str:
        """Where it is from, for people."""
        return _file(self.name)


def _file(name: str) -> str:
    return f"presets/{name}.toml"


def read_preset(name: str, text: str, faults: FaultList) -> Preset | None:
    """The preset in a TOML text, None if it is faulty."""
    try:
        raw = tomllib.loads(text)
        key = "channel" if name.startswith(CHANNELS) else "source"
        own = {"table": raw.pop(key)} if key in raw else {}
        preset = Preset.model_validate({**raw, **own, "name": name, "key": key})
    except tomllib.TOMLDecodeError as error:
        faults.add(_file(name), (), f"is no TOML: {error}")
        return None
    except ValidationError as error:
        for path, what in faults_in(error):
            faults.add(_file(name), (key, *path[1:]) if path[:1] == ("table",) else path, what)
        return None
    sound = True
    for path, value in _texts(preset.table, (key,)):
        if "${" in value:
            sound = False
            faults.add(preset.file, path, "must take a parameter in the place of an app setting")
        for parameter in PARAMETER.findall(value):
            if parameter not in preset.parameters:
                sound = False
                faults.add(preset.file, path, f"takes {parameter}, which is not in [parameters]")
    return preset if sound else None


def parameters_in(value: object) -> set[str]:
    """The names of the parameters in a value, at any depth."""
    return {name for _, text in _texts(value, ()) for name in PARAMETER.findall(text)}


def _texts(value: object, path: Path) -> list[tuple[Path, str]]:
    return [(place, leaf) for place, leaf in leaves(value, path) if isinstance(leaf, str)]
