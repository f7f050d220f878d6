"""Texts of jobs and servers, made safe to print.

A job's message may hold what a terminal takes for orders, and what the agents of GitHub Actions
(`::set-output`, `##[...]`) and Azure DevOps (`##vso[...]`) take for commands, wherever it stands in
a line. It must do neither. Line breaks go as well: a line that jobmon prints never begins with a
text from outside.
"""

import json
import re
import unicodedata
from typing import Any

_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -~]", re.S)
_COMMAND = re.compile(r"#(?=#)")
# They reorder what is shown: U+202A to U+202E and U+2066 to U+2069, with the marks.
_REORDERING = {"\u061c", "\u200e", "\u200f", *map(chr, [*range(0x202A, 0x202F)])}
_REORDERING |= set(map(chr, range(0x2066, 0x206A)))
_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}


def clean(text: object) -> str:
    """A text as one line that only says something."""
    kept = (
        " " if unicodedata.category(each) in _UNSEEN or each in _REORDERING else each
        for each in _SEQUENCES.sub(" ", str(text))
    )
    return _COMMAND.sub("# ", " ".join("".join(kept).split()))


def to_json(document: Any) -> str:
    """JSON in ASCII, in which no agent finds a command: `##` is written with an escape."""
    return _COMMAND.sub(r"\\u0023", json.dumps(document, indent=2))
