"""Starting an instance: answers, links, waiting for the end, ids that are taken."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from tests.conformance.hub import ClientRaised, Hub, eventually, new_id

LINKS = {
    "id",
    "statusQueryGetUri",
    "sendEventPostUri",
    "terminatePostUri",
    "purgeHistoryDeleteUri",
    "restartPostUri",
    "suspendPostUri",
    "resumePostUri",
}
ODD_IDS = ["a b", "ä-ö", "a&b=c", "a'b\"c", "{a}", "50%-", "a:b;c,d", "名前"]


def post(hub: Hub, name: str, id_: str = "", **options: Any) -> requests.Response:
    return hub.ask("POST", f"/orchestrators/{name}/{quote(id_, safe='')}", **options)


def test_a_start_is_202_with_links(hub: Hub) -> None:
    """The host's own body has eight fields, without the link to rewind."""
    id_ = new_id()
    answer = post(hub, "GetInput", id_)
    assert answer.status_code == 202
    links = answer.json()
    assert set(links) == LINKS
    assert links["id"] == id_
    assert answer.headers["Location"] == links["statusQueryGetUri"]
    assert answer.headers["Retry-After"] == "10"
    assert answer.headers["Content-Type"].startswith("application/json")


def test_the_links_name_hub_and_connection_and_leave_placeholders(hub: Hub) -> None:
    links = post(hub, "GetInput").json()
    for name in LINKS - {"id"}:
        query = parse_qs(urlsplit(links[name]).query)
        assert query["taskHub"] == ["Conformance"]
        assert query["connection"] == ["Storage"]
    assert "/raiseEvent/{eventName}?" in links["sendEventPostUri"]
    for name in ("terminatePostUri", "suspendPostUri", "resumePostUri"):
        assert "?reason={text}&" in links[name]


@pytest.mark.parametrize("id_", ["plain", *ODD_IDS])
def test_the_links_lead_to_the_instance(hub: Hub, id_: str) -> None:
    """Whatever characters its id has, the links encode them."""
    id_ = new_id(id_)
    links = post(hub, "Wait", id_).json()
    assert links["id"] == id_
    status = requests.get(links["statusQueryGetUri"], timeout=60)
    assert (status.status_code, status.json()["instanceId"]) == (202, id_)
    event = links["sendEventPostUri"].replace("{eventName}", "go")
    assert requests.post(event, json={"a": 1}, timeout=60).status_code == 202
    assert hub.end(id_)["output"] == {"a": 1}
    purged = requests.delete(links["purgeHistoryDeleteUri"], timeout=60)
    assert purged.json() == {"instancesDeleted": 1}


@pytest.mark.parametrize("path", ["a%2Bb", "a%2520b"])
def test_the_id_in_a_path_is_decoded_twice(hub: Hub, path: str) -> None:
    """Once by ASP.NET, and once more as a form, in which a plus is a blank."""
    id_ = new_id()
    answer = hub.ask("POST", f"/orchestrators/GetInput/{path}{id_}")
    assert answer.json()["id"] == f"a b{id_}"


@pytest.mark.parametrize(
    ("path", "code"), [("a%2Fb", 404), ("%00", 400), ("x" * 513, 500), ("%2F", 202)]
)
def test_ids_that_are_refused_or_replaced(hub: Hub, path: str, code: int) -> None:
    answer = hub.ask("POST", f"/orchestrators/GetInput/{path}")
    assert answer.status_code == code
    if code == 202:
        assert answer.json()["id"] not in ("", "/")


@pytest.mark.difference("An instance id of white space")
def test_an_id_of_white_space_is_refused(hub: Hub, other_host: str | None) -> None:
    """There it poisons the queue, and each redelivery backs off all orchestrations."""
    if other_host:
        pytest.skip("it would stall the hub")
    answer = hub.ask("POST", "/orchestrators/GetInput/%09")
    assert answer.status_code == 400
    assert "on the real host this stalls the hub" in answer.json()["Message"]
    assert hub.ask("GET", "/instances/%09").status_code == 404


