"""Placeholders in URLs and bodies, and the values that take their place.

In a request about one job:

- `{job_id}`: its id, or `{job_id.PART}` if ids have parts; percent-encoded in a URL.
- `{job_id:number}`, as a whole value of a body: the id as a JSON number, if it is one.

In the request that starts a job, where `job` is the job of the caller:

- `{job.NAME}`: a member of it, `{job.NAME.INNER}` one further in. It must be there. In a URL it is
  percent-encoded; as a whole value of a body it has any type.
- As a whole value of a body also `{job}` itself, and any JMESPath that begins with it, so that a
  member may be missing: "{job.inputs || `{}`}".

Other braces are text, for a body may be GraphQL.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import quote

from pydantic import JsonValue

from domain.errors import Fault, InvalidInput
from domain.sources.expression import Expression
from domain.sources.job_id import PLACEHOLDER, WHOLE, JobId, in_text, in_value, named_in
from domain.sources.tree import Path, json_has, leaves, map_texts

_MEMBER = re.compile(r"\{(job(?:\.[A-Za-z_][A-Za-z0-9_]*)+)\}")
_WHOLE = re.compile(r"\{(job\b.*)\}", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{job[^{}]*\}")
_NO_SEGMENT = {"", ".", ".."}  # as a segment of a path these would name another resource


def about_job_url(url: str, job_id: JobId) -> str:
    """The URL for one job; raises ValueError for "", "." and ".."."""
    if not _NO_SEGMENT.isdisjoint(job_id.values()):
        raise ValueError("a job id can't be empty, . or ..")
    return in_text(url, {name: quote(value, safe="") for name, value in job_id.items()})


def about_job_body(body: JsonValue, job_id: JobId) -> JsonValue:
    """The body for one job."""
    about: JsonValue = map_texts(body, lambda text, _: in_value(text, job_id))
    return about


class JobValues:
    """A job that a caller sent, to be put into the request that starts it."""

    def __init__(self, job: Mapping[str, object]) -> None:
        self._document = {"job": job}
        self._missing: dict[str, Fault] = {}

    def url(self, url: str) -> str:
        """The URL with the job's members in it, percent-encoded."""
        return _MEMBER.sub(lambda m: quote(self._text(m[1], segment=True), safe=""), url)

    def body(self, body: JsonValue) -> JsonValue:
        """The body with the job, its members, or values that expressions make of it."""
        filled: JsonValue = map_texts(body, self._filled)
        return filled

    def text(self, template: str) -> str:
        """A text with the job's members in it."""
        return _MEMBER.sub(lambda m: self._text(m[1]), template)

    def check(self) -> None:
        """Raise InvalidInput if the job lacked anything that it was asked for."""
        if self._missing:
            raise InvalidInput([*self._missing.values()])

    def _filled(self, template: str, _: Path) -> JsonValue:
        whole = _expression(template)
        if whole is None:
            return self.text(template)
        value = self._search(whole)
        if value is None and is_member(template):
            self._miss(whole, "must be given")
        return value

    def _search(self, expression: str) -> JsonValue:
        try:
            found: JsonValue = Expression(expression).search(self._document)
        except ValueError:
            found = None
            self._miss("job", f"does not fit the expression {expression}")
        return found

    def _miss(self, where: str, what: str) -> None:
        self._missing[where] = Fault(where, what)

    def _text(self, member: str, *, segment: bool = False) -> str:
        value = self._search(member)
        text = value if isinstance(value, str) else json.dumps(value)
        if isinstance(value, None | dict | list) or (segment and text in _NO_SEGMENT):
            self._miss(member, "must be given, as a text or a number")
        return text


def is_member(text: str) -> bool:
    """Whether the text is `{job.NAME}` and nothing else."""
    return bool(_MEMBER.fullmatch(text))


def _expression(text: str) -> str | None:
    """The expression that a whole value of a body is, or None for text around members."""
    if is_member(text) or "{job" in _MEMBER.sub("", text):
        whole = _WHOLE.fullmatch(text)
        return whole[1] if whole else None
    return None


def ids_in_body(value: JsonValue) -> set[str]:
    """The placeholders of the job's id in a body."""
    texts = (leaf for _, leaf in leaves(value) if isinstance(leaf, str))
    return {name for text in texts for name in named_in(text)}


def body_faults(body: JsonValue, *, ids: Collection[str] | None) -> Iterator[str]:
    """The faults of the placeholders of a body, in texts that do not repeat its values.

    Args:
        body: The body with its placeholders.
        ids: The placeholders of a job's id; None if the request starts a job.
    """
    for path, leaf in leaves(body):
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        where = "".join(steps).lstrip(".")
        if not json_has(leaf):
            yield f"holds a value that JSON does not have (at {where})"
        elif isinstance(leaf, str):
            fault = _job_fault(leaf) if ids is None else _about_fault(leaf, ids)
            if fault:
                yield f"{fault} (at {where})" if path else fault


def url_template_faults(
    url: str, *, ids: Collection[str] | None, elsewhere: Collection[str] = ()
) -> list[str]:
    """The faults of the placeholders of a URL.

    A request never leaves the host that the file names: they stand in path and query only.

    Args:
        url: The URL with its placeholders.
        ids: The placeholders of a job's id, which the request must hold; None if it starts a job.
        elsewhere: Those that its body holds, or the expression that reads its answer.
    """
    if ids is None and WHOLE in named_in(url):
        return ["must not hold {job_id}: there is no job yet"]
    known = "{job.NAME}" if ids is None else shown(ids)
    own = "|".join(re.escape(f"{{{name}}}") for name in ids or ())
    placeholder = _MEMBER if ids is None else re.compile(own)
    path_and_query = re.sub("^[A-Za-z]+://[^/?#]*", "", url)
    faults = []
    if re.search("[{}]", placeholder.sub("", url)):
        faults.append(f"has a placeholder other than {known}")
    in_all, in_place = (len(placeholder.findall(text)) for text in (url, path_and_query))
    lacks = ids is not None and not {*ids} <= named_in(url) | {*elsewhere}
    if in_place < in_all or lacks:
        faults.append(f"must hold {known}, in its path or query and nowhere else")
    return faults


def shown(ids: Collection[str]) -> str:
    """Placeholders as a file has them, for people."""
    return " and ".join(f"{{{name}}}" for name in ids)


def _about_fault(text: str, ids: Collection[str]) -> str | None:
    whole = PLACEHOLDER.fullmatch(text)
    if whole and whole[1] in ids:
        return None
    rest = PLACEHOLDER.sub(lambda m: "" if m[1] in ids and not m[2] else m[0], text)
    if not _PLACEHOLDER.search(rest):
        return None
    numbers = " and ".join(f"{{{name}:number}}" for name in ids)
    return f"has a placeholder other than {shown(ids)} and, as a whole value, {numbers}"


def _job_fault(text: str) -> str | None:
    expression = _expression(text)
    if expression:
        try:
            Expression(expression)
        except ValueError as error:
            return f"has a placeholder that {error}"
    elif _PLACEHOLDER.search(_MEMBER.sub("", text)):
        return "has a placeholder other than {job.NAME} and, as a whole value, {job}"
    return None
