"""Recorded histories, and the commands that record and replay them.

Of the invariants, I10: recorded histories of earlier releases replay on the current orchestrators.
They are in tests/histories, a folder for each version; make.py there records them.
"""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from demo.part import ROOT
from devhost import history_commands
from devhost.events import Event, EventType
from devhost.recorded import History, Mismatch, NotAHistory, check, parse
from devhost.rendering import status_payload
from devhost.store import Instance
from devhost.unfold import unfold
from tests.conformance.hub import Hub
from tests.devhost.host import Devhost
from tests.histories.make import HERE, ORCHESTRATORS, SCENES

FILES = sorted(HERE.glob("*/*.json"))
APP = ROOT / "tests" / "conformance" / "app"


def load(name: str) -> History:
    (path,) = HERE.glob(f"*/{name}.json")
    return parse(path.read_text(encoding="utf-8"))


# -- I10 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recorded_histories_replay_on_the_current_orchestrators(path: Path) -> None:
    """I10"""
    assert check(parse(path.read_text(encoding="utf-8")), ORCHESTRATORS) > 0


def test_every_path_through_the_orchestrators_is_recorded() -> None:
    """I10: there is a history for each scene, and the scenes leave no kind of event out."""
    assert {path.stem for path in FILES} >= {scene.__name__.replace("_", "-") for scene in SCENES}
    seen = {entry["EventType"] for path in FILES for entry in parse(path.read_text()).events}
    others = {7, 8, 9, EventType.GENERIC_EVENT}  # of children and of a rewind: the app has none
    assert seen == set(EventType) - others


def test_a_history_that_does_not_fit_is_found() -> None:
    """I10: else the tests above would show nothing."""
    doctored = parse((HERE / "doctored.json").read_text(encoding="utf-8"))
    with pytest.raises(Mismatch) as found:
        check(doctored, ORCHESTRATORS)
    assert str(found.value) == (
        "turn 2 of 4: it asked for TaskScheduled PollJob (1), "
        "and now asks for TaskScheduled GetJobStatus (1)"
    )


# -- what does not fit ------------------------------------------------------------------------


def first(history: History, kind: EventType) -> Event:
    return next(entry for entry in history.events if entry["EventType"] == kind)


def without(history: History, kind: EventType) -> None:
    history.events.remove(first(history, kind))


def swap_kind(history: History) -> None:
    asked = first(history, EventType.TASK_SCHEDULED)
    asked |= {"EventType": int(EventType.SUB_ORCHESTRATION_CREATED)}


def ask_for_more(history: History) -> None:
    asked = first(history, EventType.TASK_SCHEDULED)
    position = history.events.index(asked)
    history.events.insert(position + 1, asked | {"EventId": asked["EventId"] + 1})


def end_as(status: str) -> Callable[[History], None]:
    def change(history: History) -> None:
        first(history, EventType.EXECUTION_COMPLETED)["OrchestrationStatus"] = status

    return change


def other_input(history: History) -> None:
    first(history, EventType.EXECUTION_STARTED)["Input"] = '"{}"'


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (swap_kind, "asked for SubOrchestrationInstanceCreated GetJobStatus"),
        (ask_for_more, "GetJobStatus .1., TaskScheduled GetJobStatus .2., and now asks for"),
        (
            lambda h: without(h, EventType.TIMER_CREATED),
            "asked for nothing, and now asks for Timer",
        ),
        (lambda h: without(h, EventType.TASK_SCHEDULED), "turn 2 of 4: it asked for nothing"),
        (lambda h: without(h, EventType.TIMER_FIRED), "and now asks for nothing"),
        (lambda h: without(h, EventType.EXECUTION_COMPLETED), "Running then, and is Completed now"),
        (end_as("Failed"), "it was Failed then, and is Completed now"),
        (other_input, "and now asks for nothing: .* validation errors for Watch"),
    ],
)
def test_every_difference_is_found(change: Callable[[History], None], why: str) -> None:
    history = copy.deepcopy(load("succeeded"))
    change(history)
    with pytest.raises(Mismatch, match=why):
        check(history, ORCHESTRATORS)


