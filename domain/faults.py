"""The text of a fault that pydantic found, in words that suit people and repeat no value."""

from collections.abc import Mapping
from typing import Any

_WORDS = {"missing": "is missing", "extra_forbidden": "is not known"}


def fault_text(detail: Mapping[str, Any], words: Mapping[str, str] | None = None) -> str:
    """The text of one fault.

    Args:
        detail: An item of `ValidationError.errors(include_url=False, include_input=False)`.
        words: Texts for pydantic's types of fault, where its own would puzzle.
    """
    known = {**_WORDS, **(words or {})}
    text: str = detail["msg"]
    text = text.removeprefix("Value error, ").replace("Input should", "must")
    return known.get(detail["type"], text)
