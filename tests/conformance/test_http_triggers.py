"""HTTP functions: which request goes to which, what they are given, what becomes of the answer."""

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.conformance.hub import Hub, eventually


def show(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def raw(hub: Hub, method: str, path: str) -> tuple[int, bytes]:
    """A request whose path is sent exactly as it is."""
    connection = http.client.HTTPConnection(urlsplit(hub.origin).netloc, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=False)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_function_without_route_is_found_by_its_name_with_any_verb(hub: Hub, method: str) -> None:
    shown = show(hub.send(method, "/api/DefaultRoute"))
    assert (shown["function"], shown["method"]) == ("DefaultRoute", method)


@pytest.mark.parametrize("method", ["POST", "DELETE", "HEAD", "OPTIONS"])
def test_a_verb_that_is_not_named_is_not_found(hub: Hub, method: str) -> None:
    """The router of the Functions host never says 405; nor does HEAD follow from GET."""
    answer = hub.send(method, "/api/verbs/get")
    assert (answer.status_code, answer.content) == (404, b"")


def test_head_is_served_where_it_is_named(hub: Hub) -> None:
    answer = hub.send("HEAD", "/api/verbs/head")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/api/nothing", "/nothing", "/api/things", "/api/things/a/b"])
def test_an_unknown_route_is_404_with_an_empty_body(hub: Hub, path: str) -> None:
    answer = hub.send("GET", path)
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(
    ("method", "path", "function", "route"),
    [
        ("GET", "/api/things/7", "GetThing", {"id": "7"}),
        ("PUT", "/api/things/7", "PutThing", {"id": "7"}),
        ("GET", "/api/things/special", "GetSpecialThing", {}),
        ("PUT", "/api/things/special", "PutThing", {"id": "special"}),
        ("GET", "/api/things/7/", "GetThing", {"id": "7"}),
        ("GET", "/api/things:all", "AllThings", {}),
        ("GET", "/api/optional/a", "Optional", {"first": "a"}),
        ("GET", "/api/optional/a/b", "Optional", {"first": "a", "second": "b"}),
        ("GET", "/api/files/a/b.txt", "CatchAll", {"path": "a/b.txt"}),
        ("GET", "/api/numbers/5", "Constrained", {"number": "5"}),
        ("GET", "/API/mixed/CASE", "MixedCase", {}),
        ("GET", "/api/things/KeepMyCase", "GetThing", {"id": "KeepMyCase"}),
    ],
)
def test_routes(hub: Hub, method: str, path: str, function: str, route: dict[str, str]) -> None:
    """Literals before parameters, optional and greedy parameters, case only in values."""
    shown = show(hub.send(method, path))
    assert (shown["function"], shown["route"]) == (function, route)


@pytest.mark.difference("Constraints of routes, `{id:int}`")
def test_a_constraint_of_a_route(hub: Hub, other_host: str | None) -> None:
    """devhost does not check constraints."""
    answer = hub.send("GET", "/api/numbers/five")
    assert answer.status_code == (404 if other_host else 200)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/api/things/a%20b", "a b"),
        ("/api/things/a+b", "a+b"),
        ("/api/things/%C3%A4", "ä"),
        ("/api/things/a%2Fb", "a%2Fb"),
        ("/api/things/a%252Fb", "a%2Fb"),
        ("/api/things/a%25b", "a%b"),
        ("/api/things/a%0Ab", "a\nb"),
    ],
)
def test_values_of_a_route_are_decoded(hub: Hub, path: str, value: str) -> None:
    """All but an encoded slash, so that it can't be taken for one between segments."""
    status, body = raw(hub, "GET", path)
    assert status == 200
    assert json.loads(body)["route"] == {"id": value}


@pytest.mark.parametrize(
    "path",
    ["/api/things/%zz", "/api/things/%", "/api/things/%ff", "/api/things/%00", "//", "/../x", "*"],
)
def test_odd_paths_are_survived(hub: Hub, path: str) -> None:
    status, _ = raw(hub, "GET", path)
    assert status in (200, 400, 404, 405)
    assert hub.send("GET", "/api/verbs/get").ok


