"""Placeholders in URLs and bodies, and what stands in their place.

In a request about one job:

- `{job_id}`: its id; percent-encoded in a URL.
- `{job_id:number}`, as a whole value of a body: the id as a JSON number, if it is one.

In the request that starts a job, where `job` is what the caller sent:

- `{job.NAME}`: a member of it, `{job.NAME.INNER}` one further in. It must be there. In a URL it is
  percent-encoded; as a whole value of a body it has any type.
- As a whole value of a body also `{job}` itself, and any JMESPath that begins with it, so that a
  member may be missing: "{job.inputs || `{}`}".

Other braces are text, for a body may be GraphQL.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from pydantic import JsonValue

from domain.errors import Fault, InvalidInput
from domain.sources.expression import Expression
from domain.sources.tree import Path, leaves, map_texts

JOB_ID = "{job_id}"
_ID = re.compile(re.escape(JOB_ID))
_NUMBER = "{job_id:number}"
_MEMBER = re.compile(r"\{(job(?:\.[A-Za-z_][A-Za-z0-9_]*)+)\}")
_WHOLE = re.compile(r"\{(job\b.*)\}", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{job[^{}]*\}")
_JSON_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_NO_SEGMENT = {"", ".", ".."}  # as a segment of a path these would name another resource


def about_job_url(url: str, job_id: str) -> str:
    """The URL for one job; raises ValueError for "", "." and ".."."""
    if job_id in _NO_SEGMENT:
        raise ValueError("a job id can't be empty, . or ..")
    return url.replace(JOB_ID, quote(job_id, safe=""))


def about_job_body(body: JsonValue, job_id: str) -> JsonValue:
    """The body for one job."""

    def filled(text: str, _: Path) -> JsonValue:
        if text == _NUMBER:
            return int(job_id) if _JSON_NUMBER.fullmatch(job_id) else job_id
        return text.replace(JOB_ID, job_id)

    about: JsonValue = map_texts(body, filled)
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
        """The body with the job, its members, or what expressions make of it."""
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


def names_job(value: JsonValue) -> bool:
    """Whether the body says which job it is about."""
    texts = [leaf for _, leaf in leaves(value) if isinstance(leaf, str)]
    return any(JOB_ID in text or text == _NUMBER for text in texts)


def body_faults(body: JsonValue, *, of_one_job: bool) -> Iterator[str]:
    """What is wrong with the placeholders of a body, in texts that do not repeat its values."""
    for path, leaf in leaves(body):
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        where = "".join(steps).lstrip(".")
        match leaf:
            case str():
                fault = _about_fault(leaf) if of_one_job else _job_fault(leaf)
                if fault:
                    yield f"{fault} (at {where})" if path else fault
            case None | bool() | int():
                pass
            case float() if math.isfinite(leaf):
                pass
            case _:  # a date, say: TOML has them
                yield f"holds a value that JSON does not have (at {where})"


def url_template_faults(url: str, *, of_one_job: bool, named: bool = False) -> list[str]:
    """What is wrong with the placeholders of a URL.

    A request never leaves the host that the file names: they stand in path and query only.

    Args:
        url: The URL with its placeholders.
        of_one_job: Whether it is about a job that is there; else it starts one.
        named: Whether the body of the request says which job it is about.
    """
    placeholder, known = (_ID, JOB_ID) if of_one_job else (_MEMBER, "{job.NAME}")
    path_and_query = re.sub("^[A-Za-z]+://[^/?#]*", "", url)
    faults = []
    if not of_one_job and JOB_ID in url:
        faults.append("must not hold {job_id}: there is no job yet")
    elif re.search("[{}]", placeholder.sub("", url)):
        faults.append(f"has a placeholder other than {known}")
    in_all, in_place = (len(placeholder.findall(text)) for text in (url, path_and_query))
    if in_place < in_all or (of_one_job and not in_all and not named):
        faults.append(f"must hold {known}, in its path or query and nowhere else")
    return faults


def _about_fault(text: str) -> str | None:
    if text != _NUMBER and _PLACEHOLDER.search(text.replace(JOB_ID, "")):
        return "has a placeholder other than {job_id} and, as a whole value, {job_id:number}"
    return None


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
