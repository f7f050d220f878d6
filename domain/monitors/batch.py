"""The request that starts many monitors: its frame. Each start is checked as a single one is."""

import json
from typing import Annotated, Any, NamedTuple

from pydantic import Field, GetJsonSchemaHandler, JsonValue
from pydantic.json_schema import JsonSchemaValue

from domain.errors import InvalidInput
from domain.monitors.start import StartRequest, read_model, read_object
from domain.wire import WireModel

STARTS = 100
"""The starts of one request at the most."""

KEY_PATTERN = "^[!-~]{1,255}$"
"""Of an Idempotency-Key."""

_KEY = "idempotencyKey"


class BatchedStart(StartRequest):
    """One start of a batch: the body of a single start, with its key.

    Attributes:
        idempotency_key: A name for this start that its repetitions bring, too, like the header
            Idempotency-Key of a single start.
    """

    idempotency_key: Annotated[str | None, Field(pattern=KEY_PATTERN)] = None


class _Described:
    """Describes a value as a start, and leaves its check to the start's own answer."""

    @staticmethod
    def __get_pydantic_json_schema__(_: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(BatchedStart.__pydantic_core_schema__)


class StartBatch(WireModel):
    """The body of `POST /api/monitors:batch`.

    Attributes:
        starts: The starts. A faulty one keeps no other from its start.
    """

    starts: Annotated[
        list[Annotated[JsonValue, _Described]], Field(min_length=1, max_length=STARTS)
    ]


class Item(NamedTuple):
    """One start of a batch, unchecked.

    Attributes:
        body: Its JSON text, as the body of a single start.
        key: The value in the place of its Idempotency-Key.
    """

    body: bytes
    key: object


def parse_batch(body: bytes) -> list[Item]:
    """Read the frame of a batch; InvalidInput names its faults."""
    read_object(body)
    batch, faults = read_model(body, StartBatch, {})
    if batch is None:
        raise InvalidInput(faults)
    return [_item(each) for each in batch.starts]


def _item(start: JsonValue) -> Item:
    key = None
    if isinstance(start, dict):
        key = start.get(_KEY)
        start = {name: value for name, value in start.items() if name != _KEY}
    # No longer than alone, so that the limit of a start's length is the same.
    return Item(json.dumps(start, ensure_ascii=False, separators=(",", ":")).encode(), key)
