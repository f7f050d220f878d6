"""The syntax of Bicep templates: parse a file, and see that every name in it is declared.

tree-sitter parses. Where a name may stand is decided here, also in branches that are not taken.
Runs in .venv-infra.
"""

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import tree_sitter  # type: ignore[import-not-found]
import tree_sitter_bicep  # type: ignore[import-not-found]

Node = Any

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))


class Fault(Exception):
    """The template is wrong here."""


def fault(path: Path, node: Node, text: str) -> Fault:
    """A fault in a line of a file."""
    return Fault(f"{path.name}:{node.start_point[0] + 1}: {text}")


def parse(path: Path) -> Node:
    """The syntax tree of a file."""
    root = _PARSER.parse(path.read_bytes()).root_node
    for node in _walk(root):
        if node.type == "ERROR" or node.is_missing:
            raise fault(path, node, "can't be parsed")
    return root


def text_of(node: Node) -> str:
    """What is written there."""
    return str(node.text.decode())


def parts(node: Node) -> list[Node]:
    """What a node is made of, without signs and comments."""
    return [child for child in node.named_children if child.type != "comment"]


def check_names(
    path: Path, root: Node, declared: Container[str], functions: Container[str]
) -> None:
    """Find names that nothing declares."""

    def check(node: Node, local: set[str]) -> None:
        inner = parts(node)
        name = text_of(node) if node.type == "identifier" else None
        if name and name not in declared and name not in local:
            raise fault(path, node, f"{name} is not declared")
        if node.type == "call_expression":
            if text_of(inner[0]) not in functions:
                raise fault(path, node, f"function {text_of(inner[0])} is not known to this check")
            inner = inner[1:]
        if node.type == "object_property" and inner[0].type == "identifier":
            inner = inner[1:]
        if node.type == "for_statement":
            variables = parts(inner[0]) or inner[:1]
            local, inner = local | set(map(text_of, variables)), inner[1:]
        for part in inner:
            check(part, local)

    for node in root.named_children:
        if node.type != "decorators":
            declares = node.type.endswith("_declaration")
            for part in parts(node)[declares:]:
                check(part, set())


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)
