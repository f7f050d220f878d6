"""Expressions: those that can't work are refused, and a job's id enters one as a literal."""

from typing import Any

import pytest

from domain.sources.expression import Expression, is_true
from domain.sources.file import load_sources
from domain.sources.job_id import job_id_of


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a[", "is no JMESPath expression (see column 3)"),
        ("nope(@)", "calls nope(), which JMESPath does not have"),
        ("join('/')", "calls join() with 1 arguments; it takes 2"),
        ("jobs[?contains(state)]", "calls contains() with 1 arguments; it takes 2"),
        ("length(a, b)", "calls length() with 2 arguments; it takes 1"),
        ("not_null()", "it takes at least 1"),
        ('status == "completed"', "a text stands in single quotes: 'completed'"),
        ('status == "in progress"', "'in progress'"),
        ('"completed" == status', "'completed'"),
        ('jobs[?state == "done"] | [0]', "'done'"),
        ('a && (state != "done") && b', "'done'"),
        ('join("/", [a, b])', "'/'"),
        ('starts_with(state, "run")', "'run'"),
        ('contains(message, "rate limit")', "'rate limit'"),
    ],
)
def test_an_expression_that_can_not_work_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Expression(text)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("text", "document", "found"),
    [
        ("\"status\" == 'done'", {"status": "done"}, True),
        ("'done' == \"status\"", {"status": "done"}, True),
        ('"x-status" == state', {"x-status": 1, "state": 1}, True),
        ('a."b" == c', {"a": {"b": 1}, "c": 1}, True),
        ('a == b."c"', {"a": 1, "b": {"c": 1}}, True),
        ('"status" || "state"', {"state": "x"}, "x"),
        ('join(\'-\', ["a", "b"])', {"a": "x", "b": "y"}, "x-y"),
        ('contains("a", b)', {"a": "xy", "b": "y"}, True),
        ('{a: "b"}', {"b": 1}, {"a": 1}),
        ("sort_by(@, &a)[0].a", [{"a": 2}, {"a": 1}], 1),
        ("split(@, '/')[1]", "a/b", "b"),
        ("segments(@)", "https://x/a/b%2Fc/?q=/d", ["a", "b/c"]),
        ("segments(@)[-1]", "/jobs/7/", "7"),
    ],
)
def test_one_that_works_is_not(text: str, document: object, found: object) -> None:
    assert Expression(text).search(document) == found


AWKWARD = ["7", "it's", 'a"b', "`a`", "a\\", "] | [0", "{job_id}", "ü 🚀", "a.b"]


@pytest.mark.parametrize("job_id", AWKWARD)
def test_an_id_is_bound_as_a_text_and_as_a_name(job_id: str) -> None:
    bound = job_id_of(job_id, ())
    jobs: Any = [{"id": "other", "s": 1}, {"id": job_id, "s": 2}]
    assert Expression("[?id=='{job_id}'].s | [0]").search(jobs, bound) == 2
    assert Expression('[?id==`"{job_id}"`].s | [0]').search(jobs, bound) == 2
    assert Expression('"{job_id}".s').search({job_id: {"s": 2}, "other": {"s": 1}}, bound) == 2
    named = [{"id": f"run {job_id}.", "s": 2}]
    assert Expression("[?id=='run {job_id}.'].s | [0]").search(named, bound) == 2


def test_a_number_and_the_parts_of_an_id() -> None:
    assert Expression("[?id=='{job_id:number}'].s").search(
        [{"id": 7, "s": 1}], {"job_id": "7"}
    ) == [1]
    parts = job_id_of("a/7", ("dag", "run"))
    jobs = [{"dag": "a", "run": 7, "s": 1}, {"dag": "b", "run": 7, "s": 2}]
    text = "[?dag=='{job_id.dag}' && run=='{job_id.run:number}'].s"
    assert Expression(text).search(jobs, parts) == [1]


SOURCE = """
[sources.x.status]
url = "https://jobs.example/jobs{place}"
status = {status}
[sources.x.submit]
url = "https://jobs.example/jobs"
job_id = {job_id}
[sources.x.outcomes]
succeeded = ["done"]
"""


@pytest.mark.parametrize(
    ("place", "status", "job_id", "fault"),
    [
        ("", "\"jobs[?id=='{job_id}'].s | [0]\"", '"id"', None),
        ("", "{ answer = \"body[?id=='{job_id}'].s | [0]\" }", '"id"', None),
        ("", '"s"', '"id"', "[sources.x.status] url: must hold {job_id}"),
        ("/{job_id}", "\"a[?b=='{job_id.dag}']\"", '"id"', "status: has a placeholder other than"),
        ("/{job_id}", '"s"', "\"a[?b=='{job_id}']\"", "job_id: has a placeholder of a job's id"),
        ("/{job_id}", '{ answers = "s" }', '"id"', 'must be a string or { answer = "..." }'),
        ("/{job_id}", "7", '"id"', 'must be a string or { answer = "..." }'),
        ("/{job_id}", '"s"', '{ dag = "a" }', "must say each part of the id: it has none"),
    ],
)
def test_where_an_id_may_stand(place: str, status: str, job_id: str, fault: str | None) -> None:
    text = SOURCE.format(place=place, status=status, job_id=job_id)
    if fault is None:
        assert load_sources(text, {}).get("x")
        return
    with pytest.raises(Exception, match=r"job_sources\.toml") as caught:
        load_sources(text, {})
    assert fault in str(caught.value)


@pytest.mark.parametrize("value", [0, 0.0, "a", [0], True, {"a": None}])
def test_true_is_what_jmespath_takes_for_true(value: object) -> None:
    assert is_true(value)


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_false_is_what_jmespath_takes_for_false(value: object) -> None:
    assert not is_true(value)
