"""Evaluate Bicep templates, as far as these use the language, without Bicep.

1. A file is parsed with tree-sitter. What it can't parse is a fault.
2. Every name in it must be declared, in branches that are not taken as well.
3. With values for its parameters, everything is evaluated that is known before a deployment. What
   only Azure knows is a `Runtime`: text that says where it would come from.

Whatever is not known here is a fault, so that nothing passes for lack of understanding. Runs in
.venv-infra.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tree_sitter  # type: ignore[import-not-found]
import tree_sitter_bicep  # type: ignore[import-not-found]

Node = Any
Names = dict[str, Any]

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))
_TYPES: dict[str, type] = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\'": "'", "\\\\": "\\", "\\$": "$"}


class Fault(Exception):
    """The template is wrong here."""


class Runtime(str):
    """A value that only Azure knows, as text."""

    __slots__ = ()


@dataclass
class Resource:
    """A resource of a template.

    Attributes:
        symbol: Its name in the file, with the file's.
        type: With all parent types, without the API version.
        body: As it is sent; references are ids.
        reads: The properties that the template reads of it and does not set.
    """

    symbol: str
    type: str
    version: str
    existing: bool
    body: dict[str, Any]
    reads: set[str] = field(default_factory=set)

    @property
    def id(self) -> str:
        """Unique, and readable: the id without subscription and resource group."""
        if self.body.get("parent"):
            return f"{self.body['parent']}/{self.type.rpartition('/')[2]}/{self.body['name']}"
        return f"{self.type}/{self.body['name']}"


@dataclass(frozen=True)
class _Read:
    """A path into a resource, as far as it has been read."""

    resource: Resource
    path: tuple[str, ...]


@dataclass
class Module:
    """A template with values for its parameters."""

    resources: list[Resource]
    outputs: Names
    parameters: list[str]


def parse(path: Path) -> Node:
    """The syntax tree of a file."""
    root = _PARSER.parse(path.read_bytes()).root_node
    for node in _walk(root):
        if node.type == "ERROR" or node.is_missing:
            raise _fault(path, node, "can't be parsed")
    return root


def evaluate(path: Path, values: Names) -> Module:
    """What a template deploys, modules included."""
    return _File(path, values).evaluate()


def _fault(path: Path, node: Node, text: str) -> Fault:
    return Fault(f"{path.name}:{node.start_point[0] + 1}: {text}")


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _text(node: Node) -> str:
    return str(node.text.decode())


def _parts(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


def _child(node: Node, kind: str) -> Node | None:
    return next((child for child in node.named_children if child.type == kind), None)


class _File:
    def __init__(self, path: Path, values: Names) -> None:
        self._path = path
        self._root = parse(path)
        self._given = values
        self._declared: dict[str, Node] = {}
        self._known: Names = {}
        self._resources: list[Resource] = []
        self._decorators: dict[str, dict[str, Node]] = {}
        self._read_declarations()
        _Symbols(path, self._root, set(self._declared)).check()

    def evaluate(self) -> Module:
        parameters = self._of_kind("parameter_declaration")
        if unknown := self._given.keys() - set(parameters):
            raise Fault(f"{self._path.name}: has no parameter {', '.join(sorted(unknown))}")
        for name in self._declared:
            self._value_of(name)
        outputs = {}
        for node in self._root.named_children:
            if node.type == "output_declaration":
                name, kind, value = _parts(node)[0], _parts(node)[1], _parts(node)[-1]
                outputs[_text(name)] = self._typed(node, _text(kind), self._eval(value, {}))
        return Module(self._resources, outputs, parameters)

    def _of_kind(self, kind: str) -> list[str]:
        return [name for name, node in self._declared.items() if node.type == kind]

    def _read_declarations(self) -> None:
        decorators: dict[str, Node] = {}
        for node in self._root.named_children:
            if node.type == "decorators":
                calls = [_parts(each)[0] for each in node.named_children]
                decorators = {_text(call.child_by_field_name("function")): call for call in calls}
                continue
            if node.type.endswith("_declaration") and node.type != "output_declaration":
                name = _text(_parts(node)[0])
                if name in self._declared:
                    raise _fault(self._path, node, f"{name} is declared twice")
                self._declared[name], self._decorators[name] = node, decorators
            decorators = {}

    def _value_of(self, name: str) -> Any:
        if name not in self._known:
            node = self._declared[name]
            make = {
                "parameter_declaration": self._parameter,
                "variable_declaration": lambda node: self._eval(_parts(node)[-1], {}),
                "resource_declaration": self._declared_resource,
                "module_declaration": self._module,
            }[node.type]
            self._known[name] = make(node)
        return self._known[name]

    def _parameter(self, node: Node) -> Any:
        name_node, kind, *default = _parts(node)
        name = _text(name_node)
        # The default must be right also where it is not used.
        value = self._fitting(node, kind, self._eval(default[0], {})) if default else None
        if name in self._given:
            return self._fitting(node, kind, self._given[name])
        if not default:
            raise _fault(self._path, node, f"parameter {name} is not supplied")
        return value

    def _fitting(self, node: Node, kind: Node, value: Any) -> Any:
        self._typed(node, _text(kind), value)
        if not isinstance(value, Runtime):
            self._check_limits(_text(_parts(node)[0]), node, value)
        return value

    def _check_limits(self, name: str, node: Node, value: Any) -> None:
        size = len(value) if isinstance(value, str | list | dict) else 0
        keeps: dict[str, Callable[[Any], bool]] = {
            "allowed": lambda limit: value in limit,
            "minValue": lambda limit: value >= limit,
            "maxValue": lambda limit: value <= limit,
            "minLength": lambda limit: size >= limit,
            "maxLength": lambda limit: size <= limit,
            "description": lambda _: True,
        }
        for decorator, call in self._decorators[name].items():
            limit = self._eval(_parts(call.child_by_field_name("arguments"))[0], {})
            if not keeps[decorator](limit):
                raise _fault(self._path, node, f"{name} is {value!r}, against @{decorator}")

    def _typed(self, node: Node, kind: str, value: Any) -> Any:
        fits = isinstance(value, _TYPES[kind]) and (kind != "int" or not isinstance(value, bool))
        if not fits and not isinstance(value, Runtime):
            raise _fault(self._path, node, f"{value!r} is no {kind}")
        return value

    def _declared_resource(self, node: Node) -> Resource | list[Resource]:
        name, kind, body = _parts(node)
        existing = any(child.type == "existing" for child in node.children)
        if body.type != "for_statement":
            return self._resource(_text(name), kind, body, {}, existing)
        return [
            self._resource(_text(name), kind, inner, names, existing)
            for inner, names in self._rounds(body, {})
        ]

    def _resource(
        self, symbol: str, kind: Node, body: Node, names: Names, existing: bool
    ) -> Resource:
        body, wanted = self._condition(body, names)
        full, _, version = self._eval(kind, {}).partition("@")
        sent = self._eval(body, names)
        for key in ("scope", "parent"):
            if key in sent:
                if not isinstance(sent[key], Resource):
                    raise _fault(self._path, body, f"{key} is no resource")
                sent[key] = sent[key].id
        if "dependsOn" in sent:
            sent["dependsOn"] = [each.id for each in sent["dependsOn"]]
        made = Resource(f"{self._path.stem}.{symbol}", full, version, existing, sent)
        if wanted:
            self._resources.append(made)
        return made

    def _condition(self, body: Node, names: Names) -> tuple[Node, bool]:
        if body.type != "if_statement":
            return body, True
        condition, inner = _parts(body)
        wanted = self._eval(condition, names)
        if not isinstance(wanted, bool):
            raise _fault(self._path, body, "the condition is not known before the deployment")
        return inner, wanted

    def _module(self, node: Node) -> Module | None:
        name, file, body = _parts(node)
        body, wanted = self._condition(body, {})
        if not wanted:
            return None
        path = self._path.parent / self._eval(file, {})
        if not path.is_file():
            raise _fault(self._path, node, f"there is no {path.name}")
        sent = self._eval(body, {})
        if unknown := sent.keys() - {"name", "scope", "params", "dependsOn"}:
            raise _fault(self._path, node, f"a module has no {', '.join(sorted(unknown))}")
        try:
            made = evaluate(path, sent.get("params", {}))
        except Fault as fault:
            raise Fault(f"{_text(name)}: {fault}") from None
        self._resources += made.resources
        return made

    def _rounds(self, node: Node, names: Names) -> Iterator[tuple[Node, Names]]:
        *variables, source, body = _parts(node)
        if variables[0].type == "for_loop_parameters":
            variables = _parts(variables[0])
        many = self._eval(source, names)
        if not isinstance(many, list):
            raise _fault(self._path, node, "this is no list to loop over")
        for index, value in enumerate(many):
            yield body, names | dict(zip(map(_text, variables), (value, index), strict=False))

    def _eval(self, node: Node, names: Names) -> Any:
        make = getattr(self, f"_eval_{node.type}", None)
        if make is None:
            raise _fault(self._path, node, f"{node.type} is not known to this check")
        return make(node, names)

    def _eval_identifier(self, node: Node, names: Names) -> Any:
        name = _text(node)
        return names[name] if name in names else self._value_of(name)

    def _eval_string(self, node: Node, names: Names) -> str:
        if node.children[0].type == "'''":
            return _text(node)[3:-3].removeprefix("\n")
        # What stands between the parts, an escaped "$" say, is no node of its own.
        text, at = "", node.start_byte + 1
        source: bytes = self._root.text
        for part in node.named_children:
            text += source[at : part.start_byte].decode().replace("\\$", "$")
            at = part.end_byte
            if part.type == "interpolation":
                value = self._plain(self._eval(_parts(part)[0], names))
                text += str(value)
            else:
                text += _ESCAPES.get(_text(part), _text(part))
        return text + source[at : node.end_byte - 1].decode().replace("\\$", "$")

    def _eval_number(self, node: Node, names: Names) -> int:
        return int(_text(node))

    def _eval_boolean(self, node: Node, names: Names) -> bool:
        return _text(node) == "true"

    def _eval_null(self, node: Node, names: Names) -> None:
        return None

    def _eval_array(self, node: Node, names: Names) -> list[Any]:
        return [self._eval(part, names) for part in _parts(node)]

    def _eval_object(self, node: Node, names: Names) -> Names:
        found: Names = {}
        for pair in _parts(node):
            key_node, value = _parts(pair)
            key = _text(key_node) if key_node.type == "identifier" else self._eval(key_node, names)
            if key in found:
                raise _fault(self._path, pair, f"{key} is set twice")
            found[key] = self._eval(value, names)
            # Scopes and dependencies are resources; everywhere else a value is meant.
            if key not in {"scope", "parent", "dependsOn"}:
                found[key] = self._plain(found[key])
        return found

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Resource | Module):
            raise Fault(f"{self._path.name}: a whole resource or module is no value")
        if isinstance(value, _Read):
            path = ".".join(value.path)
            value.resource.reads.add(path)
            return Runtime(f"[{value.resource.id} {path}]")
        return value

    def _eval_for_statement(self, node: Node, names: Names) -> list[Any]:
        return [self._eval(body, inner) for body, inner in self._rounds(node, names)]

    def _eval_parenthesized_expression(self, node: Node, names: Names) -> Any:
        return self._eval(_parts(node)[0], names)

    def _eval_ternary_expression(self, node: Node, names: Names) -> Any:
        condition = self._eval(node.child_by_field_name("condition"), names)
        if not isinstance(condition, bool):
            raise _fault(self._path, node, "the condition is not known before the deployment")
        return self._eval(
            node.child_by_field_name("consequence" if condition else "alternative"), names
        )

    def _eval_unary_expression(self, node: Node, names: Names) -> bool:
        if _text(node.child_by_field_name("operator")) != "!":
            raise _fault(self._path, node, "this operator is not known to this check")
        return not self._eval(node.child_by_field_name("argument"), names)

    def _eval_binary_expression(self, node: Node, names: Names) -> bool:
        left = self._eval(node.child_by_field_name("left"), names)
        right = self._eval(node.child_by_field_name("right"), names)
        operator = _text(node.child_by_field_name("operator"))
        if operator not in {"==", "&&"}:
            raise _fault(self._path, node, f"{operator} is not known to this check")
        return bool(left == right if operator == "==" else left and right)

    def _eval_subscript_expression(self, node: Node, names: Names) -> Any:
        many = self._eval(node.child_by_field_name("object"), names)
        return many[self._eval(node.child_by_field_name("index"), names)]

    def _eval_member_expression(self, node: Node, names: Names) -> Any:
        inner = self._eval(node.child_by_field_name("object"), names)
        name = _text(node.child_by_field_name("property"))
        if isinstance(inner, Resource):
            if name == "id":
                return inner.id
            inner = inner.body if name in inner.body else _Read(inner, ())
        if isinstance(inner, Module):
            return {"outputs": inner.outputs}[name]
        if isinstance(inner, _Read):
            return self._plain_at_end(node, _Read(inner.resource, (*inner.path, name)))
        if isinstance(inner, dict) and name in inner:
            return inner[name]
        resource = self._resource_at(node, names)
        if resource:
            return self._plain_at_end(node, _Read(resource[0], (*resource[1], name)))
        what = "a module that is not deployed" if inner is None else "this"
        raise _fault(self._path, node, f"{what} has no {name}")

    def _resource_at(self, node: Node, names: Names) -> tuple[Resource, tuple[str, ...]] | None:
        """The resource that a path begins with, and the path so far: it may go on in Azure."""
        path: tuple[str, ...] = ()
        inner = node.child_by_field_name("object")
        while inner.type == "member_expression":
            path = (_text(inner.child_by_field_name("property")), *path)
            inner = inner.child_by_field_name("object")
        found = self._eval(inner, names)
        return (found, path) if isinstance(found, Resource) else None

    def _plain_at_end(self, node: Node, read: _Read) -> Any:
        goes_on = node.parent.type == "member_expression"
        return read if goes_on else self._plain(read)

    def _eval_call_expression(self, node: Node, names: Names) -> Any:
        name = _text(node.child_by_field_name("function"))
        arguments = [
            self._plain(self._eval(part, names))
            for part in _parts(node.child_by_field_name("arguments"))
        ]
        if name == "loadJsonContent":
            return json.loads((self._path.parent / arguments[0]).read_text(encoding="utf-8"))
        return _FUNCTIONS[name](*arguments)


class _Symbols:
    """Whether every name in a file is declared, wherever it stands."""

    def __init__(self, path: Path, root: Node, declared: set[str]) -> None:
        self._path, self._root, self._declared = path, root, declared

    def check(self) -> None:
        for node in self._root.named_children:
            if node.type != "decorators":
                skip = 1 if node.type.endswith("_declaration") else 0
                for part in _parts(node)[skip:]:
                    self._check(part, set())

    def _check(self, node: Node, local: set[str]) -> None:
        if node.type == "identifier" and _text(node) not in self._declared | local:
            raise _fault(self._path, node, f"{_text(node)} is not declared")
        if node.type == "call_expression":
            name = node.child_by_field_name("function")
            if _text(name) not in {*_FUNCTIONS, "loadJsonContent"}:
                raise _fault(self._path, node, f"function {_text(name)} is not known to this check")
            self._check(node.child_by_field_name("arguments"), local)
            return
        parts = _parts(node)
        if node.type == "object_property" and parts[0].type == "identifier":
            parts = parts[1:]
        if node.type == "for_statement":
            variable, parts = parts[0], parts[1:]
            inner = _parts(variable) if variable.named_children else [variable]
            local = local | set(map(_text, inner))
        for part in parts:
            self._check(part, local)


def _items(value: Names) -> list[Names]:
    return [{"key": key, "value": value[key]} for key in sorted(value)]


def _union(*values: Names) -> Names:
    return {key: value for each in values for key, value in each.items()}


def _hash(*values: object) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concat": lambda *lists: [value for each in lists for value in each],
    "empty": lambda value: not value,
    "environment": lambda: {"suffixes": {"storage": "core.windows.net"}},
    "guid": _hash,
    "items": _items,
    "string": str,
    "subscription": lambda: {"id": "/subscriptions/some"},
    "subscriptionResourceId": lambda kind, name: f"/{kind}/{name}",
    "tenant": lambda: {"tenantId": Runtime("[tenant]")},
    "toLower": str.lower,
    "union": _union,
    # As long as Azure's, so that lengths of names can be checked.
    "uniqueString": lambda *values: _hash(*values)[:13],
}
