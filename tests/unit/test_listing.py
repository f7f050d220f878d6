"""The list of a source: its configuration, its requests, its pages, and what can't be read."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from domain.errors import ConfigurationFault
from domain.outcome import Outcome
from domain.sources.answer import Answer
from domain.sources.file import load_sources
from domain.sources.listing import time_of
from domain.sources.page import Page, read_page
from domain.sources.source import Source

AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
ORIGIN = "https://jobs.example"
BASE = f"""
status.url = "{ORIGIN}/jobs/{{job_id}}"
status.status = "state"
outcomes.running = ["on"]
outcomes.succeeded = ["done"]
"""
LIST = f"""
list.url = "{ORIGIN}/jobs?limit=2"
list.items = "jobs"
list.id = "id"
list.status = "state"
"""
SINCE = LIST.replace("limit=2", "after={since}") + 'list.updated = "at"\n'
BY_TOKEN = 'list.pages = { kind = "token", token = "next", name = "page_token" }\n'  # noqa: S105
BY_LINK = "list.pages = { kind = \"link\", link = { answer = 'headers.link' } }\n"
BY_OFFSET = 'list.pages = { kind = "offset", name = "offset", size = 2 }\n'


def source(*lines: str) -> Source:
    return load_sources("[sources.x]\n" + BASE + "\n".join(lines), {}).get("x")


def faults(*lines: str) -> list[str]:
    with pytest.raises(ConfigurationFault) as caught:
        source(*lines)
    return [str(fault) for fault in caught.value.faults]


def answer(body: object, status: int = 200, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, names, json.dumps(body).encode())


def page(*lines: str, body: object, at: str | None = None, **more: Any) -> Page:
    return read_page(source(*(lines or (LIST,))), at, answer(body, **more), AT)


@pytest.mark.parametrize(
    ("lines", "sweep"),
    [
        ((), None),
        ((LIST,), "list"),
        ((LIST, 'sweep = "off"'), "off"),
        ((LIST, 'sweep = "each"'), "each"),
        (('sweep = "each"',), "each"),
    ],
)
def test_a_list_of_its_own_switches_a_sweep_on(lines: tuple[str, ...], sweep: str | None) -> None:
    assert source(*lines).sweep == sweep
    assert source(*lines).sweeps is (sweep in {"each", "list"})


@pytest.mark.parametrize(
    ("lines", "place", "what"),
    [
        (('sweep = "list"',), "sweep", "no list table"),
        (('sweep = "some"',), "sweep", "'off', 'each' or 'list'"),
        ((LIST.replace("limit=2", "id={job_id}"),), "url", "other than {since}"),
        ((LIST.replace("/jobs?limit=2", "/{since}"),), "url", "in its query"),
        ((LIST.replace("https", "http"),), "url", "must be https"),
        ((LIST.replace('list.id = "id"', ""),), "id", "missing"),
        ((LIST, "list.id = { answer = 'headers.x' }"), "", ""),
        ((LIST.replace('"id"', "{ answer = 'headers.x' }"),), "id", "sees one item"),
        ((LIST.replace('"id"', "\"x[?y=='{job_id}']\""),), "id", "placeholder"),
        ((LIST.replace("limit=2", "after={since}"),), "updated", "newest time"),
        ((SINCE, "list.complete = true"), "complete", "must be false"),
        ((LIST, 'list.pages = { kind = "magic" }'), "kind", "token, link or offset"),
        ((LIST, 'list.pages = { kind = "token", token = "t" }'), "name", "missing"),
        ((LIST, BY_TOKEN.replace(" }", ', place = "body" }')), "pages", "place must be query"),
        ((LIST, "list.body = { a = 1 }"), "body", "can't be sent with GET"),
        ((LIST, "safety_seconds = 5"), "safety_seconds", "60"),
        ((LIST, "list.colour = 1"), "colour", "not known"),
    ],
)
def test_a_fault_is_told_at_its_place(lines: tuple[str, ...], place: str, what: str) -> None:
    if not place:
        with pytest.raises(ConfigurationFault):
            source(*lines)
        return
    found = faults(*lines)
    assert any(place in each and what in each for each in found), found


def test_every_fault_is_told_at_once() -> None:
    wrong = LIST.replace("limit=2", "x={nope}").replace('"state"', '"a["') + "list.max_pages = 0\n"
    found = faults(wrong, 'list.pages = { kind = "offset", name = "o", size = 0 }')
    assert [
        any(key in each for each in found) for key in ("url", "status", "max_pages", "size")
    ] == ([True] * 4)


@pytest.mark.parametrize(
    ("form", "written"),
    [("iso", "2030-01-01T12:00:00Z"), ("unix", "1893499200"), ("unix_ms", "1893499200000")],
)
def test_the_time_is_written_as_the_source_wants_it(form: str, written: str) -> None:
    request = source(SINCE, f'list.since_format = "{form}"').list_request(AT, AT, None)
    assert parse_qsl(urlsplit(request.url).query) == [("after", written)]


def test_a_source_may_want_an_upper_limit_too() -> None:
    lines = SINCE.replace("{since}", "{since}&before={until}")
    request = source(lines).list_request(AT, AT, None)
    assert request.url.endswith("before=2030-01-02T12%3A00%3A00Z")


def test_an_offset_stands_in_a_body_as_well() -> None:
    pages = BY_OFFSET.replace(" }", ', place = "body" }')
    asked = source(LIST, 'list.method = "POST"', pages)
    assert asked.list
    assert asked.list.first_position() == "0"
    assert asked.list_request(AT, AT, "2").body == {"offset": 2}


def test_the_time_stands_in_a_body_as_well() -> None:
    lines = (
        LIST,
        'list.method = "POST"',
        'list.body = { after = "{since}", text = "from {since}" }',
        'list.updated = "at"',
        'list.since_format = "unix"',
        BY_TOKEN.replace(" }", ', place = "body" }'),
    )
    request = source(*lines).list_request(AT, AT, "abc")
    stamp = int(AT.timestamp())
    assert request.body == {"after": stamp, "text": f"from {stamp}", "page_token": "abc"}


def test_a_page_tells_its_jobs() -> None:
    more = 'list.progress = "part"\nlist.progress_scale = 1\nlist.message = "note"\n'
    items = [
        {"id": "a", "state": "on", "part": 0.5, "note": "x", "at": "2030-01-01T11:00:00Z"},
        {"id": 7, "state": "done", "at": 1893495600},
        {"id": "b", "state": "odd", "at": "never"},
    ]
    read = page(SINCE, more, body={"jobs": items})
    assert (read.whole, read.next, read.trouble) == (True, None, None)
    first, second, third = read.sights
    assert first.poll
    assert second.poll
    assert third.poll
    assert (first.job_id, first.poll.outcome, first.poll.raw_status) == ("a", Outcome.RUNNING, "on")
    assert (first.poll.progress, first.poll.message) == (50, "x")
    assert first.updated == second.updated == AT.replace(hour=11)
    assert (second.job_id, second.poll.outcome) == ("7", Outcome.SUCCEEDED)
    assert (third.poll.outcome, third.updated) == (Outcome.UNRECOGNISED, None)


def test_ids_may_have_parts() -> None:
    parts = 'job_id_parts = ["dag", "run"]\n'
    url = f'status.url = "{ORIGIN}/{{job_id.dag}}/{{job_id.run}}"'
    text = BASE.replace(f'status.url = "{ORIGIN}/jobs/{{job_id}}"', url)
    lines = parts + text + LIST.replace('"id"', '"{dag: d, run: r}"')
    found = load_sources("[sources.x]\n" + lines, {}).get("x")
    body = {"jobs": [{"d": "a/b", "r": "1", "state": "on"}]}
    assert [each.job_id for each in read_page(found, None, answer(body), AT).sights] == ["a%2Fb/1"]


@pytest.mark.parametrize(
    "item", [None, 3, [], {}, {"id": "a"}, {"state": "on"}, {"id": [], "state": "on"}]
)
def test_an_item_that_cannot_be_read_makes_the_page_not_whole(item: object) -> None:
    read = page(body={"jobs": [item, {"id": "b", "state": "on"}]})
    assert [each.job_id for each in read.sights] == ["b"]
    assert not read.whole
    assert read.trouble is None


@pytest.mark.parametrize("body", [None, 3, "x", [], {}, {"jobs": None}, {"jobs": {"a": 1}}])
def test_an_answer_without_a_list_is_no_list(body: object) -> None:
    read = page(body=body)
    assert (read.trouble, read.whole, read.sights) == (Outcome.UNREACHABLE, False, [])


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (401, Outcome.UNAUTHORIZED),
        (404, Outcome.UNREACHABLE),
        (429, Outcome.THROTTLED),
        (503, Outcome.UNREACHABLE),
    ],
)
def test_a_refusal_is_no_list(status: int, trouble: Outcome) -> None:
    read = page(body={"jobs": []}, status=status, retry_after="70")
    assert (read.trouble, read.whole, read.wait) == (trouble, False, 70)


@pytest.mark.parametrize(
    ("pages", "body", "headers", "at", "following"),
    [
        (BY_TOKEN, {"next": "abc"}, {}, None, "abc"),
        (BY_TOKEN, {"next": 7}, {}, None, "7"),
        (BY_TOKEN, {"next": ""}, {}, "abc", None),
        (BY_TOKEN, {}, {}, None, None),
        (BY_LINK, {}, {"link": f'<{ORIGIN}/jobs?p=1>; rel="prev", </jobs?p=3>; rel="next"'}, None,
         f"{ORIGIN}/jobs?p=3"),
        (BY_LINK, {}, {"link": f'<{ORIGIN}/jobs?p=1>; rel="last"'}, None, None),
        (BY_LINK, {}, {"link": f"{ORIGIN}/jobs?p=2"}, None, f"{ORIGIN}/jobs?p=2"),
        (BY_OFFSET, {}, {}, None, "2"),
        (BY_OFFSET, {}, {}, "2", "4"),
        (BY_OFFSET.replace(" }", ", first = 1, step = 1 }"), {}, {}, None, "2"),
    ],
)  # fmt: skip
def test_the_next_page_is_named(
    pages: str, body: dict[str, object], headers: dict[str, str], at: str | None,
    following: str | None,
) -> None:  # fmt: skip
    jobs = [{"id": "a", "state": "on"}, {"id": "b", "state": "on"}]
    read = page(LIST, pages, body={"jobs": jobs, **body}, at=at, **headers)
    assert (read.next, read.whole) == (following, True)


@pytest.mark.parametrize(
    ("pages", "body", "headers"),
    [
        (BY_TOKEN, {"next": ["abc"]}, {}),
        (BY_TOKEN, {"next": "x" * 5_000}, {}),
        (BY_LINK, {}, {"link": "<https://elsewhere.example/jobs>; rel=next"}),
        (BY_LINK, {}, {"link": "http://jobs.example/jobs?p=2"}),
        (BY_LINK, {}, {"link": "https://me@jobs.example/jobs"}),
        (BY_LINK, {}, {"link": "https://[/"}),
    ],
)
def test_a_next_page_that_makes_no_sense_is_not_asked_for(
    pages: str, body: dict[str, object], headers: dict[str, str]
) -> None:
    """The credentials go along, so that no answer may send them elsewhere."""
    read = page(LIST, pages, body={"jobs": [], **body}, **headers)
    assert (read.next, read.whole) == (None, False)


def test_an_offset_ends_at_a_page_that_is_not_full() -> None:
    assert page(LIST, BY_OFFSET, body={"jobs": [{"id": "a", "state": "on"}]}).next is None


@pytest.mark.parametrize(
    ("pages", "at", "query"),
    [
        (BY_TOKEN, None, "limit=2"),
        (BY_TOKEN, "a b&c", "limit=2&page_token=a%20b%26c"),
        (BY_OFFSET, "0", "limit=2&offset=0"),
        (BY_LINK, f"{ORIGIN}/jobs?p=2", "p=2"),
    ],
)
def test_a_request_names_its_page(pages: str, at: str | None, query: str) -> None:
    assert urlsplit(source(LIST, pages).list_request(AT, AT, at).url).query == query


def test_a_stored_link_to_elsewhere_is_not_asked_for() -> None:
    with pytest.raises(ValueError, match="origin"):
        source(LIST, BY_LINK).list_request(AT, AT, "https://elsewhere.example/")


@pytest.mark.parametrize("value", [None, True, "", "soon", [], {}, -5, 1e300, float("inf")])
def test_what_is_no_time_is_none(value: object) -> None:
    assert time_of(value) is None


@pytest.mark.parametrize(
    "value",
    ["2030-01-01T12:00:00Z", "2030-01-01T12:00:00", "2030-01-01T14:00:00+02:00", 1893499200,
     1893499200000, "1893499200"],
)  # fmt: skip
def test_a_time_is_read_in_its_forms(value: object) -> None:
    assert time_of(value) == AT
