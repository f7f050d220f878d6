"""Placeholders: what may stand where, and what a job id or a job makes of them."""

from typing import Any

import pytest

from domain.errors import InvalidInput
from domain.sources.job_id import job_id_of
from domain.sources.template import (
    JobValues,
    about_job_body,
    about_job_url,
    body_faults,
    ids_in_body,
    url_template_faults,
)

JOB = {"name": "a b", "n": 7, "on": True, "deep": {"er": [1]}, "empty": "", "dots": ".."}


@pytest.mark.parametrize(
    ("body", "filled"),
    [
        (None, None),
        ("{job_id}", "a/1"),
        ("run {job_id}, {job_id}", "run a/1, a/1"),
        ({"id": "{job_id}", "n": 3}, {"id": "a/1", "n": 3}),
        (["{job_id}", {"x": ["{job_id}"]}], ["a/1", {"x": ["a/1"]}]),
        ("{job_id:number}", "a/1"),
        ('query { run(id: "{job_id}") { state } }', 'query { run(id: "a/1") { state } }'),
        ({"{job_id}": 1}, {"{job_id}": 1}),
    ],
)
def test_a_body_about_a_job(body: Any, filled: object) -> None:
    assert about_job_body(body, job_id_of("a/1", ())) == filled


@pytest.mark.parametrize(
    ("job_id", "number"),
    [("0", 0), ("455644833", 455644833), ("007", "007"), ("-1", "-1"), ("1e3", "1e3"), ("٣", "٣")],
)
def test_an_id_as_a_number(job_id: str, number: object) -> None:
    about = about_job_body({"run_id": "{job_id:number}"}, job_id_of(job_id, ()))
    assert about == {"run_id": number}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (None, False),
        ({"a": ["x {job_id}"]}, True),
        ({"a": "{job_id:number}"}, True),
        ({"{job_id}": "x"}, False),
        ("{job}", False),
    ],
)
def test_whether_a_body_says_which_job(body: Any, named: bool) -> None:
    assert ids_in_body(body) == ({"job_id"} if named else set())


def test_an_id_in_a_url() -> None:
    url = about_job_url("https://x/{job_id}?a={job_id}", job_id_of("a/ü", ()))
    assert url == "https://x/a%2F%C3%BC?a=a%2F%C3%BC"


RUNS = ("job_id.dag", "job_id.run")


def test_an_id_of_parts() -> None:
    job_id = job_id_of("a%2Fb/7", ("dag", "run"))
    url = about_job_url("https://x/{job_id.dag}/{job_id.run}", job_id)
    assert url == "https://x/a%2Fb/7"
    body: Any = {
        "id": "{job_id.dag}",
        "n": "{job_id.run:number}",
        "t": "{job_id.dag}: {job_id.run}",
    }
    assert about_job_body(body, job_id) == {"id": "a/b", "n": 7, "t": "a/b: 7"}


@pytest.mark.parametrize(
    ("url", "elsewhere", "fault"),
    [
        ("https://x/{job_id.dag}/{job_id.run}", (), None),
        ("https://x/{job_id.dag}", {"job_id.run"}, None),
        ("https://x/{job_id.dag}", (), "must hold {job_id.dag} and {job_id.run}"),
        ("https://x/{job_id}", (), "a placeholder other than {job_id.dag} and {job_id.run}"),
        ("https://x/{job_id.dag}/{job_id.run}/{job_id.task}", (), "a placeholder other than"),
        ("https://{job_id.dag}/{job_id.run}", (), "in its path or query and nowhere else"),
    ],
)
def test_a_url_has_all_parts(url: str, elsewhere: set[str], fault: str | None) -> None:
    faults = "; ".join(url_template_faults(url, ids=RUNS, elsewhere=elsewhere))
    assert fault in faults if fault else not faults


@pytest.mark.parametrize(
    ("body", "filled"),
    [
        ("{job}", JOB),
        ("{job.n}", 7),
        ("{job.deep}", {"er": [1]}),
        ("{job.deep.er}", [1]),
        ({"job": "{job}", "x": 1}, {"job": JOB, "x": 1}),
        (["{job.on}"], [True]),
        ("it is {job.name} or {job.n}, {job.on}", "it is a b or 7, true"),
        ("{job.name}{job.n}", "a b7"),
        ("{job.none || `{}`}", {}),
        ("{job.none || `null`}", None),
        ('{job | merge(`{"n": 0, "new": null}`, @)}', {**JOB, "new": None}),
        ("{ job }", "{ job }"),
        ("{name}", "{name}"),
        ("{{job_name}}", "{{job_name}}"),
    ],
)
def test_a_body_that_starts_a_job(body: Any, filled: object) -> None:
    values = JobValues(JOB)
    assert values.body(body) == filled
    values.check()


def test_an_empty_job_is_a_job() -> None:
    assert JobValues({}).body("{job}") == {}
    assert JobValues({}).body("{job || `null`}") is None


def test_a_job_in_a_url() -> None:
    values = JobValues(JOB)
    assert values.url("https://x/{job.name}/{job.n}?on={job.on}") == "https://x/a%20b/7?on=true"
    values.check()


def test_all_that_a_job_lacks_is_told_at_once() -> None:
    values = JobValues(JOB)
    values.url("https://x/{job.one}/{job.empty}/{job.dots}/{job.deep}")
    values.body({"a": "{job.two}", "b": "x {job.three}", "c": "{job.none || `1`}"})
    values.body("{job.n | length(@)}")
    with pytest.raises(InvalidInput) as caught:
        values.check()
    assert [fault.where for fault in caught.value.faults] == [
        *("job.one", "job.empty", "job.dots", "job.deep", "job.two", "job.three", "job")
    ]


@pytest.mark.parametrize(
    ("body", "of_one_job", "fault"),
    [
        ({"a": [{"b": "{job}"}]}, True, "(at a[0].b)"),
        ("{job.id}", True, "other than {job_id}"),
        ("{job_id:text}", True, "other than {job_id}"),
        ("x {job_id:number}", True, "other than {job_id}"),
        ("{jobid}", True, "other than {job_id}"),
        ("{job_id}", False, "other than {job.NAME}"),
        ("x {job}", False, "other than {job.NAME}"),
        ("{job.a b}", False, "no JMESPath expression"),
        ("{job[}", False, "no JMESPath expression"),
        ("{job.a || nope(@)}", False, "calls nope()"),
        ({"a": float("nan")}, False, "a value that JSON does not have (at a)"),
        ({"a": float("inf")}, True, "a value that JSON does not have"),
    ],
)
def test_faults(body: Any, of_one_job: bool, fault: str) -> None:
    (found,) = body_faults(body, ids=("job_id",) if of_one_job else None)
    assert fault in found


@pytest.mark.parametrize("of_one_job", [True, False])
@pytest.mark.parametrize("body", [None, {}, [], 1, True, "", "{id}", "query {a{b}}", {"a": 1.5}])
def test_no_faults(body: Any, of_one_job: bool) -> None:
    assert [*body_faults(body, ids=("job_id",) if of_one_job else None)] == []
