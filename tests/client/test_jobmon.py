"""The command `jobmon` and the client, against a running app."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from job_monitor import ApiError, AsyncClient, Client, NoAnswer, NotConfigured, Started
from job_monitor.command.app import app
from job_monitor.command.text import clean, to_json
from job_monitor.core.answer import Answer
from job_monitor.core.steps import Pause, Send, start_many
from tests.api import eventually, new_job_id

ROOT = Path(__file__).parent.parent.parent
# Ctrl-C is ignored by what a script runs in the background, and by its children.
RUN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from job_monitor.command.app import main
main()
"""


def command(url: str, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *words],
        env={**os.environ, "JOBMON_URL": url, "PYTHONPATH": str(ROOT / "client/src")},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def jobmon(url: str, *words: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr."""
    with command(url, *words) as process:
        said, complained = process.communicate(timeout=90)
    return process.returncode, said, complained


def said_here(url: str, *words: str) -> tuple[int, str, str]:
    """The same from this process: to start one takes longer than most commands do."""
    done = CliRunner().invoke(app, words, prog_name="jobmon", env={"JOBMON_URL": url})
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("workload", "code", "state"), [("primes", 0, "Succeeded"), ("crash", 1, "Failed")]
)
def test_a_start_that_waits_exits_as_the_job_ends(
    base_url: str, workload: str, code: int, state: str
) -> None:
    job = json.dumps({"workload": workload, "seconds": 1})
    wanted = ["start", "--source", "demo", "--interval", "1", "--job", job, "--wait"]
    exit_code, said, complained = jobmon(base_url, *wanted)
    assert exit_code == code, complained
    assert state in said
    assert complained.startswith("Started demo")


def test_a_watch_that_ends_without_its_job_exits_with_3(base_url: str) -> None:
    with Client(base_url) as client:
        started = client.start(source="demo", job_id=new_job_id(), poll_interval_seconds=1)
        assert jobmon(base_url, "stop", started.monitor.id)[0] == 0
    assert jobmon(base_url, "watch", started.monitor.id)[0] == 3


def test_ctrl_c_leaves_the_watch_and_says_so(base_url: str) -> None:
    with Client(base_url) as client:
        job = {"workload": "primes", "seconds": 60}
        monitor = client.start(source="demo", job=job, poll_interval_seconds=1).monitor
        with command(base_url, "watch", monitor.id) as process:
            assert process.stderr
            assert monitor.id in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            _, complained = process.communicate(timeout=30)
        assert process.returncode == 130
        assert f"jobmon watch {monitor.id}" in complained
        assert not client.get(monitor.id).monitor.ended
        client.stop(monitor.id, cancel_job=True)
        assert client.wait(monitor.id).state == "Stopped"


def test_each_line_of_a_file_is_started_and_a_bad_one_stops_no_other(
    base_url: str, tmp_path: Path
) -> None:
    ids = [new_job_id() for _ in range(3)]
    starts: list[dict[str, object]] = [{"jobId": each} for each in ids]
    starts.insert(1, {"jobId": "x", "pollIntervalSeconds": -1, "nonsense": 1})
    file = tmp_path / "jobs.jsonl"
    file.write_text("\n".join(map(json.dumps, starts)))
    code, said, complained = jobmon(base_url, "start", "--source", "demo", "--from", str(file))
    assert code == 4
    assert all(each in said for each in ids)
    assert "Start 2:" in complained
    assert "nonsense" in complained
    assert "pollIntervalSeconds" in complained
    with Client(base_url) as client:
        for each in ids:
            found = client.find(each, "demo")
            assert found
            client.stop(found.id)


def test_a_file_is_sent_in_batches(tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    lines = [{"jobId": str(number)} for number in range(101)]
    file.write_text("\n".join(map(json.dumps, [{"jobId": "x", "idempotencyKey": "k"}, *lines])))
    with moody() as url:
        code, said, complained = jobmon(url, "start", "--from", str(file))
    assert (code, len(said.splitlines())) == (0, 102), complained
    assert [len(each) for each in Moody.batches] == [100, 2]
    assert Moody.batches[0][0] == {"jobId": "x", "idempotencyKey": "k"}
    assert len({each["idempotencyKey"] for each in Moody.batches[0]}) == 100


def test_what_a_batch_had_no_time_for_is_sent_again_with_its_key() -> None:
    monitor = {"id": "a", "state": "Monitoring"}

    def answer(*statuses: int) -> Answer:
        each = [{"status": status, "body": {"monitor": monitor}} for status in statuses]
        return Answer(200, {}, json.dumps({"answers": each}).encode(), seconds=1)

    steps = start_many([{"jobId": each} for each in "abc"], patience=120)
    first = next(steps)
    assert steps.send(answer(202, 503, 409)) == Pause(10)
    again = next(steps)
    assert isinstance(first, Send)
    assert isinstance(again, Send)
    [sent] = json.loads(again.call.body or b"")["starts"]
    assert sent == json.loads(first.call.body or b"")["starts"][1]
    with pytest.raises(StopIteration) as end:
        steps.send(answer(202))
    results = end.value.value
    assert [isinstance(each, Started) for each in results] == [True, True, False]


@pytest.mark.parametrize("refusal", [400, 404, 413])
def test_a_server_that_takes_no_batch_gets_each_start_alone(refusal: int) -> None:
    """An older one has no such route; and one start may spoil the whole text."""
    with moody(refusal, 202, 400) as url, Client(url) as client:
        first, second, third = client.start_many([{"jobId": "a"}, {}, {"jobId": "b"}])
    assert isinstance(first, Started)
    assert isinstance(second, ApiError)
    assert isinstance(third, Started)
    assert len(set(Moody.keys)) == 4  # none with the batch, one with each start


def test_the_other_commands(base_url: str) -> None:
    job_id = new_job_id()
    code, said, _ = said_here(
        base_url, "start", "--source", "demo", "--job-id", job_id, "--label", "team=a", "--json"
    )
    assert (code, json.loads(said)["jobId"]) == (0, job_id)
    named = f"demo:{job_id}"
    assert job_id in said_here(base_url, "list", "--label", "team=a", "--job-id", job_id)[1]
    assert "started" in said_here(base_url, "show", named)[1]
    assert said_here(base_url, "hint", named)[0] == 0
    assert said_here(base_url, "watch", "--no-wait", named)[0] == 5
    assert "notFound" in said_here(base_url, "check", "demo", job_id)[1]
    assert "demo" in said_here(base_url, "sources")[1]
    assert said_here(base_url, "stop", named)[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["start"], 2, "--job"),
        (["start", "--source", "demo", "--job", "[1]"], 2, "JSON object"),
        (["start", "--source", "none", "--job-id", "1"], 4, "source"),
        (["start", "--source", "demo", "--job-id", "1", "--notify", "nobody"], 4, "nobody"),
        (["show", "no-such-monitor"], 4, "404"),
        (["show", "demo:no such job"], 4, "No monitor watches"),
    ],
)
def test_what_is_wrong_is_told(base_url: str, words: list[str], code: int, text: str) -> None:
    exit_code, _, complained = said_here(base_url, *words)
    assert exit_code == code
    assert text in complained


async def test_the_async_client_does_the_same(base_url: str) -> None:
    async with AsyncClient(base_url) as client:
        started = await client.start(
            source="demo", job={"workload": "primes", "seconds": 1}, poll_interval_seconds=1
        )
        assert (await client.wait(started.monitor.id)).succeeded


class Moody(http.server.BaseHTTPRequestHandler):
    """Refuses at first, then answers as an app would; notes the keys of the starts."""

    refusals: ClassVar[list[int]] = []
    keys: ClassVar[list[str | None]] = []
    batches: ClassVar[list[list[dict[str, str]]]] = []

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.keys.append(self.headers["Idempotency-Key"])
        status = self.refusals.pop(0) if self.refusals else 202
        answer: dict[str, object] = {"monitor": {"id": "a", "state": "Monitoring", "later": 1}}
        if self.path.endswith(":batch") and status == 202:
            starts = json.loads(sent)["starts"]
            self.batches.append(starts)
            answer = {"answers": [{"status": 202, "body": answer} for _ in starts]}
        body = json.dumps(answer).encode()
        self.send_response(status)
        if status != 202:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def moody(*refusals: int) -> Iterator[str]:
    Moody.refusals[:], Moody.keys[:], Moody.batches[:] = refusals, [], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moody) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_start_is_repeated_with_its_key() -> None:
    with moody(503, 429, 503) as url, Client(url) as client:
        assert client.start(source="demo", job={}).monitor.id == "a"
    assert len(Moody.keys) == 4
    assert len(set(Moody.keys)) == 1
    assert Moody.keys[0]


def test_a_restart_is_not_repeated() -> None:
    with moody(503) as url, Client(url) as client, pytest.raises(ApiError) as raised:
        client.restart("a")
    assert raised.value.status == 503
    assert len(Moody.keys) == 1


def test_no_answer_is_told() -> None:
    with Client("http://127.0.0.1:9", patience=0) as client, pytest.raises(NoAnswer):
        client.sources()


@pytest.mark.parametrize(
    "url", ["ftp://a", "http://a/?code=secret", "https://u:p@a", "nonsense", "http://a"]
)
def test_a_url_that_gives_a_key_away_is_refused(url: str) -> None:
    with pytest.raises(NotConfigured) as raised:
        Client(url, key="hidden")
    assert "hidden" not in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J\x1b]0;title\x07done",
        "##vso[task.complete]done",
        "a\n::set-output::done",
        "\u202edone",
    ],
)
def test_texts_of_jobs_give_no_orders(text: str) -> None:
    shown = clean(text)
    assert shown.endswith("done")
    assert "##" not in shown
    assert "##" not in to_json({"message": text})
    assert shown.isprintable()
    assert not shown.startswith("::")


def test_a_monitor_is_seen_to_end(base_url: str) -> None:
    with Client(base_url) as client:
        job = {"workload": "primes", "seconds": 1}
        monitor = client.start(source="demo", job=job, poll_interval_seconds=1).monitor
        states = [each.state for each in client.follow(monitor.id)]
        assert states[-1] == "Succeeded"
        ended = eventually(lambda: client.find(monitor.job_id, "demo"), lambda m: m is not None)
        assert ended
        assert ended.ended


def test_the_page_opens_in_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    page = "http://127.0.0.1:9/api/ui#/monitors/demo.a"
    assert jobmon("http://127.0.0.1:9/api/", "open", "demo.a") == (0, f"{page}\n", "")
    assert seen.read_text() == page
    assert jobmon("ftp://x", "open")[0] == 2
