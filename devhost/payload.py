"""JSON texts as the Functions host reads and writes them (Newtonsoft.Json), and what queues take.

`NaN` and `Infinity` are read as texts. What is written is compact, with half characters (lone
surrogates) replaced by U+FFFD.
"""

import json
import math
from typing import Any

_ESCAPED = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}  # ends of lines
_NOT_XML = "\ufffe\uffff"

UNFIT = (
    "its text has U+FFFE or U+FFFF, which no queue message can carry: on the real host this stalls "
    'the hub, unless host.json has storageProvider.queueClientMessageEncoding "Base64"'
)
"""What is told of a text that no queue can carry."""


def read(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is too deep.
    """
    return json.loads(text, parse_constant=str, parse_float=_number)


def write(value: Any) -> str:
    """A value as compact JSON; letters are not escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.translate(_ESCAPED)


def or_none(value: Any) -> str | None:
    """A value as compact JSON, and `None` as itself."""
    return None if value is None else write(value)


def rewritten(text: str) -> str:
    """The JSON text as it is after the host has read and written it; see `read`."""
    return write(read(text))


def fits_queue(text: str | None) -> bool:
    """Whether XML 1.0, in which a queue keeps its messages, can carry the text.

    JSON escapes the control characters, so that of those which XML can't carry these two remain.
    """
    return not any(sign in (text or "") for sign in _NOT_XML)


def _number(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else f"{'-' * (value < 0)}Infinity"