def test_a_generation_that_continued_as_new_must_do_so() -> None:
    history = load("timer-then-poll")
    del history.events[-1]
    with pytest.raises(Mismatch, match="turn 3 of 3: it was ContinuedAsNew then, and is Running"):
        check(history, ORCHESTRATORS)


def test_a_turn_that_was_under_way_is_only_held_against_what_was_before() -> None:
    history = load("succeeded")
    bound = [e["EventType"] for e in history.events].index(EventType.TIMER_FIRED)
    under_way = History(history.name, "Running", history.events[: bound + 1])
    assert check(under_way, ORCHESTRATORS) == 2


def test_an_orchestrator_that_is_gone_is_a_mismatch() -> None:
    with pytest.raises(Mismatch, match="there is no orchestrator JobMonitoring"):
        check(load("succeeded"), {})


def test_names_may_change_their_case() -> None:
    history = copy.deepcopy(load("succeeded"))
    asked = first(history, EventType.TASK_SCHEDULED)
    asked["Name"] = asked["Name"].upper()
    assert check(history, ORCHESTRATORS) == 4


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a status as JSON"),
        ("[]", "not a status as JSON"),
        ("{}", "lacks 'historyEvents'; query with showHistory, showHistoryOutput, showInput"),
        ('{"historyEvents": null}', "not a status as JSON"),
        ('{"historyEvents": []}', "lacks"),
        ('{"historyEvents": [{"EventType": 12}]}', "lacks 'name'"),
        (
            '{"historyEvents": [{"EventType": 12}], "name": "O", "runtimeStatus": "Running"}',
            "does not begin with ExecutionStarted",
        ),
        (
            '{"historyEvents": [{"EventType": 0}], "name": "O", "runtimeStatus": "Running"}',
            "does not begin with ExecutionStarted",
        ),
        ('{"historyEvents": [{"EventType": "Strange"}]}', "lacks 'Strange'"),
    ],
)
def test_what_is_no_history_says_why(text: str, why: str) -> None:
    with pytest.raises(NotAHistory, match=why):
        parse(text)


# -- the folded form --------------------------------------------------------------------------


def folded(history: History, *, show_input: bool = True, show_output: bool = True) -> Any:
    """The history as the management API shows it."""
    started = first(history, EventType.EXECUTION_STARTED)
    id_ = started["OrchestrationInstance"]["InstanceId"]
    instance = Instance(id_, history.name, "", history.status, "e", "", "")
    return status_payload(
        instance, history=history.events, show_input=show_input, show_output=show_output
    )


def outline(events: list[Event]) -> list[tuple[Any, ...]]:
    """The events without the bounds of turns, as kind, id, whose result it is, name."""
    bounds = (EventType.ORCHESTRATOR_STARTED, EventType.ORCHESTRATOR_COMPLETED)
    keys = ("EventType", "EventId", "TaskScheduledId", "TimerId", "Name")
    return [tuple(e.get(key) for key in keys) for e in events if e["EventType"] not in bounds]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_folded_history_unfolds_to_what_it_was(path: Path) -> None:
    history = parse(path.read_text(encoding="utf-8"))
    if history.status == "ContinuedAsNew":
        # The API never shows the last turn of such a generation.
        last = max(
            n
            for n, e in enumerate(history.events)
            if e["EventType"] == EventType.ORCHESTRATOR_STARTED
        )
        history = History(history.name, "Running", history.events[:last])
    again = parse(json.dumps(folded(history)))
    assert outline(again.events) == outline(history.events)
    assert check(again, ORCHESTRATORS) > 0


@pytest.mark.parametrize("missing", ["show_input", "show_output"])
def test_a_folded_history_without_input_or_results_is_none(missing: str) -> None:
    payload = folded(load("succeeded"), **{missing: False})
    with pytest.raises(NotAHistory, match=r"lacks '(Input|Result)'; query with"):
        parse(json.dumps(payload))


SECONDS = "2030-01-01T00:00:"


