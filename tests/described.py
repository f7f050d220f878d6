"""Every answer that a test gets, held against the description of the API."""

import copy
import re
from functools import cache
from typing import Any

import jsonschema
import requests

import function_app
from triggers.describe import describe
from triggers.operation import OPERATIONS

assert function_app.app  # whose parts have declared their operations
_DRAFT = jsonschema.Draft202012Validator


def hold(method: str, path: str, answer: requests.Response) -> None:
    """Fail if the answer to a request is none that the description has; the path has no query."""
    responses = _responses(method, path)
    if responses is None:  # the host answers for a path or a method that no route has
        return
    if answer.status_code == 500 and not answer.content:  # and for a function that failed
        return
    assert str(answer.status_code) in responses, (
        f"{method} {path} answered {answer.status_code}, which its @operation does not say: "
        f"{answer.text[:500]}"
    )
    content = responses[str(answer.status_code)].get("content")
    if content is None:
        assert answer.content == b"", f"{method} {path} {answer.status_code}"
        return
    media = answer.headers["Content-Type"].partition(";")[0]
    assert media in content, f"{method} {path}: {media}"
    if media.endswith("json"):
        faults = [
            f"{'/'.join(map(str, fault.absolute_path))}: {fault.message}"
            for fault in _validator(content[media]["schema"].get("$ref")).iter_errors(answer.json())
        ]
        assert not faults, f"{method} {path} {answer.status_code}: {faults}"


@cache
def _document() -> dict[str, Any]:
    return describe(OPERATIONS, "https://app.example", "/api", entra=False)


@cache
def _responses(method: str, path: str) -> dict[str, Any] | None:
    for template, methods in _document()["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path, re.IGNORECASE) and method.lower() in methods:
            responses: dict[str, Any] = methods[method.lower()]["responses"]
            return responses
    return None


@cache
def _validator(reference: str | None) -> Any:
    """For an answer that holds nothing more than what is described, although clients allow it."""
    if reference is None:
        return _DRAFT({})
    components = copy.deepcopy(_document()["components"])
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    document = {"$ref": reference, "components": components}
    return _DRAFT(document, format_checker=_DRAFT.FORMAT_CHECKER)
