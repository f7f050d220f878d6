"""The frame of many starts."""

import json

import pytest

from domain.monitors.batch import parse_batch


@pytest.mark.parametrize("value", ["é" * 30_000, [1] * 30_000])
def test_a_start_is_no_longer_in_a_batch_than_alone(value: object) -> None:
    start = {"source": "demo", "job": {"value": value}}
    alone = json.dumps(start, ensure_ascii=False, separators=(",", ":")).encode()
    [item] = parse_batch(b'{"starts":[' + alone + b"]}")
    assert item.body == alone
