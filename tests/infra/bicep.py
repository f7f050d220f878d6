"""Evaluate Bicep templates, as far as these use the language, without Bicep.

1. A file is parsed, and its names are checked.
2. With values for its parameters, everything is evaluated that is known before a deployment. What
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

from tests.infra.syntax import Fault, Node, check_names, fault, parse, parts, text_of

Names = dict[str, Any]

_TYPES: dict[str, type] = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\'": "'", "\\\\": "\\"}
_ONLY_AZURE_KNOWS = object()


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
    """A place in a resource, and what the template puts there."""

    resource: Resource
    path: tuple[str, ...]
    value: Any

    def at(self, name: str) -> "_Read":
        """A place inside of this one."""
        inner = self.value if isinstance(self.value, dict) else {}
        return _Read(self.resource, (*self.path, name), inner.get(name, _ONLY_AZURE_KNOWS))


@dataclass
class Module:
    """A template with values for its parameters."""

    resources: list[Resource]
    outputs: Names
    parameters: list[str]


def evaluate(path: Path, values: Names) -> Module:
    """What a template deploys, modules included."""
    return _File(path, values).evaluate()


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
        check_names(path, self._root, self._declared, {*_FUNCTIONS, "loadJsonContent"})

    def evaluate(self) -> Module:
        parameters = self._of_kind("parameter_declaration")
        if unknown := self._given.keys() - set(parameters):
            raise Fault(f"{self._path.name}: has no parameter {', '.join(sorted(unknown))}")
        for name in self._declared:
            self._value_of(name)
        outputs = {}
        for node in self._root.named_children:
            if node.type == "output_declaration":
                name, kind, value = parts(node)[0], parts(node)[1], parts(node)[-1]
                outputs[text_of(name)] = self._typed(node, text_of(kind), self._value(value, {}))
        return Module(self._resources, outputs, parameters)

    def _of_kind(self, kind: str) -> list[str]:
        return [name for name, node in self._declared.items() if node.type == kind]

    def _read_declarations(self) -> None:
        decorators: dict[str, Node] = {}
        for node in self._root.named_children:
            if node.type == "decorators":
                calls = [parts(each)[0] for each in node.named_children]
                decorators = {text_of(call.child_by_field_name("function")): call for call in calls}
                continue
            if node.type.endswith("_declaration") and node.type != "output_declaration":
                name = text_of(parts(node)[0])
                if name in self._declared:
                    raise fault(self._path, node, f"{name} is declared twice")
                self._declared[name], self._decorators[name] = node, decorators
            decorators = {}

    def _value_of(self, name: str) -> Any:
        if name not in self._known:
            node = self._declared[name]
            make = {
                "parameter_declaration": self._parameter,
                "variable_declaration": lambda node: self._eval(parts(node)[-1], {}),
                "resource_declaration": self._declared_resource,
                "module_declaration": self._module,
            }[node.type]
            self._known[name] = make(node)
        return self._known[name]

    def _parameter(self, node: Node) -> Any:
        name_node, kind, *default = parts(node)
        name = text_of(name_node)
        # The default must be right also where it is not used.
        value = self._fitting(node, kind, self._value(default[0], {})) if default else None
        if name in self._given:
            return self._fitting(node, kind, self._given[name])
        if not default:
            raise fault(self._path, node, f"parameter {name} is not supplied")
        return value

    def _fitting(self, node: Node, kind: Node, value: Any) -> Any:
        self._typed(node, text_of(kind), value)
        if not isinstance(value, Runtime):
            self._check_limits(text_of(parts(node)[0]), node, value)
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
            limit = self._eval(parts(call.child_by_field_name("arguments"))[0], {})
            if not keeps[decorator](limit):
                raise fault(self._path, node, f"{name} is {value!r}, against @{decorator}")

    def _typed(self, node: Node, kind: str, value: Any) -> Any:
        fits = isinstance(value, _TYPES[kind]) and (kind != "int" or not isinstance(value, bool))
        if not fits and not isinstance(value, Runtime):
            raise fault(self._path, node, f"{value!r} is no {kind}")
        return value

    def _declared_resource(self, node: Node) -> Resource | list[Resource]:
        name, kind, body = parts(node)
        existing = any(child.type == "existing" for child in node.children)
        if body.type != "for_statement":
            return self._resource(text_of(name), kind, body, {}, existing)
        return [
            self._resource(text_of(name), kind, inner, names, existing)
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
                    raise fault(self._path, body, f"{key} is no resource")
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
        condition, inner = parts(body)
        wanted = self._eval(condition, names)
        if not isinstance(wanted, bool):
            raise fault(self._path, body, "the condition is not known before the deployment")
        return inner, wanted

    def _module(self, node: Node) -> Module | None:
        name, file, body = parts(node)
        body, wanted = self._condition(body, {})
        if not wanted:
            return None
        path = self._path.parent / self._eval(file, {})
        if not path.is_file():
            raise fault(self._path, node, f"there is no {path.name}")
        sent = self._eval(body, {})
        if unknown := sent.keys() - {"name", "scope", "params", "dependsOn"}:
            raise fault(self._path, node, f"a module has no {', '.join(sorted(unknown))}")
        try:
            made = evaluate(path, sent.get("params", {}))
        except Fault as inside:
            raise Fault(f"{text_of(name)}: {inside}") from None
        self._resources += made.resources
        return made

    def _rounds(self, node: Node, names: Names) -> Iterator[tuple[Node, Names]]:
        *variables, source, body = parts(node)
        if variables[0].type == "for_loop_parameters":
            variables = parts(variables[0])
        many = self._value(source, names)
        if not isinstance(many, list):
            raise fault(self._path, node, "this is no list to loop over")
        for index, value in enumerate(many):
            yield body, names | dict(zip(map(text_of, variables), (value, index), strict=False))

    def _value(self, node: Node, names: Names) -> Any:
        return self._plain(self._eval(node, names))

    def _eval(self, node: Node, names: Names) -> Any:
        make = getattr(self, f"_eval_{node.type}", None)
        if make is None:
            raise fault(self._path, node, f"{node.type} is not known to this check")
        return make(node, names)

    def _eval_identifier(self, node: Node, names: Names) -> Any:
        name = text_of(node)
        return names[name] if name in names else self._value_of(name)

    def _eval_string(self, node: Node, names: Names) -> str:
        if node.children[0].type == "'''":
            return text_of(node)[3:-3].removeprefix("\n")
        # What stands between the parts, an escaped "$" say, is no node of its own.
        text, at = "", node.start_byte + 1
        source: bytes = self._root.text
        for part in node.named_children:
            text += source[at : part.start_byte].decode().replace("\\$", "$")
            at = part.end_byte
            if part.type == "interpolation":
                text += str(self._value(parts(part)[0], names))
            else:
                text += _ESCAPES.get(text_of(part), text_of(part))
        return text + source[at : node.end_byte - 1].decode().replace("\\$", "$")

    def _eval_number(self, node: Node, names: Names) -> int:
        return int(text_of(node))

    def _eval_boolean(self, node: Node, names: Names) -> bool:
        return text_of(node) == "true"

    def _eval_null(self, node: Node, names: Names) -> None:
        return None

    def _eval_array(self, node: Node, names: Names) -> list[Any]:
        return [self._eval(part, names) for part in parts(node)]

    def _eval_object(self, node: Node, names: Names) -> Names:
        found: Names = {}
        for pair in parts(node):
            key_node, value = parts(pair)
            is_text = key_node.type == "string"
            key = self._eval(key_node, names) if is_text else text_of(key_node)
            if key in found:
                raise fault(self._path, pair, f"{key} is set twice")
            found[key] = self._eval(value, names)
            # Scopes and dependencies are resources; everywhere else a value is meant.
            if key not in {"scope", "parent", "dependsOn"}:
                found[key] = self._plain(found[key])
        return found

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Resource | Module):
            raise Fault(f"{self._path.name}: a whole resource or module is no value")
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        if not isinstance(value, _Read):
            return value
        if value.value is not _ONLY_AZURE_KNOWS:
            return value.value
        path = ".".join(value.path)
        value.resource.reads.add(path)
        return Runtime(f"[{value.resource.id} {path}]")

    def _eval_for_statement(self, node: Node, names: Names) -> list[Any]:
        return [self._eval(body, inner) for body, inner in self._rounds(node, names)]

    def _eval_parenthesized_expression(self, node: Node, names: Names) -> Any:
        return self._eval(parts(node)[0], names)

    def _eval_ternary_expression(self, node: Node, names: Names) -> Any:
        condition = self._eval(node.child_by_field_name("condition"), names)
        if not isinstance(condition, bool):
            raise fault(self._path, node, "the condition is not known before the deployment")
        return self._eval(
            node.child_by_field_name("consequence" if condition else "alternative"), names
        )

    def _eval_unary_expression(self, node: Node, names: Names) -> bool:
        if text_of(node.child_by_field_name("operator")) != "!":
            raise fault(self._path, node, "this operator is not known to this check")
        return not self._eval(node.child_by_field_name("argument"), names)

    def _eval_binary_expression(self, node: Node, names: Names) -> bool:
        left = self._value(node.child_by_field_name("left"), names)
        right = self._value(node.child_by_field_name("right"), names)
        operator = text_of(node.child_by_field_name("operator"))
        if operator not in {"==", "&&"}:
            raise fault(self._path, node, f"{operator} is not known to this check")
        return bool(left == right if operator == "==" else left and right)

    def _eval_subscript_expression(self, node: Node, names: Names) -> Any:
        many = self._eval(node.child_by_field_name("object"), names)
        return many[self._eval(node.child_by_field_name("index"), names)]

    def _eval_member_expression(self, node: Node, names: Names) -> Any:
        inner = self._eval(node.child_by_field_name("object"), names)
        name = text_of(node.child_by_field_name("property"))
        if isinstance(inner, Resource):
            return inner.id if name == "id" else _Read(inner, (), inner.body).at(name)
        if isinstance(inner, _Read):
            return inner.at(name)
        if isinstance(inner, Module) and name == "outputs":
            return inner.outputs
        if isinstance(inner, dict) and name in inner:
            return inner[name]
        what = "what is not deployed" if inner is None else "this"
        raise fault(self._path, node, f"{what} has no {name}")

    def _eval_call_expression(self, node: Node, names: Names) -> Any:
        name = text_of(node.child_by_field_name("function"))
        arguments = [
            self._value(part, names) for part in parts(node.child_by_field_name("arguments"))
        ]
        if name == "loadJsonContent":
            return json.loads((self._path.parent / arguments[0]).read_text(encoding="utf-8"))
        return _FUNCTIONS[name](*arguments)


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