def shown(kind: str, at: str, **fields: Any) -> Event:
    """An event as the Functions host shows it: zeros at the end of a time are left out."""
    return {"EventType": kind, "Timestamp": SECONDS + at + "Z"} | fields


def began(at: str = "01") -> Event:
    return shown("ExecutionStarted", at, FunctionName="O", Input="null")


def done(asked_at: str, at: str, name: str, kind: str = "TaskCompleted") -> Event:
    asked = {"ScheduledTime": f"{SECONDS}{asked_at}Z", "FunctionName": name, "Input": None}
    return shown(kind, at, Result=1, Reason="", Details=None, **asked)


def unfolded(*events: Event) -> list[str]:
    """The events as short words; each turn begins with a bar."""
    names = {
        EventType.ORCHESTRATOR_STARTED: "|",
        EventType.TIMER_CREATED: "timer",
        EventType.TIMER_FIRED: "fired",
        EventType.TASK_COMPLETED: "done",
        EventType.TASK_FAILED: "failed",
        EventType.EVENT_RAISED: "event",
    }
    words = []
    for entry in unfold({"instanceId": "i", "historyEvents": [*events]}):
        kind = entry["EventType"]
        number = entry.get("TaskScheduledId", entry.get("TimerId", entry["EventId"]))
        number = "" if number == -1 else number
        if kind not in (EventType.ORCHESTRATOR_COMPLETED, EventType.EXECUTION_STARTED):
            words.append(f"{names.get(kind) or entry['Name']}{number}")
    return words


def test_ids_follow_the_times_at_which_work_was_asked_for() -> None:
    """To the last digit: .NET's clock tells two events of one turn apart."""
    fire_at = {"FireAt": SECONDS + "09Z"}
    assert unfolded(
        began(),
        shown("TimerCreated", "02.0000003", **fire_at),
        done("02.0000002", "03", "B"),
        done("02", "04.5", "A"),
        shown("TaskScheduled", "05", Name="C"),
    ) == ["|", "A0", "B1", "timer2", "|", "done1", "done0", "C3"]


def test_work_that_is_done_was_asked_for_in_the_turn_of_what_arrived_before() -> None:
    assert unfolded(
        began(),
        done("02", "03", "A"),
        shown("EventRaised", "04", Name="Go", Input="1"),
        done("05", "06", "B"),
        done("07", "08", "C"),
    ) == ["|", "A0", "|", "done0", "event", "B1", "|", "done1", "C2", "|", "done2"]


def test_an_arrival_with_an_early_time_stays_behind_the_work_that_it_answers() -> None:
    """An event may have been sent, and a timer made, long before its turn."""
    fire_at = {"FireAt": SECONDS + "10Z"}
    assert unfolded(
        began(),
        shown("TimerCreated", "02", **fire_at),
        shown("TimerFired", "02", **fire_at),
        done("11", "13", "A"),
        shown("EventRaised", "05", Name="Go", Input="1"),
        done("14", "15", "B"),
    ) == ["|", "timer0", "|", "fired0", "A1", "|", "done1", "event", "B2", "|", "done2"]


def test_timers_that_are_due_at_the_same_time_fire_in_their_order() -> None:
    fire_at = {"FireAt": SECONDS + "10Z"}
    assert unfolded(
        began(),
        shown("TimerCreated", "02", **fire_at),
        shown("TimerCreated", "03", **fire_at),
        shown("TimerFired", "02", **fire_at),
        shown("TimerFired", "03", **fire_at),
    ) == ["|", "timer0", "timer1", "|", "fired0", "fired1"]


def test_the_time_of_a_turn_is_that_of_the_work_it_asked_for() -> None:
    """It lies before that by less than it does behind what arrived."""
    events = unfold(
        {
            "instanceId": "i",
            "historyEvents": [began("01.5"), done("07", "08", "A"), shown("EventRaised", "09.25")],
        }
    )
    turns = [e["Timestamp"] for e in events if e["EventType"] == EventType.ORCHESTRATOR_STARTED]
    assert turns == [f"{SECONDS}07.0000000Z", f"{SECONDS}09.2500000Z"]


