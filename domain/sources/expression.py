"""JMESPath, the language in which a source says where its answers hold what.

1. An expression sees the body of an answer; one that is written `{ answer = "..." }` sees the whole
   answer, `{httpStatus, headers, body}`.
2. `{job_id}` in a text or in a quoted name is replaced by the job's id in the parsed tree. The id
   is never parsed, so it can hold any character.
3. Two functions are added to those of JMESPath: `segments(url)` gives the decoded parts of the path
   of a URL, `split(text, separator)` the parts of a text.
4. Expressions that can't work are refused when the file is read.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import unquote, urlsplit

import jmespath
from jmespath.functions import Functions, signature
from jmespath.lexer import Lexer
from jmespath.parser import ParsedResult
from pydantic import BeforeValidator, WithJsonSchema

from domain.sources.job_id import JobId, in_text, in_value, named_in
from domain.sources.tree import leaves, map_texts

_PLAIN_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_COMPARATORS = {"eq", "ne", "lt", "lte", "gt", "gte"}
_GOES_ON = {"dot", "lbracket", "flatten", "filter", "lparen"}  # a name before it is a part only
_TEXT_ARGUMENTS = {("join", 0), ("starts_with", 1), ("ends_with", 1), ("contains", 1), ("split", 1)}
_FALSE: tuple[object, ...] = (None, False, "", [], {})  # to JMESPath; 0 is true


class _Functions(Functions):
    @signature({"types": ["string"]})
    def _func_segments(self, url: str) -> list[str]:
        return [unquote(each) for each in urlsplit(url).path.split("/") if each]

    @signature({"types": ["string"]}, {"types": ["string"]})
    def _func_split(self, text: str, separator: str) -> list[str]:
        return text.split(separator)


_OPTIONS = jmespath.Options(custom_functions=_Functions())


class Expression:
    """A JMESPath expression, compiled once; threads may share it.

    Attributes:
        text: The expression.
        of_answer: Whether it sees the whole answer, and not only its body.
        job_id: The placeholders of the job's id in it.
    """

    KEY: ClassVar[str] = "answer"

    def __init__(self, text: str, *, of_answer: bool = False) -> None:
        """Compile the text; raises ValueError if it is no expression, or one that can't work."""
        try:
            self._compiled = jmespath.compile(text)
        except jmespath.exceptions.JMESPathError as error:
            column = (getattr(error, "lex_position", None) or 0) + 1
            raise ValueError(f"is no JMESPath expression (see column {column})") from None
        _check_calls(self._compiled.parsed)
        _check_quotes(text)
        self.text = text
        self.of_answer = of_answer
        self.job_id = {name for each in _texts(self._compiled.parsed) for name in named_in(each)}

    @classmethod
    def of(cls, value: object) -> "Expression":
        """The expression that a value of a configuration is; raises ValueError if it is none."""
        if isinstance(value, dict) and [*value] == [cls.KEY] and isinstance(value[cls.KEY], str):
            return cls(value[cls.KEY], of_answer=True)
        if not isinstance(value, str):
            raise ValueError('must be a string or { answer = "..." }')  # noqa: TRY004  pydantic reports ValueError only
        return cls(value)

    @classmethod
    def of_rule(cls, value: object) -> "Expression":
        """The same for a key whose expression always sees the whole answer."""
        if not isinstance(value, str):
            raise ValueError("must be a string")  # noqa: TRY004
        return cls(value, of_answer=True)

    def search(self, document: object, job_id: JobId | None = None) -> Any:
        """The value that the expression selects, None for nothing; ValueError if it fails."""
        compiled = self._compiled
        if self.job_id and job_id is not None:
            compiled = ParsedResult(self.text, _bound(compiled.parsed, job_id))
        try:
            return compiled.search(document, _OPTIONS)
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


def is_true(value: object) -> bool:
    """Whether JMESPath takes the value as true."""
    return not any(type(value) is type(each) and value == each for each in _FALSE)


