"""Each line of the app's log belongs to an invocation, by the rules of the Python worker.

The Functions host drops lines that have no invocation id: those of threads that the app starts.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Iterator

import pytest

from adapters.event_log import log_event
from adapters.threads import at_source, at_store, long_at_store
from devhost.worker import invocation_id
from tests.api import new_job_id
from tests.virtual.conftest import Lab
from tests.virtual.test_time import DONE, RUNNING

OF_THE_APP = {"activities", "adapters", "domain", "job_monitor", "orchestrators", "triggers"}


Run = Callable[[Callable[[], None]], Awaitable[None]]


class Lines(logging.Handler):
    """The lines of the app, with the invocation that each belongs to."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in OF_THE_APP:
            self.lines.append((record.name, record.getMessage(), invocation_id()))

    def events(self) -> list[str]:
        """The names of the events, in their order."""
        told = [text for name, text, _ in self.lines if name == "job_monitor.events"]
        return [json.loads(text)["event"] for text in told]


@pytest.fixture
def lines() -> Iterator[Lines]:
    found, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(found)
    root.setLevel(logging.INFO)
    yield found
    root.setLevel(level)
    root.removeHandler(found)


@pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")
def test_every_line_belongs_to_an_invocation(lab: Lab, lines: Lines) -> None:
    job_id, other, bad = (new_job_id() for _ in range(3))
    lab.source.behave("submit", {"id": job_id})
    lab.source.behave(job_id, RUNNING)
    lab.source.behave(bad, "401", {"status": "odd"}, DONE)
    lab.source.behave(other, RUNNING)
    url = f"/api/monitors/demo.{job_id}"
    lab.api.start(job={"a": 1}, pollIntervalSeconds=60)
    lab.api.start(jobId=bad)
    lab.api.start(jobId=other, timeoutSeconds=5, onExpiry="cancel")
    lab.host.run_until(lab.ended(bad, other))
    assert lab.api.call("PATCH", url, json={"labels": {"a": "b"}}).ok
    assert lab.api.call("POST", f"{url}/restart").ok
    for action in ("pause", "resume"):
        assert lab.api.call("POST", f"/api/sources/demo/{action}").ok
    assert lab.api.call("POST", f"{url}/stop").ok
    lab.host.run_until(lab.ended(job_id))
    assert lab.api.call("POST", f"{url}/stop?cancelJob=true").ok
    lab.host.advance(hours=2)
    assert [(name, text) for name, text, id_ in lines.lines if id_ is None] == []
    told = lines.events()
    # Those of threads: in the order in which things happened.
    assert told.index("submitted") < told.index("started")
    assert told[told.index("cancelAsked") :].count("stopAsked") == 2
    assert "cancelAsked" in told[len(told) - told[::-1].index("stopAsked") :]
    assert {"started", "blind", "sighted", "unrecognised", "cleaned", "restarted"} <= set(told)


@pytest.mark.parametrize("run", [at_source, at_store, long_at_store])
async def test_the_events_of_a_thread_that_fails_are_told(lines: Lines, run: Run) -> None:
    def fail() -> None:
        log_event("submitted", None, source="demo")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run(fail)
    assert lines.events() == ["submitted"]
