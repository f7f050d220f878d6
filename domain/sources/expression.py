"""JMESPath, the language in which a source says where its answers hold what."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import jmespath
from jmespath.functions import Functions
from pydantic import BeforeValidator


class Expression:
    """A JMESPath expression, compiled once; threads may share it."""

    def __init__(self, text: str) -> None:
        """Compile the text; raises ValueError if it is no expression."""
        try:
            self._compiled = jmespath.compile(text)
        except jmespath.exceptions.JMESPathError as error:
            column = (getattr(error, "lex_position", None) or 0) + 1
            raise ValueError(f"is no JMESPath expression (see column {column})") from None
        for name in _functions(self._compiled.parsed):  # jmespath itself looks at the first poll
            if name not in Functions.FUNCTION_TABLE:
                raise ValueError(f"calls {name}(), which JMESPath does not have")
        self.text = text

    @classmethod
    def of(cls, value: object) -> "Expression":
        """The expression that a value of a configuration is; raises ValueError if it is none."""
        if not isinstance(value, str):
            raise ValueError("must be a string")  # noqa: TRY004  pydantic reports ValueError only
        return cls(value)

    def search(self, document: object) -> Any:
        """What the expression selects, None for nothing; raises ValueError if it fails."""
        try:
            return self._compiled.search(document)
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ):
            # jmespath's own text quotes the document.
            raise ValueError(f"the expression {self.text} fails on this answer") from None


def _functions(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node["children"]:
        if isinstance(child, dict):  # a slice has numbers as children
            yield from _functions(child)


JmesPath = Annotated[Expression, BeforeValidator(Expression.of)]
