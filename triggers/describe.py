"""The description of the API as an OpenAPI 3.1 document, made from its operations and models.

1. An operation gets its path and method from its function, its security from level and role.
2. The schemas are those that pydantic makes of the models that the handlers read and answer with.
3. A model's docstring describes its schema, and the section `Attributes` describes the fields.

Source of the form: https://spec.openapis.org/oas/v3.1.1.html.
"""

import inspect
import re
from collections.abc import Iterable
from typing import Any

import azure.functions as func
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from domain.monitors.batch import KEY_PATTERN
from domain.monitors.monitor_id import PATTERN
from domain.sources.file import NAME
from domain.wire import WireModel
from triggers.answers import Problem
from triggers.operation import Answer, Operation

VERSION = "0.1.0"
"""The release, as pyproject.toml has it."""

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/{model}"
_PROBLEM = "application/problem+json"
_ABOUT = (
    "Watches long-running jobs durably and stores how they ended. A monitor is the watch over one "
    "job. Every error is a problem (RFC 9457) that names each fault of the request."
)
_PROBLEMS = {
    400: "The request can't be taken; `errors` names every fault, and nothing is changed.",
    401: "Nobody knows who asks. The Functions host answers so without a body if a key is missing.",
    403: "The role is missing; with keys the Functions host answers so without a body.",
    404: "There is no such monitor, source or channel.",
    409: "The monitor stands in the way.",
    413: "The body is too long.",
    422: "The Idempotency-Key came with another request before.",
    502: "The source did not take the job.",
    503: "The store or the task hub does not answer, or the configuration is faulty.",
}
_HEADERS = {
    "Content-Security-Policy": "What the page may load, and who may frame it.",
    "ETag": "A tag of the bytes, for If-None-Match.",
    "Location": "Where to go on.",
    "Retry-After": "Seconds to wait before the next request.",
    "WebHook-Allowed-Origin": "The sender that asked.",
    "WebHook-Allowed-Rate": "The requests that it may send in a minute; * for any number.",
    "WWW-Authenticate": "How to prove oneself.",
}
_HEADERS_OF_PROBLEMS = {401: ["WWW-Authenticate"], 503: ["Retry-After"]}
_PATH: dict[str, Json] = {
    "id": {
        "description": "The id of a monitor, as the start answered it.",
        "schema": {"type": "string", "pattern": f"^{PATTERN}$"},
    },
    "source": {
        "description": "The name of a source.",
        "schema": {"type": "string", "pattern": f"^{NAME.pattern}$"},
    },
    "file": {
        "description": "The name of a file of the page.",
        "schema": {"type": "string", "pattern": r"^[a-z-]+\.[a-z]+$"},
    },
    "channel": {
        "description": "The name of a channel.",
        "schema": {"type": "string", "pattern": f"^{NAME.pattern}$"},
    },
}
_READ_HEADERS: dict[str, Json] = {
    "Idempotency-Key": {
        "description": "A name for this request that its repetitions bring, too. For 24 hours they "
        "get the answer of the first, and start nothing again.",
        "schema": {"type": "string", "pattern": KEY_PATTERN},
    },
    "WebHook-Request-Origin": {
        "required": True,
        "description": "The sender that asks.",
        "schema": {"type": "string", "pattern": "^[ -~]*[!-~][ -~]*$"},
    },
    "X-Hub-Signature-256": {
        "required": True,
        "description": "`sha256=` and the HMAC-SHA256 of the body in hexadecimal.",
        "schema": {"type": "string", "pattern": "^sha256=[0-9A-Fa-f]{64}$"},
    },
}
_FORM: Json = {"type": "object", "properties": {"payload": {"type": "string"}}}
_EVENTS: Json = {
    "application/json": {"schema": {}},
    "application/cloudevents+json": {"schema": {}},
    "application/x-www-form-urlencoded": {"schema": _FORM},  # of GitHub, with JSON in `payload`
}
_KEYS: dict[str, Json] = {
    "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
    "functionKeyInQuery": {"type": "apiKey", "in": "query", "name": "code"},
}
_MASTER_KEY: dict[str, Json] = {
    "masterKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-functions-key",
        "description": "The master key of the app.",
    },
}
_ENTRA: dict[str, Json] = {
    "entra": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of Microsoft Entra ID for the app, with the role as a claim.",
    },
}


def describe(operations: Iterable[Operation], origin: str, prefix: str, *, entra: bool) -> Json:
    """The document.

    Args:
        operations: The operations of the API.
        origin: Where the app serves, as `https://example.com`.
        prefix: The path of all routes, as `/api`.
        entra: Whether roles of Microsoft Entra ID decide, and not keys.
    """
    operations = sorted(operations, key=_place)
    schemas = _Components(operations)
    paths: dict[str, Json] = {}
    for each in operations:
        trigger: Any = each.function.get_trigger()
        path = paths.setdefault(f"{prefix}/{trigger.route}", {})
        for method in trigger.methods:
            path[method.value.lower()] = _described(each, schemas, entra=entra)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Job Monitor", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": origin}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": _MASTER_KEY | (_ENTRA if entra else _KEYS),
        },
    }


def _place(operation: Operation) -> tuple[str, str]:
    trigger: Any = operation.function.get_trigger()
    return trigger.route, trigger.methods[0].value


