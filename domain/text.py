"""Texts from outside: what may enter the task hub, and how long ones are cut.

Azure Storage carries the messages of a queue as XML. XML 1.0 has no place for most control
characters, for U+FFFE and U+FFFF, and for half a surrogate pair
(https://www.w3.org/TR/xml/#charsets). The queue refuses a message with such a character. The host
then tries again for ever, and all other messages wait.

A long text is cut in the middle: the cause of a failure stands at the end of a log.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

_CUT = " … "
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_carriable(text: str) -> bool:
    """Whether XML 1.0 has a place for each character."""
    return not _NO_XML.search(text)


def carriable(text: str) -> str:
    """The text with U+FFFD in the place of each character that XML 1.0 can't carry."""
    return _NO_XML.sub("\ufffd", text)


def both_ends(text: str, length: int) -> str:
    """The text, at most `length` characters long: a third of it from the start, then the end."""
    if len(text) <= length:
        return text
    if length <= 3 * len(_CUT):
        return text[:length]
    start = (length - len(_CUT)) // 3
    return text[:start].rstrip() + _CUT + text[start + len(_CUT) - length :].lstrip()


Text = Annotated[str, AfterValidator(carriable)]
"""A text from outside, as it may enter the task hub."""


PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"
"""As much of the next function as a JSON schema can say."""


def printable(text: str) -> str:
    """The text; ValueError if it holds a character that can't be printed."""
    if not text.isprintable():
        raise ValueError("must hold printable characters alone")
    return text


def whole_number(text: str) -> int | None:
    """The number that a text of at most nine digits is, else None.

    `int` takes other things for digits, too, and refuses thousands of them with an error.
    """
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None
