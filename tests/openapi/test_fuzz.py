"""Requests made from the description; `make fuzz` tries many more of them.

The short tests hold their own answers against the description as well: see `tests.api.Api.call`.
"""

from pathlib import Path

import pytest

from tests.openapi.fuzz import fuzz


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        ("--phases", "fuzzing", "--max-examples", "3"),
        ("--phases", "coverage,stateful", "--max-examples", "20"),
    ],
    ids=["random", "systematic"],
)
def test_every_answer_is_as_described(url: str, tmp_path: Path, options: tuple[str, ...]) -> None:
    count, found = fuzz(url, tmp_path, *options, "--seed", "1")
    assert count > 50
    assert not found, found