def _described(operation: Operation, schemas: "_Components", *, entra: bool) -> Json:
    function = operation.function
    trigger: Any = function.get_trigger()
    role = vars(function.get_user_function()).get("role")
    summary, _, more = (inspect.getdoc(function.get_user_function()) or "").partition("\n")
    parameters = [
        {"name": name, "in": "path", "required": True, **_PATH.get(name, _ANY_TEXT)}
        for name in re.findall(r"\{(\w+)\}", trigger.route)
    ]
    parameters += schemas.parameters(operation.query) if operation.query else []
    parameters += [{"name": n, "in": "header", **_READ_HEADERS[n]} for n in operation.headers]
    answers: dict[int, Answer | str] = {each: _PROBLEMS[each] for each in operation.problems}
    answers |= {each: _PROBLEMS[each] for each in (401, 403) if role}
    answers |= operation.answers
    described: Json = {
        "operationId": function.get_function_name(),
        "tags": [re.split("[/:.]", trigger.route)[0]],
        "summary": summary.removesuffix("."),
        "description": more.strip(),
        "security": _security(trigger.auth_level, role, entra=entra),
        "parameters": parameters,
        "responses": {
            str(each): _response(each, answers[each], schemas) for each in sorted(answers)
        },
    }
    if operation.body is object:
        described["requestBody"] = {"content": _EVENTS}
    elif operation.body:
        content = {"application/json": {"schema": schemas.read(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    return {name: value for name, value in described.items() if value or name == "security"}


_ANY_TEXT: Json = {"schema": {"type": "string"}}


def _security(level: func.AuthLevel | None, role: str | None, *, entra: bool) -> list[Json]:
    """The ways to prove oneself; one of them is enough, and an empty list opens the route."""
    roles = {"entra": [str(role)]} if entra and role else {}
    if level is func.AuthLevel.ADMIN:
        return [{"masterKey": [], **roles}]
    if roles:
        return [roles]
    return [{key: []} for key in _KEYS] if role else []


def _response(status: int, answer: Answer | str, schemas: "_Components") -> Json:
    if isinstance(answer, str):
        answer = Answer(answer, Problem, _HEADERS_OF_PROBLEMS.get(status, ()), _PROBLEM)
    described: Json = {"description": answer.what}
    if answer.body is not None:
        described["content"] = {answer.media: {"schema": schemas.written(answer.body)}}
    if answer.headers:
        described["headers"] = {
            name: {"description": _HEADERS[name], "schema": {"type": "string"}}
            for name in answer.headers
        }
    return described


class _Components:
    """The schemas of all models that the operations name.

    Attributes:
        definitions: By the names of the models.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        read, written = [], [Problem]
        for each in operations:
            read += [each.body] if each.body not in (None, object) else []
            read += [each.query] if each.query else []
            answers = [answer for answer in each.answers.values() if isinstance(answer, Answer)]
            written += [answer.body for answer in answers if answer.body is not None]
        inputs: list[tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = []
        inputs += [(kind, "validation", TypeAdapter(kind)) for kind in dict.fromkeys(read)]
        inputs += [(kind, "serialization", TypeAdapter(kind)) for kind in dict.fromkeys(written)]
        self._schemas, rest = TypeAdapter.json_schemas(
            inputs, ref_template=_SCHEMAS, schema_generator=_Schemas
        )
        self.definitions: dict[str, Json] = rest["$defs"]
        queries = {each.query for each in operations if each.query}
        self._queries = {each: self._take(each) for each in queries}

    def _take(self, query: type[WireModel]) -> Json:
        """The schema of a query, which is described by its parameters instead."""
        return self.definitions.pop(self.read(query)["$ref"].rpartition("/")[2])

    def read(self, kind: Any) -> Json:
        """The schema of a body that a handler reads."""
        return self._schemas[(kind, "validation")]

    def written(self, kind: Any) -> Json:
        """The schema of a body that a handler answers with."""
        return self._schemas[(kind, "serialization")]

    def parameters(self, query: type[WireModel]) -> list[Json]:
        """The parameters that a query has."""
        schema = self._queries[query]
        required = schema.get("required", [])
        return [
            {
                "name": name,
                "in": "query",
                "allowEmptyValue": True,  # which counts as none
                **({"required": True} if name in required else {}),
                "description": each.get("description", ""),
                "schema": _given({key: each[key] for key in each if key != "description"}),
            }
            for name, each in schema["properties"].items()
        ]


class _Schemas(GenerateJsonSchema):
    """Schemas without titles, which repeat the names, and with the texts of the docstrings.

    A body that is answered has all its fields, but for those that are left out while they are None.
    Later releases may answer with more: so it is open, while a body that is read is not.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - never
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        if self.mode == "serialization":
            return "serialization_exclude_if" not in field
        return super().field_is_required(field, total)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """The schema of a field with a default, which it only names if that tells something."""
        found = super().default_schema(schema)
        if self.mode == "serialization" or found.get("default", ...) is None:
            found.pop("default", None)
        return found

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        found.pop("title", None)
        if self.mode == "serialization" and found.get("additionalProperties") is False:
            del found["additionalProperties"]
        found["description"] = (inspect.getdoc(model) or "").partition("\n\n")[0].replace("\n", " ")
        texts = _texts_of_fields(model)
        for name, field in model.model_fields.items():
            place = found["properties"].get(field.alias or name)
            if place is None:  # a field that no answer shows
                continue
            if field.exclude_if:
                found["properties"][field.alias or name] = place = _given(place)
            if name in texts:
                place["description"] = texts[name]
        return found


def _given(schema: Json) -> Json:
    """The schema of a value that is not null if it is given."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**kinds[0], **{key: schema[key] for key in schema if key != "anyOf"}}


def _texts_of_fields(model: type[BaseModel]) -> dict[str, str]:
    """The text of each field in the section `Attributes` of a docstring, bases first."""
    texts: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        section = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        for entry in re.split(r"^    (?=\w)", section, flags=re.MULTILINE):
            name, colon, text = entry.partition(": ")
            if colon:
                texts[name] = " ".join(text.split())
    return texts