def test_what_a_function_is_given(hub: Hub) -> None:
    answer = hub.send(
        "POST", "/api/DefaultRoute?a=1&b=x%20y", data=b"\x00\xff", headers={"x-test": "yes"}
    )
    shown = show(answer)
    assert shown["params"] == {"a": "1", "b": "x y"}
    assert shown["header"] == "yes"
    assert shown["body"] == "\x00\xff"
    assert shown["url"].endswith("/api/DefaultRoute?a=1&b=x%20y")


def test_repeated_query_names_are_joined_by_commas(hub: Hub) -> None:
    assert show(hub.send("GET", "/api/DefaultRoute?a=1&a=2"))["params"] == {"a": "1,2"}


def test_a_function_with_a_context_parameter_is_given_its_invocation(hub: Hub) -> None:
    assert hub.send("GET", "/api/context").text == "TellContext True"


def test_text_is_sent_as_text(hub: Hub) -> None:
    answer = hub.send("GET", "/api/answers/text")
    assert (answer.status_code, answer.content) == (200, "plain text: ä".encode())
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_nothing_is_no_answer(hub: Hub) -> None:
    assert hub.send("GET", "/api/answers/nothing").status_code == 500


def test_a_query_value_that_is_empty_is_dropped(hub: Hub) -> None:
    answer = hub.send("GET", "/api/DefaultRoute?a=&b=1&c")
    assert answer.json()["params"] == {"b": "1"}


def test_a_body_that_does_not_say_its_length_is_not_handed_on(hub: Hub) -> None:
    answer = hub.send("POST", "/api/DefaultRoute", data=iter([b"in ", b"pieces"]))
    assert answer.json()["body"] == ""


def test_of_a_header_that_comes_again_the_last_one_is_sent(hub: Hub) -> None:
    answer = hub.send("GET", "/api/answers/repeated")
    assert answer.headers["X-Twice"] == "second"


def test_bytes_are_sent_as_they_are(hub: Hub) -> None:
    answer = hub.send("GET", "/api/answers/bytes")
    assert answer.content == b"\x00\xff"
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_status_and_headers_are_sent(hub: Hub) -> None:
    answer = hub.send("GET", "/api/answers/headers")
    assert answer.status_code == 302
    assert (answer.headers["X-One"], answer.headers["Location"]) == ("1", "/elsewhere")


@pytest.mark.parametrize("kind", ["raises", "wrong"])
def test_a_function_that_raises_or_returns_nonsense_is_500_with_an_empty_body(
    hub: Hub, kind: str
) -> None:
    answer = hub.send("GET", f"/api/answers/{kind}")
    assert (answer.status_code, answer.content) == (500, b"")


@pytest.mark.parametrize("code", [99, 100, 1000, -1])
@pytest.mark.difference("HTTP status 99, 100, 1000, -1 of a function")
def test_a_status_that_http_does_not_know_is_survived(
    hub: Hub, other_host: str | None, code: int
) -> None:
    """Another host may send it as it is, which not every client can read."""
    if other_host is None:
        assert hub.send("GET", f"/api/answers/status?code={code}").status_code == 500
    assert hub.send("GET", "/api/verbs/get").ok


def test_a_body_over_100_mib_is_413(hub: Hub) -> None:
    """The limit of the Functions host. The whole body is on its way when the answer comes."""
    answer = hub.send("POST", "/api/body", data=bytes(101 * 1024 * 1024))
    assert answer.status_code == 413
    assert hub.send("POST", "/api/body", data=b"abc").text == "3"


def test_a_body_that_is_cut_off_is_survived(hub: Hub) -> None:
    where = urlsplit(hub.origin)
    for path in ("/api/body", "/runtime/webhooks/durabletask/orchestrators/Wait"):
        with socket.create_connection((where.hostname, where.port)) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: 9\r\n\r\n"
            connection.sendall(f"{head}cut".encode())
    assert hub.send("POST", "/api/body", data=b"abc").text == "3"


def test_a_timer_function_runs_on_its_schedule(hub: Hub) -> None:
    """The schedule, every second, comes from an app setting."""
    ticks = eventually(lambda: hub.send("GET", "/api/ticks").json())
    assert ticks[0] == "past due: False"
