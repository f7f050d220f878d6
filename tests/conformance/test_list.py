"""Listing instances: pages, filters, and queries that make no sense."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.conformance.hub import Hub, eventually, new_id

TOKEN = "x-ms-continuation-token"  # noqa: S105 - no secret


def ask(hub: Hub, token: str = "", **query: Any) -> requests.Response:
    return hub.ask("GET", "/instances/", params=query, headers={TOKEN: token} if token else {})


def pages(hub: Hub, **query: Any) -> Iterator[list[dict[str, Any]]]:
    token = ""
    while True:
        answer = ask(hub, token, **query)
        assert answer.status_code == 200
        yield answer.json()
        token = answer.headers.get(TOKEN, "")
        if not token:
            return


def ids(hub: Hub, **query: Any) -> list[str]:
    return [status["instanceId"] for page in pages(hub, **query) for status in page]


@pytest.fixture(scope="module")
def three(hub: Hub) -> str:
    """The prefix of three instances: one completed, one failed, one that waits."""
    prefix = new_id("three-")
    hub.end(hub.start("GetInput", {"n": 1}, f"{prefix}-1"))
    hub.end(hub.start("Fail", ["no"], f"{prefix}-2"))
    hub.waiting({"n": 3}, f"{prefix}-3")
    return prefix


@pytest.fixture(scope="module")
def many(hub: Hub) -> str:
    """The prefix of 105 completed instances."""
    prefix = new_id("many-")
    started = [hub.start("GetInput", {"n": n}, f"{prefix}-{n:03}") for n in range(105)]
    eventually(
        lambda: len(ids(hub, instanceIdPrefix=prefix, runtimeStatus="Completed")) == len(started)
    )
    return prefix


def test_a_list_is_an_array_of_statuses_without_history(hub: Hub, three: str) -> None:
    found = ask(hub, instanceIdPrefix=three, showHistory="true").json()
    assert [s["instanceId"][-1] for s in found] == ["1", "2", "3"]
    assert found[0] == hub.status(found[0]["instanceId"])
    assert found[0]["output"] == {"n": 1}


@pytest.mark.parametrize("path", ["/instances", "/instances/", "/INSTANCES/"])
def test_the_slash_at_the_end_may_be_missing(hub: Hub, three: str, path: str) -> None:
    answer = hub.ask("GET", path, params={"instanceIdPrefix": three})
    assert len(answer.json()) == 3


def test_over_100_instances_need_the_token(hub: Hub, many: str) -> None:
    """A page holds 100; the last page has no header."""
    found = list(pages(hub, instanceIdPrefix=many))
    assert [len(page) for page in found] == [100, 5]
    assert ids(hub, instanceIdPrefix=many) == [f"{many}-{n:03}" for n in range(105)]
    last = ask(hub, instanceIdPrefix=many, top=1000)
    assert TOKEN not in last.headers


def test_the_client_reads_one_page_only(hub: Hub, many: str) -> None:
    assert len(hub.client("get_status_by", instance_id_prefix=many)) == 100
    assert len(hub.client("get_status_all")) == 100


def test_top_is_the_size_of_a_page(hub: Hub, many: str) -> None:
    assert [len(page) for page in pages(hub, instanceIdPrefix=many, top=50)] == [50, 50, 5]
    assert len(ask(hub, instanceIdPrefix=many, TOP=7).json()) == 7


def test_a_page_that_is_just_full_is_the_last(hub: Hub, many: str) -> None:
    answer = ask(hub, instanceIdPrefix=many, top=105)
    assert (len(answer.json()), TOKEN in answer.headers) == (105, False)


@pytest.mark.parametrize("top", ["0", "1e99", "abc", "", "99999999999", "1.5", "inf", "٣"])
@pytest.mark.difference("A `top` of 0")
def test_a_top_that_makes_no_sense_is_none(
    hub: Hub, many: str, other_host: str | None, top: str
) -> None:
    """The storage of another host may refuse zero."""
    answer = ask(hub, instanceIdPrefix=many, top=top)
    if other_host is None or top != "0":
        assert (answer.status_code, len(answer.json())) == (200, 100)


@pytest.mark.parametrize(
    "token", ["nonsense", "%%%", "ä".encode().decode("latin-1"), "AAAA", "/w=="]
)
def test_a_token_that_nobody_gave_is_survived(hub: Hub, three: str, token: str) -> None:
    assert ask(hub, token, instanceIdPrefix=three).status_code in (200, 400, 500)
    assert len(ask(hub, instanceIdPrefix=three).json()) == 3


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ("Completed", "1"),
        ("Running", "3"),
        ("Completed,Failed", "12"),
        (["Completed", "Failed"], "12"),
        (["Completed,Failed", "Running"], "123"),
        ("Pending", ""),
        ("Canceled", ""),
        ("completed", "123"),
        ("Nonsense", "123"),
        ("Nonsense,Failed", "2"),
        ("", "123"),
    ],
)
def test_the_filter_by_status(
    hub: Hub, three: str, statuses: str | list[str], expected: str
) -> None:
    """Names mind their case; unknown ones are dropped, and when none is left there is no filter."""
    found = ids(hub, instanceIdPrefix=three, runtimeStatus=statuses)
    assert "".join(id_[-1] for id_ in found) == expected


def test_the_filter_by_status_of_the_client(hub: Hub, three: str) -> None:
    found = hub.client("get_status_by", instance_id_prefix=three, runtime_status=["Failed"])
    assert [status["runtimeStatus"] for status in found] == ["Failed"]


def test_a_prefix_is_taken_as_it_is(hub: Hub) -> None:
    """No character is a wildcard, and case counts."""
    prefix = new_id("%_*")
    id_ = hub.waiting(None, f"{prefix}-A")
    assert ids(hub, instanceIdPrefix=prefix) == [id_]
    assert ids(hub, instanceIdPrefix=f"{prefix}-a") == []
    assert ids(hub, instanceIdPrefix=f"{prefix}__") == []


def test_the_input_is_hidden_on_demand(hub: Hub, three: str) -> None:
    shown = ask(hub, instanceIdPrefix=three, runtimeStatus="Running").json()
    hidden = ask(hub, instanceIdPrefix=three, runtimeStatus="Running", showInput="false").json()
    assert (shown[0]["input"], hidden[0]["input"]) == ({"n": 3}, None)


def test_the_filter_by_time_of_creation(hub: Hub, three: str) -> None:
    now = datetime.now(UTC)
    past, future = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()

    def count(**query: str) -> int:
        return len(ids(hub, instanceIdPrefix=three, **query))

    assert count(createdTimeFrom=past) == 3
    assert count(createdTimeFrom=future) == 0
    assert count(createdTimeTo=past) == 0
    assert count(createdTimeTo=future) == 3
    assert count(createdTimeFrom=past, createdTimeTo=future) == 3
    assert count(createdTimeFrom=future, createdTimeTo=past) == 0


def test_the_times_of_the_client(hub: Hub, three: str) -> None:
    """It writes the year 1 with a single digit."""
    found = hub.client(
        "get_status_by",
        instance_id_prefix=three,
        created_time_from="0001-01-01T00:00:00",
        created_time_to="9999-12-31T23:59:59",
    )
    assert len(found) == 3
    found = hub.client(
        "get_status_by", instance_id_prefix=three, created_time_to="0999-01-01T00:00:00"
    )
    assert found == []


@pytest.mark.parametrize(
    "date",
    [
        "abc",
        "",
        "2026-13-45",
        "99999-01-01",
        "0000-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1e99",
        "-1",
    ],
)
@pytest.mark.parametrize("name", ["createdTimeFrom", "createdTimeTo"])
def test_a_date_that_makes_no_sense_is_survived(hub: Hub, three: str, name: str, date: str) -> None:
    """Mostly it counts as not given; one just out of range may be taken for the end of time."""
    answer = ask(hub, instanceIdPrefix=three, **{name: date})
    assert answer.status_code in (200, 400)
    assert len(ask(hub, instanceIdPrefix=three).json()) == 3


@pytest.mark.parametrize("method", ["HEAD", "PUT", "POST", "PATCH"])
def test_other_verbs_are_404(hub: Hub, method: str) -> None:
    answer = hub.ask(method, "/instances/")
    assert (answer.status_code, answer.content) == (404, b"")