@pytest.mark.parametrize("sign", ["\ufffe", "\uffff"])
def test_text_that_xml_can_not_carry_is_500(hub: Hub, sign: str) -> None:
    """In an event or a reason; the queue is XML, unless host.json asks for Base64."""
    id_ = hub.waiting()
    assert hub.raise_event(id_, "go", f"a{sign}b").status_code == 500
    assert hub.operate(id_, "terminate", f"a{sign}b").status_code == 500
    assert hub.status(id_)["runtimeStatus"] == "Running"


@pytest.mark.difference("U+FFFE or U+FFFF in an activity's or child's end, without Base64")
def test_an_activity_whose_result_no_queue_can_carry(hub: Hub, other_host: str | None) -> None:
    if other_host:
        pytest.skip("it would stall the hub")
    text = hub.failure("Call", {"name": "Echo", "input": "a\uffffb"})
    assert "on the real host this stalls the hub" in text


def test_without_an_id_the_host_makes_one(hub: Hub) -> None:
    ids = {hub.ask("POST", "/orchestrators/GetInput").json()["id"] for _ in range(2)}
    assert len(ids) == 2
    for id_ in ids:
        hub.end(id_)


def test_an_instance_is_there_when_the_start_is_answered(hub: Hub) -> None:
    """Pending is 202 as well, never 404."""
    for _ in range(20):
        id_ = hub.start("Wait")
        assert hub.ask("GET", f"/instances/{id_}").status_code == 202


def test_the_name_of_an_orchestrator_is_found_in_any_case(hub: Hub) -> None:
    assert hub.run("gETiNPUT", {"a": 1})["output"] == {"a": 1}


def test_an_empty_body_is_no_input(hub: Hub) -> None:
    id_ = post(hub, "GetInput").json()["id"]
    status = hub.end(id_)
    assert (status["input"], status["output"]) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        *(b"nonsense", b'{"a":1}}', b"[" * 100_000, b"[1,2", b"\xff\xfe", b" "),
        *(b"{a:1}", b"'x'", b'{"a":1,}', b"01", b"0x10", b"undefined", b'/*c*/{"a":1}'),
    ],
)
@pytest.mark.difference("A body that begins with a comment")
@pytest.mark.difference("`{a:1}`, `'x'`, `{\"a\":1,}`, `01`, `0x10`, `undefined`; events `1 2`")
@pytest.mark.difference("A start with `[1,2`, bytes that are no text, one blank")
def test_a_body_that_is_no_json_is_400(hub: Hub, other_host: str | None, body: bytes) -> None:
    """The Functions host takes some of it; see devhost/README.md."""
    if other_host and body not in (b"nonsense", b'{"a":1}}'):
        pytest.skip("taken there, or refused by the limit of its parser")
    id_ = new_id()
    answer = post(hub, "GetInput", id_, data=body)
    assert answer.status_code == 400
    assert "Invalid JSON content" in json.dumps(answer.json())
    assert hub.ask("GET", f"/instances/{id_}").status_code == 404


@pytest.mark.parametrize("body", [b"{", b'{"a":', b'{"a": [1'])
def test_an_object_that_is_cut_off_is_500(hub: Hub, body: bytes) -> None:
    answer = post(hub, "GetInput", data=body)
    assert answer.status_code == 500
    assert answer.json()["ExceptionType"] == "Newtonsoft.Json.JsonSerializationException"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_text(hub: Hub, number: str) -> None:
    id_ = post(hub, "GetInput", data=f'{{"a": {number}}}').json()["id"]
    status = hub.end(id_)
    assert (status["input"], status["output"]) == ({"a": number}, {"a": number})


@pytest.mark.parametrize(("charset", "body"), [("odd", b"{}"), ("utf-7", b"{+2AA-}")])
@pytest.mark.difference("A charset that is unknown")
def test_a_charset_that_nobody_knows_is_refused(
    hub: Hub, other_host: str | None, charset: str, body: bytes
) -> None:
    """400 here, as the fault is the sender's; 500 there."""
    headers = {"Content-Type": f"application/json; charset={charset}"}
    answer = post(hub, "GetInput", data=body, headers=headers)
    assert answer.status_code == (500 if other_host else 400)
    assert answer.json()["Message"]


