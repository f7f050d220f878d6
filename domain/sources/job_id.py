"""A job's id, as requests and expressions take it.

Most systems have ids of one part: `{job_id}`. Where a job is a run of a DAG, or of a repository,
its id has several parts with names (`job_id_parts`): `{job_id.dag}`, `{job_id.run}`. As one text,
the form that monitors and rows have, the parts stand in their order with a slash between them; a
slash or percent sign in a part is written %2F or %25. So two jobs never have the same text.
"""

import re
from collections.abc import Mapping, Sequence

PLACEHOLDER = re.compile(r"\{(job_id(?:\.[a-z][a-z0-9_]*)?)(:number)?\}")
"""`{job_id}`, `{job_id.PART}`, and either with `:number`."""

WHOLE = "job_id"
_JSON_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_NO_PART = {"", ".", ".."}  # in the path of a URL these would name another resource
_OTHER_ESCAPE = re.compile("%(?!25|2F)")

JobId = Mapping[str, str]
"""The text of each placeholder: {"job_id": "a/b", "job_id.dag": "a", "job_id.run": "b"}."""


def joined(values: Sequence[str]) -> str:
    """The one text of an id that has several parts."""
    return "/".join(value.replace("%", "%25").replace("/", "%2F") for value in values)


def job_id_of(text: str, names: Sequence[str]) -> JobId:
    """The id in a text; raises ValueError unless it has these parts."""
    if not names:
        return {WHOLE: text}
    values = text.split("/")
    if len(values) != len(names) or _NO_PART.intersection(values) or _OTHER_ESCAPE.search(text):
        form = "/".join(name.upper() for name in names)
        raise ValueError(f"must be {form}, with %2F for a slash and %25 for a percent sign in them")
    plain = [value.replace("%2F", "/").replace("%25", "%") for value in values]
    parts = {f"{WHOLE}.{name}": value for name, value in zip(names, plain, strict=True)}
    return {WHOLE: text, **parts}


def in_text(text: str, job_id: JobId) -> str:
    """The text with the id in the place of each placeholder."""
    return PLACEHOLDER.sub(lambda m: job_id[m[1]], text)


def in_value(text: str, job_id: JobId) -> str | int:
    """The same for a whole value: one with `:number` becomes a number, if the id is one."""
    whole = PLACEHOLDER.fullmatch(text)
    if whole and whole[2]:
        value = job_id[whole[1]]
        return int(value) if _JSON_NUMBER.fullmatch(value) else value
    return in_text(text, job_id)


def named_in(text: str) -> set[str]:
    """The placeholders in a text: "job_id", "job_id.dag"."""
    return {found[1] for found in PLACEHOLDER.finditer(text)}
