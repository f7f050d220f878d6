"""The JSON schema of job_sources.toml, made from the models that read it.

    python -m tools.schema > job_sources.schema.json

Editors complete and check the file by it (Taplo, Even Better TOML). It says less than the app does:
the app also looks at placeholders, expressions and app settings.
"""

import copy
import json
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from adapters.services import read_presets
from domain.notices.channel import AnyChannel
from domain.sources.file import NAME
from domain.sources.preset import CHANNELS
from domain.sources.source import Source

_REF = "#/$defs/{model}"
_SETTING = {"type": "string", "pattern": r"\$\{[^{}]*\}"}
_NOT_TEXT = {"integer", "number", "boolean"}


def make_schema() -> dict[str, Any]:
    """The schema of a whole file."""
    whole = Source.model_json_schema(ref_template=_REF)
    channel = TypeAdapter(AnyChannel).json_schema(ref_template=_REF)
    definitions = {**whole.pop("$defs"), **channel.pop("$defs"), "Source": whole}
    channels = [each["$ref"].rpartition("/")[2] for each in channel["oneOf"]]
    for name in ("Source", *channels):
        definitions[name]["properties"].pop("name")
        definitions[name]["required"].remove("name")
    definitions["EventGridChannel"]["properties"].pop("auth")  # it is made of key or identity
    for each in definitions.values():
        _shorten(each)
        _take_settings(each)
    # A table that names a preset says what it has of its own, at any depth.
    parts = {f"Part{name}": _any_part(each) for name, each in definitions.items()}
    _name_preset(parts["PartSource"], read_presets(), "presets/")
    _name_preset(parts["PartWebhookChannel"], read_presets(CHANNELS), "presets/channels/")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The job systems that Job Monitor watches, and the channels by which it tells",
        "type": "object",
        "properties": {
            "default": {"type": "string", "description": "The source of a start that names none"},
            "sources": {
                "type": "object",
                "propertyNames": {"pattern": f"^{NAME.pattern}$"},
                "minProperties": 1,
                "additionalProperties": {
                    "if": {"required": ["preset"]},
                    "then": {"$ref": "#/$defs/PartSource"},
                    "else": {"$ref": "#/$defs/Source"},
                },
            },
            "channels": {
                "type": "object",
                "propertyNames": {"pattern": f"^{NAME.pattern}$"},
                "minProperties": 1,
                "additionalProperties": {
                    "if": {"required": ["preset"]},
                    "then": {"$ref": "#/$defs/PartWebhookChannel"},
                    "else": {"oneOf": channel["oneOf"]},
                },
            },
        },
        "anyOf": [{"required": ["sources"]}, {"required": ["channels"]}],
        "additionalProperties": False,
        "$defs": {**definitions, **parts},
    }


def _name_preset(part: dict[str, Any], presets: Iterable[str], folder: str) -> None:
    part["properties"] |= {
        "preset": {
            "enum": sorted(each.rpartition("/")[2] for each in presets),
            "description": f"See {folder}",
        },
        "parameters": {"type": "object", "description": "What the preset needs to be told"},
    }
    part["required"] = ["preset"]


def _shorten(schema: Any) -> None:
    """Leave out the titles, which repeat the keys, and all but the first line of a text."""
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        if isinstance(schema.get("description"), str):
            schema["description"] = schema["description"].partition("\n")[0]
        for inner in schema.values():
            _shorten(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _shorten(inner)


def _take_settings(schema: Any) -> None:
    """Let ${NAME} stand wherever a value is no text."""
    for name, each in schema.get("properties", {}).items():
        kind = each.get("type")
        if kind in _NOT_TEXT:
            outside = {"default": each.pop("default")} if "default" in each else {}
            schema["properties"][name] = {"anyOf": [each, _SETTING], **outside}


def _any_part(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without what must be there, for tables that are laid over others."""
    part = json.loads(json.dumps(copy.deepcopy(schema)).replace("#/$defs/", "#/$defs/Part"))

    def loosen(value: Any) -> None:
        if isinstance(value, dict):
            value.pop("required", None)
            value.pop("discriminator", None)
            if "oneOf" in value:
                value["anyOf"] = value.pop("oneOf")
            for inner in value.values():
                loosen(inner)
        elif isinstance(value, list):
            for inner in value:
                loosen(inner)

    loosen(part)
    assert isinstance(part, dict)
    return part


def main() -> None:
    """Print it."""
    print(json.dumps(make_schema(), indent=2))


if __name__ == "__main__":
    main()
