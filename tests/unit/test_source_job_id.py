"""Ids of several parts as one text: no two jobs share one, and each comes back."""

from itertools import product

import pytest

from domain.monitors.monitor_id import monitor_id
from domain.sources.job_id import in_value, job_id_of, joined

AWKWARD = ["a", "a/b", "%", "%2F", "%25", "a%2Fb", "/", "ü b", "..x", "a%", "2F", "{job_id}"]
NAMES = ("dag", "run")


def test_the_text_of_parts_is_injective() -> None:
    pairs = [*product(AWKWARD, repeat=2)]
    texts = {joined(pair): pair for pair in pairs}
    assert len(texts) == len(pairs)
    assert len({monitor_id("x", text) for text in texts}) == len(pairs)
    for text, pair in texts.items():
        assert job_id_of(text, NAMES) == {
            "job_id": text,
            "job_id.dag": pair[0],
            "job_id.run": pair[1],
        }


@pytest.mark.parametrize(
    "text", ["a", "a/b/c", "/b", "a/", "a%20/b", "a%2f/b", "%/b", "./b", "a/.."]
)
def test_a_text_that_is_no_id_of_two_parts(text: str) -> None:
    with pytest.raises(ValueError, match="must be DAG/RUN"):
        job_id_of(text, NAMES)


def test_an_id_of_one_part_is_any_text() -> None:
    assert job_id_of("a/b%", ()) == {"job_id": "a/b%"}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{job_id.run:number}", 7),
        ("{job_id.dag:number}", "a/b"),
        ("{job_id.dag}", "a/b"),
        ("run {job_id.run} of {job_id.dag}", "run 7 of a/b"),
        ("{job.dag}", "{job.dag}"),
    ],
)
def test_placeholders(template: str, value: object) -> None:
    assert in_value(template, job_id_of("a%2Fb/7", NAMES)) == value