def test_a_byte_order_mark_is_no_fault(hub: Hub) -> None:
    """Some shells put one before what they send."""
    id_ = new_id()
    body = '\ufeff{"a": 1}'.encode()
    assert post(hub, "GetInput", id_, data=body).status_code == 202
    assert hub.end(id_)["output"] == {"a": 1}


def test_a_body_that_is_not_compressed_as_it_says_is_refused(
    hub: Hub, other_host: str | None
) -> None:
    """Another host may not look at the header at all."""
    answer = post(hub, "GetInput", data=b"{}", headers={"Content-Encoding": "gzip"})
    if other_host is None:
        assert (answer.status_code, answer.headers["Connection"]) == (400, "close")


@pytest.mark.parametrize("depth", [60, 500, 900, 940, 960, 970, 980, 990, 1000, 2000])
def test_deeply_nested_json_is_taken_or_refused(hub: Hub, depth: int) -> None:
    """Where the limit lies differs from host to host; an instance must end all the same."""
    id_ = new_id()
    body = '{"a":' * depth + "1" + "}" * depth
    answer = post(hub, "Call", id_, data='{"name":"Echo","input":' + body + "}")
    if answer.status_code == 400:
        assert depth > 60
        return
    eventually(lambda: hub.ask("GET", f"/instances/{id_}").status_code == 200)
    assert hub.run("GetInput", {"a": 1})["output"] == {"a": 1}


def test_a_body_over_100_mib_is_refused(hub: Hub) -> None:
    answer = post(hub, "GetInput", data=b'"' + bytes(101 * 1024 * 1024) + b'"')
    assert answer.status_code in (413, 500)
    if answer.content:
        assert answer.json()


def test_a_large_input_is_taken(hub: Hub) -> None:
    text = "ä" * 1_000_000
    assert hub.output("Call", {"name": "Echo", "input": text}) == text


def test_an_unknown_orchestrator_fails_the_instance(hub: Hub) -> None:
    """The start itself succeeds; the failure names what there is."""
    text = hub.failure("NoSuchThing")
    assert "'NoSuchThing' doesn't exist, is disabled, or is not an orchestrator" in text
    assert "greet_cities" in text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/orchestrators"),
        ("POST", "/orchestrators/"),
        ("GET", "/orchestrators/Wait"),
        ("POST", "/orchestrators/Wait/a/b"),
        ("POST", "/orchestrators//a"),
        ("POST", "/"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/nonsense"),
        ("GET", "x"),
    ],
)
def test_what_is_no_start_is_404_with_an_empty_body(hub: Hub, method: str, path: str) -> None:
    answer = hub.ask(method, path)
    assert (answer.status_code, answer.content) == (404, b"")


def test_literal_segments_are_found_in_any_case(hub: Hub) -> None:
    id_ = new_id()
    base = "/Runtime/WEBHOOKS/DurableTask"
    assert hub.send("POST", f"{base}/ORCHESTRATORS/GetInput/{id_}/").status_code == 202
    hub.end(id_)
    assert hub.send("GET", f"{base}/Instances/{id_}/").status_code == 200


# -- versions -------------------------------------------------------------------------------


def test_an_instance_gets_the_default_version(hub: Hub) -> None:
    assert hub.output("Version") == "1.5"


def test_a_start_may_name_the_version(hub: Hub) -> None:
    id_ = post(hub, "Version", params={"version": "1.1"}).json()["id"]
    assert hub.end(id_)["output"] == "1.1"
    id_ = hub.client("start_new", orchestration_function_name="Version", version="1.2")
    assert hub.end(id_)["output"] == "1.2"


def test_a_newer_version_waits_for_a_newer_host(hub: Hub) -> None:
    """With `CurrentOrOlder` and `Reject`, the defaults, it is never run, nor does it fail."""
    id_ = post(hub, "Version", params={"version": "1.6"}).json()["id"]
    parent = hub.start("CallChild", {"name": "Version", "version": "1.10"})
    assert hub.output("Version") == "1.5"
    hub.wait(parent, "Running")
    assert hub.status(id_)["runtimeStatus"] == "Pending"
    assert post(hub, "Version", id_).status_code == 409