def _bound(node: Any, job_id: JobId) -> Any:
    """The tree with the job's id in its literals and names."""
    if not isinstance(node, dict):  # a slice has numbers as children
        return node
    bound = {**node, "children": [_bound(child, job_id) for child in node["children"]]}
    if node["type"] == "literal":
        bound["value"] = map_texts(node["value"], lambda text, _: in_value(text, job_id))
    elif node["type"] == "field":
        bound["value"] = in_text(node["value"], job_id)
    return bound


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node["children"]:
            yield from _nodes(child)


def _texts(tree: Any) -> Iterator[str]:
    """The texts in which an id may stand."""
    for node in _nodes(tree):
        if node["type"] in {"literal", "field"}:
            yield from (leaf for _, leaf in leaves(node["value"]) if isinstance(leaf, str))


def _check_calls(tree: Any) -> None:
    """Raise ValueError for a call that fails always; jmespath itself notices at the first poll."""
    for node in _nodes(tree):
        if node["type"] != "function_expression":
            continue
        name, given = node["value"], len(node["children"])
        if name not in _Functions.FUNCTION_TABLE:
            raise ValueError(f"calls {name}(), which JMESPath does not have")
        wanted = _Functions.FUNCTION_TABLE[name]["signature"]
        more = wanted and wanted[-1].get("variadic")
        if given < len(wanted) or (given > len(wanted) and not more):
            at_least = "at least " if more else ""
            raise ValueError(
                f"calls {name}() with {given} arguments; it takes {at_least}{len(wanted)}"
            )


def _check_quotes(text: str) -> None:
    """Raise ValueError for a text in double quotes, which to JMESPath is the name of a field.

    A name in double quotes can be meant. It is refused only where a text must stand: compared with
    something that is no text itself, or as an argument that is a text. A name that needs its double
    quotes may stand first in a comparison: "x-status" == state.
    """
    tokens: list[Any] = [*Lexer().tokenize(text)]
    calls: list[tuple[str, int]] = []  # the open calls, each with the number of its argument
    for before, token, after in zip([{"type": "start"}, *tokens], tokens, tokens[1:], strict=False):
        kind = token["type"]
        if kind in {"lparen", "lbracket", "filter", "lbrace"}:
            called = before["type"] == "unquoted_identifier" and kind == "lparen"
            calls.append((before["value"] if called else "", 0))
        elif kind in {"rparen", "rbracket", "rbrace"} and calls:
            calls.pop()
        elif kind == "comma" and calls:
            calls[-1] = (calls[-1][0], calls[-1][1] + 1)
        elif kind == "quoted_identifier" and after["type"] not in _GOES_ON:
            begins = before["type"] in {"lparen", "comma"}
            argument = begins and calls and calls[-1] in _TEXT_ARGUMENTS
            if argument or _compared(tokens, tokens.index(token)):
                name = token["value"]
                raise ValueError(
                    f"has \"{name}\", the name of a field; a text stands in single quotes: '{name}'"
                )


def _compared(tokens: list[Any], place: int) -> bool:
    """Whether a name in double quotes is compared in a way that was meant for a text."""
    if place > 1 and tokens[place - 1]["type"] in _COMPARATORS:
        return bool(tokens[place - 2]["type"] != "literal")
    whole = not place or tokens[place - 1]["type"] != "dot"
    if whole and tokens[place + 1]["type"] in _COMPARATORS:
        needless = _PLAIN_NAME.fullmatch(tokens[place]["value"])
        return bool(needless and tokens[place + 2]["type"] == "unquoted_identifier")
    return False


_OF_ANSWER = {
    "type": "object",
    "properties": {Expression.KEY: {"type": "string"}},
    "required": [Expression.KEY],
    "additionalProperties": False,
}
JSON_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "string"}, _OF_ANSWER]}
"""An expression as a file has it: a text that sees the body, or { answer = "..." }."""

JmesPath = Annotated[Expression, BeforeValidator(Expression.of), WithJsonSchema(JSON_SCHEMA)]
Rule = Annotated[
    Expression, BeforeValidator(Expression.of_rule), WithJsonSchema({"type": "string"})
]
