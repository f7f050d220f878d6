"""Ids of monitors: readable where they can be, and never shared (part of I1)."""

import hashlib
import itertools
import re

import pytest

from domain.monitors.monitor_id import earlier_id, is_monitor_id, monitor_id

LONG = "a-source-with-a-name-32-letters-"  # no name of a source is longer
AWKWARD = [
    "a/b",
    "a#1",
    "a?x=1",
    "a b",
    "a%2Fb",
    "a\\b",
    "@a",
    "Job-1",
    "job-1",
    "JOB-1",
    "ジョブ",
    "a" * 67,
    "a" * 68,
    "a" * 95,
    "a" * 96,
    "a" * 100,
    "a" * 101,
    "A " * 30,
    "a" * 400,
    "a~b",
    ".a",
    "a.b",
    "-",
    "a-b",
    "a_b",
]


@pytest.mark.parametrize("job_id", ["run-42", "0f8fad5b-d9cb-469f-a165-70867728950e", "a_b.c"])
def test_a_safe_job_id_stays_readable(job_id: str) -> None:
    assert monitor_id("demo", job_id) == f"demo.{job_id}"


@pytest.mark.parametrize("job_id", AWKWARD)
def test_every_id_is_safe_in_urls_instance_ids_and_table_keys(job_id: str) -> None:
    assert re.fullmatch(r"demo[.~][a-z0-9._~-]{1,95}", monitor_id("demo", job_id))


def test_no_two_jobs_share_an_id() -> None:
    """I1: also not where ids are compared without regard to case."""
    jobs = list(itertools.product(["demo", "demo-2", "d", LONG], AWKWARD))
    assert len({monitor_id(*job).lower() for job in jobs}) == len(jobs)


def test_the_id_of_a_hashed_job_still_tells_what_it_is() -> None:
    assert monitor_id("ray", "raysubmit_Xy/1").startswith("ray~raysubmit-xy-1~")


def test_an_id_is_the_same_for_ever() -> None:
    """Rows and instances of earlier releases are found by it."""
    assert monitor_id("demo", "a/b") == "demo~a-b~c14cddc033f64b9dea80ea675cf280a0"


@pytest.mark.parametrize("source", ["d", "demo", LONG])
@pytest.mark.parametrize("job_id", AWKWARD)
def test_no_id_is_longer_than_any_backend_takes(source: str, job_id: str) -> None:
    assert len(source) <= 32
    assert len(monitor_id(source, job_id)) <= 100
    assert is_monitor_id(monitor_id(source, job_id))


@pytest.mark.parametrize(
    ("source", "job_id", "earlier"),
    [
        ("demo", "a" * 95, None),  # 100 characters
        ("demo", "a" * 96, "demo." + "a" * 96),
        ("demo", "a" * 100, "demo." + "a" * 100),
        ("demo", "a" * 101, None),
        ("demo", "a/b", None),
        (LONG, "j" * 100, LONG + "." + "j" * 100),
        (LONG, "A" * 40, f"{LONG}~{'a' * 40}~{hashlib.sha256(b'A' * 40).hexdigest()[:32]}"),
    ],
)
def test_an_id_of_0_1_is_known_where_it_was_longer(
    source: str, job_id: str, earlier: str | None
) -> None:
    known = earlier_id(source, job_id)
    assert known == earlier
    if known:
        assert is_monitor_id(known)
        assert len(known) > 100