def test_failures_keep_their_reason() -> None:
    (entry,) = (
        e
        for e in unfold(
            {"instanceId": "i", "historyEvents": [began(), done("02", "03", "A", "TaskFailed")]}
        )
        if e["EventType"] == EventType.TASK_FAILED
    )
    assert (entry["Reason"], entry["Details"], entry["TaskScheduledId"]) == ("", None, 0)


# -- the commands -----------------------------------------------------------------------------


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devhost", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_replay_prints_a_line_for_each_file_and_fails_if_one_does_not_fit(tmp_path: Path) -> None:
    """I10, as a command."""
    other = tmp_path / "other.json"
    other.write_text("{}", encoding="utf-8")
    done = command("replay", *FILES, HERE / "doctored.json", other)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith("fits ") for line in lines[: len(FILES)])
    assert lines[-2].startswith(f"MISMATCH  {HERE / 'doctored.json'}: turn 2 of 4: ")
    assert lines[-1].startswith(f"UNREAD    {other}: it lacks 'historyEvents'")
    assert len(lines) == len(FILES) + 2
    assert command("replay", FILES[0]).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "--app", "docs", "x.json"], "holds no function_app.py"),
        (["replay", "no-such-file.json"], "No such file"),
        (
            ["record", "--state", "no-such.db", "--id", "i", "-o", "x"],
            "there is no file no-such.db",
        ),
        (["record", "--url", "file:///etc/hosts", "-o", "x"], "is no http or https URL"),
        (["record", "--url", "http://127.0.0.1:1/", "-o", "x"], "refused"),
    ],
)
def test_what_can_not_be_done_is_said_in_a_line(arguments: list[str], said: str) -> None:
    done = command(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("devhost: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_state_file_needs_an_id() -> None:
    assert command("record", "--state", "x.db", "-o", "x").returncode == 2


def test_record_from_a_host_and_from_its_file(tmp_path: Path) -> None:
    state, from_url, from_file = (tmp_path / name for name in ("hub.db", "url.json", "file.json"))
    with Devhost(APP, state) as host, closing(Hub(host.url)) as hub:
        id_ = hub.start("Call", {"name": "Echo", "input": 7})
        assert hub.end(id_)["output"] == 7
        url = f"{host.url}/runtime/webhooks/durabletask/instances/{id_}?showInput=false"
        done = command("record", "--url", url, "-o", from_url)
        assert done.stdout == f"{from_url}: Call, Completed\n", done.stderr
    done = command("record", "--state", state, "--id", id_, "-o", from_file)
    assert done.returncode == 0, done.stderr
    assert outline(parse(from_url.read_text()).events) == outline(
        parse(from_file.read_text()).events
    )
    done = command("replay", "--app", APP, from_url, from_file)
    assert done.returncode == 0, done.stdout + done.stderr
    missing = command("record", "--state", state, "--id", "other", "-o", from_file)
    assert "holds no instance other" in missing.stderr


@pytest.fixture
def status_url() -> Iterator[str]:
    """A host that demands a key and gives the history of `succeeded`, if it is asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {
                name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()
            }
            flags = {query.get(f"show{what}") for what in ("History", "HistoryOutput", "Input")}
            body = json.dumps(folded(load("succeeded"))).encode() if flags == {"true"} else b"{}"
            self.send_response(200 if query.get("code") == "the key" else 401)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/instances/i"
    server.shutdown()
    thread.join()
    server.server_close()


def test_record_keeps_the_query_of_the_url_but_not_in_the_file(
    status_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "history.json"
    url = f"{status_url}?taskHub=Hub&showHistory=false&code=the%20key"
    assert history_commands.main(["record", "--url", url, "-o", str(path)]) == 0
    assert "the key" not in path.read_text()
    assert check(parse(path.read_text()), ORCHESTRATORS) == 4


def test_record_without_the_key_writes_nothing(
    status_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.json"
    assert history_commands.main(["record", "--url", status_url, "-o", str(path)]) == 1
    assert capsys.readouterr().err == "devhost: HTTP Error 401: Unauthorized\n"
    assert not path.exists()
