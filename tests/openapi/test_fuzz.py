"""Requests made from the description; `make fuzz` tries many more of them."""

from pathlib import Path

import pytest

from tests.openapi.fuzz import fuzz


@pytest.mark.parametrize(
    "options",
    [
        ("--phases", "fuzzing", "--max-examples", "3"),
        pytest.param(
            ("--phases", "coverage,stateful", "--max-examples", "20"), marks=pytest.mark.long
        ),
    ],
    ids=["random", "systematic"],
)
def test_every_answer_is_as_described(url: str, tmp_path: Path, options: tuple[str, ...]) -> None:
    count, found = fuzz(url, tmp_path, *options, "--seed", "1")
    assert count > 50
    assert not found, found
