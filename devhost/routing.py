"""Which HTTP function a request goes to.

Templates are those of Azure Functions: literal segments, `{name}`, `{name?}` and `{*name}` at
the end. Case does not matter but in values, literal segments win over parameters, and a known
path with another verb is not found. Constraints such as `{name:int}` are not checked.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from devhost.app import FunctionInfo

_PARAMETER = re.compile(r"(/?)\{(\*?)(\w+)(?::[^{}?]+)?(\??)\}")


@dataclass(frozen=True)
class Route:
    """The route of one function.

    Attributes:
        function: The function.
        template: Its path with the prefix, as a person would write it.
        methods: The verbs it answers to; empty is any.
        pattern: What the path must match.
        names: The parameters, in the order of the groups of `pattern`.
    """

    function: FunctionInfo
    template: str
    methods: frozenset[str]
    pattern: re.Pattern[str]
    names: tuple[str, ...]


def route_of(prefix: str, function: FunctionInfo) -> Route:
    """The route of an HTTP function below the prefix, which may be empty."""
    own = (getattr(function.trigger, "route", None) or function.name).strip("/")
    template = "/" + "/".join(part for part in (prefix, own) if part)
    methods = (getattr(m, "value", m) for m in getattr(function.trigger, "methods", None) or ())
    return Route(
        function=function,
        template=template,
        methods=frozenset(str(method).upper() for method in methods),
        pattern=re.compile(_expression(template), re.IGNORECASE | re.DOTALL),
        names=tuple(found[3] for found in _PARAMETER.finditer(template)),
    )


def _expression(template: str) -> str:
    parts, position = [], 0
    for found in _PARAMETER.finditer(template):
        parts.append(re.escape(template[position : found.start()]))
        slash, star, _, optional = found.groups()
        group = f"{slash}(.*)" if star else f"{slash}([^/]+)"
        parts.append(f"(?:{group})?" if optional or star else group)
        position = found.end()
    return "".join([*parts, re.escape(template[position:])])


class Router:
    """Finds the function for a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = sorted(
            routes, key=lambda route: [_rank(part) for part in route.template.split("/")]
        )

    def find(self, method: str, path: str) -> tuple[FunctionInfo, dict[str, str]] | None:
        """The function and the values of its parameters; `path` is decoded."""
        path = path.rstrip("/")
        for route in self._routes:
            found = route.pattern.fullmatch(path)
            if found and (not route.methods or method in route.methods):
                values = zip(route.names, found.groups(), strict=True)
                return route.function, {n: v for n, v in values if v is not None}
        return None


def _rank(part: str) -> int:
    return 2 if part.startswith("{*") else int("{" in part)
