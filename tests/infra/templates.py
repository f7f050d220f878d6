"""Read the Bicep templates as data, for rules to look at. Nothing is evaluated.

tree-sitter parses. An object becomes a dict, an array a list; everything else stays the text that
stands in the template, quotes included. `origin` follows a name to the place where it is set. The
compiler, which the workflows run, knows the language; so no error of the language is looked for
here, but what tree-sitter cannot parse is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_bicep

ROOT = Path(__file__).parents[2]
_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))

Value = Any
"""A dict, a list, a `Loop`, or the text of an expression."""


@dataclass(frozen=True)
class Loop:
    """`[for variable in source: each]`."""

    variable: str
    source: str
    each: Value


@dataclass(frozen=True)
class Part:
    """A resource or a module.

    Attributes:
        file: The template that declares the part, without `.bicep`.
        type: The type of a resource without its API version, or the file of a module, without
            `modules/` and `.bicep`.
        when: The condition, empty if there is none.
        body: The properties, those of one round if there is a loop.
        loop: The list that the loop goes through, empty if there is none.
    """

    file: str
    symbol: str
    type: str
    existing: bool
    when: str
    body: dict[str, Value]
    loop: str


class Templates:
    """All templates of a folder.

    Attributes:
        parts: The resources and modules, those that are only referred to as well.
        parameters: The default of each parameter by file and name, `None` if it has none.
        variables: By file and name.
        outputs: By file and name.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        """Read the text of each template, by the name of the file without `.bicep`."""
        self.sources = sources
        self.parts: list[Part] = []
        self.parameters: dict[str, dict[str, Value]] = {}
        self.variables: dict[str, dict[str, Value]] = {}
        self.outputs: dict[str, dict[str, Value]] = {}
        for file, text in sources.items():
            self._read(file, text)

    def _read(self, file: str, text: str) -> None:
        root = _PARSER.parse(text.encode()).root_node
        assert not root.has_error, f"{file}.bicep cannot be parsed"
        parameters = self.parameters.setdefault(file, {})
        variables = self.variables.setdefault(file, {})
        outputs = self.outputs.setdefault(file, {})
        for node in root.named_children:
            match node.type, _inner(node):
                case "parameter_declaration", [name, _, *default]:
                    parameters[_text(name)] = _value(default[0]) if default else None
                case "variable_declaration", [name, value]:
                    variables[_text(name)] = _value(value)
                case "output_declaration", [name, _, value]:
                    outputs[_text(name)] = _value(value)
                case "resource_declaration" | "module_declaration", _:
                    self.parts.append(_part(file, node))

    def of(self, kind: str) -> list[Part]:
        """The resources of a type that are deployed."""
        return [part for part in self.parts if part.type == kind and not part.existing]

    def the(self, kind: str) -> Part:
        """The only resource of a type."""
        (one,) = self.of(kind)
        return one

    def named(self, file: str, symbol: str) -> Part:
        """The resource or module of a name in a file."""
        (one,) = (part for part in self.parts if (part.file, part.symbol) == (file, symbol))
        return one

    def origin(self, file: str, value: Value) -> Value:
        """What a name stands for: followed through parameters of modules, variables and outputs."""
        if not isinstance(value, str):
            return value
        if output := re.fullmatch(r"(\w+)!?\.outputs\.(\w+)", value):
            module = self.named(file, output[1])
            return self.origin(module.type, self.outputs[module.type][output[2]])
        if value in self.variables[file]:
            return self.origin(file, self.variables[file][value])
        if value in self.parameters[file] and file != "main":
            (module,) = (part for part in self.parts if part.type == file)
            return self.origin("main", module.body["params"].get(value))
        return value


def _part(file: str, node: tree_sitter.Node) -> Part:
    name, kind, body = _inner(node)
    loop = when = ""
    if body.type == "for_statement":
        *_, source, body = _inner(body)
        loop = _text(source)
    if body.type == "if_statement":
        condition, body = _inner(body)
        when = _text(condition)[1:-1]
    existing = any(child.type == "existing" for child in node.children)
    # A module is known by the name of its file.
    of = _text(kind).strip("'").partition("@")[0].removeprefix("modules/").removesuffix(".bicep")
    return Part(file, _text(name), of, existing, when, _value(body), loop)


def _value(node: tree_sitter.Node) -> Value:
    match node.type:
        case "object":
            pairs = map(_inner, _inner(node))
            return {_text(key).strip("'"): _value(value) for key, value in pairs}
        case "array":
            return [_value(each) for each in _inner(node)]
        case "for_statement":
            variable, source, each = _inner(node)
            return Loop(_text(variable), _text(source), _value(each))
    return _text(node)


def _inner(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    return [child for child in node.named_children if not child.type.endswith("comment")]


def _text(node: tree_sitter.Node) -> str:
    assert node.text is not None
    return node.text.decode()


def at(value: Value, path: str) -> Value:
    """The value at a path of names and indexes with dots between them, `None` if there is none."""
    for name in path.split("."):
        if isinstance(value, list) and name.isdigit():
            value = value[int(name)] if int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def texts(value: Value) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Loop):
        yield from texts([value.source, value.each])
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def sources() -> dict[str, str]:
    """The text of each template of this repository."""
    files = sorted((ROOT / "infra").rglob("*.bicep"))
    return {file.stem: file.read_text(encoding="utf-8") for file in files}
