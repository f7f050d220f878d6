"""Nested values as TOML and JSON have them: tables and lists, down to their leaves."""

import math
from collections.abc import Callable, Iterator
from typing import Any

Path = tuple[str | int, ...]
"""The way to a value: ("sources", "demo", "status", "url")."""


def leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All that is neither table nor list, with the way to it, in order."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from leaves(inner, (*path, key))
        case list():
            for number, inner in enumerate(value):
                yield from leaves(inner, (*path, number))
        case _:
            yield path, value


def json_has(leaf: object) -> bool:
    """Whether JSON has a form for a leaf. TOML has more, as dates, and Python, as infinity."""
    if isinstance(leaf, float):
        return math.isfinite(leaf)
    return leaf is None or isinstance(leaf, str | int)


def map_texts(value: Any, change: Callable[[str, Path], Any], path: Path = ()) -> Any:
    """The value with each text in it replaced by `change(text, path)`."""
    match value:
        case dict():
            return {key: map_texts(inner, change, (*path, key)) for key, inner in value.items()}
        case list():
            return [map_texts(inner, change, (*path, i)) for i, inner in enumerate(value)]
        case str():
            return change(value, path)
        case _:
            return value


def last_key(path: Path) -> str:
    """The innermost key of a table on the way, "" if there is none."""
    return next((step for step in reversed(path) if isinstance(step, str)), "")


def value_at(value: Any, path: Path) -> tuple[Any, int]:
    """The value that the path leads to, None if there is none; and how many of its steps exist."""
    for depth, step in enumerate(path):
        keys: Any = value if isinstance(value, dict) else ()
        if isinstance(value, list):
            keys = range(len(value))
        if step not in keys:
            return None, depth
        value = value[step]
    return value, len(path)


def is_in(value: Any, path: Path) -> bool:
    """Whether the path leads to something."""
    return value_at(value, path)[1] == len(path)