def test_a_sub_orchestration_gets_the_default_version_too(hub: Hub) -> None:
    assert hub.output("CallChild", {"name": "Version"}) == "1.5"
    assert hub.output("CallChild", {"name": "Version", "version": "1.3"}) == "1.3"


# -- waiting for the end --------------------------------------------------------------------

WAIT = {"timeout": "10", "pollingInterval": "0.02"}


@pytest.mark.parametrize("value", [{"a": [1, None]}, None, "text", 5, True])
def test_a_start_may_wait_for_the_output(hub: Hub, value: Any) -> None:
    """The body is the bare output as JSON, `null` too."""
    answer = post(hub, "Call", json={"name": "Echo", "input": value}, params=WAIT)
    assert answer.status_code == 200
    assert answer.json() == value


def test_waiting_for_one_that_fails_gives_its_status(hub: Hub) -> None:
    answer = post(hub, "Fail", json={}, params=WAIT)
    assert answer.status_code == 200
    assert answer.json()["runtimeStatus"] == "Failed"


def test_waiting_for_one_that_is_terminated_gives_its_status(hub: Hub) -> None:
    id_ = new_id()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, hub, "Wait", id_, params=WAIT)
        eventually(lambda: hub.ask("GET", f"/instances/{id_}").status_code == 202)
        hub.operate(id_, "terminate", "enough")
        answer = waiting.result()
    assert answer.status_code == 200
    assert (answer.json()["runtimeStatus"], answer.json()["output"]) == ("Terminated", "enough")


@pytest.mark.parametrize(
    "query",
    [
        {"timeout": "0.1", "pollingInterval": "0.1"},
        {"timeout": "0", "pollingInterval": "0"},
        {"timeout": "100"},
        {"pollingInterval": "100"},
        {"Timeout": "0.1", "POLLINGINTERVAL": "0.02"},
    ],
)
def test_when_the_wait_is_over_the_answer_is_that_of_any_start(
    hub: Hub, query: dict[str, str]
) -> None:
    """Also when only one of the two numbers is given: that is no wait at all."""
    answer = post(hub, "Wait", params=query)
    assert answer.status_code == 202
    assert set(answer.json()) == LINKS
    assert answer.elapsed.total_seconds() < 60


def test_a_wait_does_not_outlast_its_timeout(hub: Hub) -> None:
    answer = post(hub, "Wait", params={"timeout": "2", "pollingInterval": "1.9"})
    assert answer.elapsed.total_seconds() < 3.7, "two intervals"


def test_a_polling_interval_over_the_timeout_is_400(hub: Hub) -> None:
    answer = post(hub, "GetInput", params={"timeout": "1", "pollingInterval": "2"})
    assert answer.status_code == 400
    assert answer.json()["Message"]


@pytest.mark.parametrize(
    ("number", "code"),
    [("abc", 202), ("-1", 202), ("nan", 400), ("1e99", 400), ("inf", 400), ("86401", 400)],
)
@pytest.mark.difference("A wait of more than a day")
def test_a_wait_of_nonsense_is_none_or_refused(
    hub: Hub, other_host: str | None, number: str, code: int
) -> None:
    answer = post(hub, "Wait", params={"timeout": number})
    if other_host is None or code == 202:
        assert answer.status_code == code
    if number == "nan":
        why = "TimeSpan does not accept floating point Not-a-Number values."
        assert answer.json() == {"Message": why}


# -- ids that are taken ---------------------------------------------------------------------


def test_an_id_that_runs_is_409(hub: Hub) -> None:
    """Nothing of the running instance changes."""
    id_ = hub.waiting({"first": True})
    before = hub.status(id_)
    answer = post(hub, "Wait", id_, json={"second": True})
    assert answer.status_code == 409
    assert answer.json() == {
        "Message": "An Orchestration instance with the status Running already exists."
    }
    assert hub.status(id_) == before


def test_an_id_that_is_suspended_is_409(hub: Hub) -> None:
    answer = post(hub, "Wait", hub.suspended())
    assert answer.status_code == 409
    assert "status Suspended already exists" in answer.json()["Message"]


def test_the_client_raises_the_body_of_the_409(hub: Hub) -> None:
    id_ = hub.waiting()
    with pytest.raises(ClientRaised, match="An Orchestration instance with the status Running"):
        hub.client("start_new", orchestration_function_name="Wait", instance_id=id_)


@pytest.mark.parametrize("status", ["Completed", "Failed", "Terminated"])
def test_an_instance_that_ended_is_replaced(hub: Hub, status: str) -> None:
    """Nothing of it remains, neither output nor history."""
    id_ = hub.ended(status)
    hub.waiting({"new": True}, id_)
    now = hub.status(id_)
    assert (now["name"], now["input"], now["output"]) == ("Wait", {"new": True}, None)
    assert [e["EventType"] for e in hub.history(id_)] == ["ExecutionStarted"]


@pytest.mark.difference("Several first starts of one id at once")
def test_of_many_starts_at_once_one_wins(hub: Hub, other_host: str | None) -> None:
    """The Functions host may tell several that they won; devhost never does."""
    id_ = new_id()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: post(hub, "Wait", id_, json={"n": n}), range(50)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {202, 409}
    if other_host is None:
        assert codes.count(202) == 1
        assert hub.status(id_)["input"] == {"n": codes.index(202)}


# -- the helpers of the client --------------------------------------------------------------


def test_the_check_status_response_of_the_client(hub: Hub) -> None:
    """It has all nine fields, and the origin at which the app was asked."""
    id_ = new_id()
    answer = hub.send("POST", f"/api/start/GetInput/{id_}")
    assert answer.status_code == 202
    links = answer.json()
    assert set(links) == LINKS | {"rewindPostUri"}
    assert links["id"] == id_
    assert answer.headers["Location"] == links["statusQueryGetUri"]
    assert answer.headers["Retry-After"] == "10"
    assert all(link.startswith(hub.origin) for name, link in links.items() if name != "id")
    status = eventually(
        lambda: requests.get(links["statusQueryGetUri"], timeout=60),
        lambda answer: answer.status_code == 200,
    )
    assert status.json()["instanceId"] == id_


def test_the_client_encodes_no_id(hub: Hub) -> None:
    """An id with a slash leads nowhere, and the empty answer becomes the exception None."""
    with pytest.raises(ClientRaised, match=r"^Exception: None$"):
        hub.client("start_new", orchestration_function_name="Wait", instance_id="a/b/c")


def test_the_client_waits_for_an_output(hub: Hub) -> None:
    """Text comes out raw, without quotes."""
    id_ = hub.start("Call", {"name": "Echo", "input": {"a": 1}})
    answer = hub.send("GET", f"/api/wait/{id_}")
    assert (answer.status_code, answer.json()) == (200, {"a": 1})
    id_ = hub.start("Call", {"name": "Echo", "input": "text"})
    answer = hub.send("GET", f"/api/wait/{id_}")
    assert (answer.status_code, answer.text) == (200, "text")


@pytest.mark.parametrize(("status", "code"), [("Failed", 500), ("Terminated", 200)])
def test_the_client_waits_for_another_end(hub: Hub, status: str, code: int) -> None:
    answer = hub.send("GET", f"/api/wait/{hub.ended(status)}")
    assert (answer.status_code, answer.json()["runtimeStatus"]) == (code, status)


@pytest.mark.parametrize("known", [True, False])
def test_when_the_client_waited_in_vain_it_gives_links(hub: Hub, known: bool) -> None:
    """For an unknown instance too."""
    id_ = hub.waiting() if known else new_id()
    answer = hub.send("GET", f"/api/wait/{id_}", params={"timeout": "50"})
    assert (answer.status_code, answer.json()["id"]) == (202, id_)


def test_the_links_of_the_client_alone(hub: Hub) -> None:
    """Without a request to take the origin from, it is that of the host."""
    links = hub.client("create_http_management_payload", instance_id="an-id")
    assert set(links) == LINKS | {"rewindPostUri"}
    assert links["id"] == "an-id"
    path = "/runtime/webhooks/durabletask/instances/an-id"
    assert urlsplit(links["statusQueryGetUri"]).path == path
