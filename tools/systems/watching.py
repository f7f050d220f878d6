"""The checks of each system, through the app's own HTTP API.

1. A job that succeeds and one that fails are started by `POST /api/monitors`.
2. One is cancelled by somebody in the system itself: the monitor tells so.
3. One is stopped with `cancelJob=true`: the monitor is `Stopped`, and the job is cancelled.
4. One that the system does not know is not found.
5. One is swept: its own polls are far away, and its end is stored within an interval.
6. More of a system's own, like an array of which one task fails.

Each time the rows in Table storage are compared with what the system and the app say of the job.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import requests
from azure.core.exceptions import AzureError
from azure.data.tables import TableClient

from demo.azurite import Azurite
from demo.part import PartFailed
from demo.stack import Host
from tests.api import Api, Body, eventually
from tools.systems.system import LOGS, Seen, System

_DEADLINE = 90.0  # seconds for each thing that is waited for
_SWEEP_INTERVAL = 8  # seconds
_LATEST = 10.0  # seconds after its end by which a job that is polled every second has its row
_FAR = timedelta(minutes=2)  # further away than the job's end
_TROUBLE = (AssertionError, AzureError, KeyError, PartFailed, requests.RequestException)


@dataclass
class Line:
    """One watched job; `problems` is empty if all is as it must be."""

    system: str
    version: str
    job: str
    verdict: str = ""
    seconds: float | None = None
    problems: list[str] = field(default_factory=list)

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Note it unless both are the same."""
        if found != wanted:
            self.problems.append(f"{what} is {found!r}, not {wanted!r}")


class Watched:
    """The app, with one system as its source."""

    def __init__(self, system: System, api: Api, rows: TableClient) -> None:
        self.system, self.api, self.rows = system, api, rows
        self.version = system.version()

    def lines(self) -> Iterator[Line]:
        """Watch one job after the other."""
        jobs = self.system.jobs()
        yield self._line("succeeds", lambda line: self._ends(line, jobs.good, "Succeeded"))
        yield self._line("fails", lambda line: self._ends(line, jobs.bad, "Failed"))
        yield self._line("cancelled there", lambda line: self._cancelled(line, jobs.long))
        yield self._line("stopped here", lambda line: self._stopped(line, jobs.long))
        yield self._line("not there", self._unknown)
        if self.system.sweep:
            name = f"swept ({self.system.sweep})"
            yield self._line(name, lambda line: self._swept(line, jobs.steady))
        for name, (job, state) in jobs.more.items():
            yield self._line(name, partial(self._ends, job=job, state=state))

    def _line(self, job: str, check: Callable[[Line], None]) -> Line:
        line = Line(self.system.name, self.version, job)
        try:
            check(line)
        except _TROUBLE as error:
            line.problems.append(f"{type(error).__name__}: {error}")
        return line

    def _ends(self, line: Line, job: Body, state: str) -> None:
        self._compare(line, self._start(job), state)

    def _swept(self, line: Line, job: Body) -> None:
        """The sweep takes over once it has seen the job; then its end comes by the sweep alone."""
        source = f"{self.system.name}-swept"
        started = self._start(job, source=source, pollIntervalSeconds=_SWEEP_INTERVAL)
        shown = self.api.wait(started["id"], lambda shown: shown["sweep"] is not None, _DEADLINE)
        poll_at = datetime.fromisoformat(shown["sweep"]["safetyPollAt"])
        line.expect("its next own poll", poll_at > datetime.now(UTC) + _FAR, wanted=True)
        self._compare(line, started, "Succeeded")

    def _unknown(self, line: Line) -> None:
        """The system's word for a job that it does not know is understood."""
        path = f"/api/sources/{self.system.name}/check/raw?jobId={self.system.unknown}"
        answer = self.api.call("POST", path)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        line.expect("the outcome", shown["poll"]["outcome"], "notFound")
        line.verdict = f"notFound (HTTP {shown['answer']['httpStatus']})"

    def _cancelled(self, line: Line, job: Body) -> None:
        with self._at_work(job) as started:
            self.system.cancel(started["jobId"])
            self._compare(line, started, self.system.cancelled_state)

    def _stopped(self, line: Line, job: Body) -> None:
        with self._at_work(job) as started:
            answer = self.api.call("POST", f"/api/monitors/{started['id']}/stop?cancelJob=true")
            assert answer.status_code == 202, answer.text
            shown = self.api.ended(started["id"], _DEADLINE)["monitor"]
            line.expect("the answer to the cancel", shown.get("cancelResult"), "accepted")
            seen = self._end_there(started["jobId"])
            line.expect("the job's status there", seen.status, self.system.cancelled)
            row = self._row(line, shown, "Stopped")
            line.verdict = f"{row['state']}, job {seen.status}"

    @contextmanager
    def _at_work(self, job: Body) -> Iterator[Body]:
        """A monitor whose job is seen working; the job is gone afterwards."""
        started = self._start(job)
        try:
            self.api.wait(
                started["id"],
                lambda shown: shown["monitor"].get("rawStatus") == self.system.at_work,
                _DEADLINE,
            )
            yield started
        finally:
            if self.system.see(started["jobId"]).ended_at is None:
                self.system.cancel(started["jobId"])

    def _start(self, job: Body, **settings: Any) -> Body:
        given = {"job": job} if self.system.submits else {"jobId": self.system.submit(job)}
        settings = {"source": self.system.name, "timeoutSeconds": 300, **settings}
        answer = self.api.start(**settings, **given)
        monitor: Body = answer["monitor"]
        return monitor

    def _compare(self, line: Line, started: Body, state: str) -> None:
        shown = self.api.ended(started["id"], _DEADLINE)["monitor"]
        seen = self._end_there(started["jobId"])
        row = self._row(line, shown, state)
        line.expect("the row's raw status", row.get("rawStatus"), seen.status)
        line.verdict = f"{row['state']} ({row.get('rawStatus')})"
        assert seen.ended_at
        line.seconds = (row.metadata["timestamp"] - seen.ended_at).total_seconds()
        if line.seconds > _LATEST:
            line.problems.append(f"the row came {line.seconds:.1f} s after the job's end")

    def _end_there(self, job_id: str) -> Seen:
        return eventually(
            lambda: self.system.see(job_id), lambda seen: seen.ended_at is not None, _DEADLINE
        )

    def _row(self, line: Line, shown: Body, state: str) -> Any:
        """The row as Table storage has it, compared with what the app shows."""
        row = self.rows.get_entity(shown["id"], "monitor")
        line.expect("the row's state", row["state"], state)
        for name in ("source", "jobId", "state", "rawStatus", "reason"):
            line.expect(f"the row's {name}", row.get(name), shown.get(name))
        line.expect("the row's endedAt", row["endedAt"], datetime.fromisoformat(shown["endedAt"]))
        lines = self.rows.query_entities(
            "PartitionKey eq @id", parameters={"id": shown["id"]}, select=["event"]
        )
        ends = [line for line in lines if line.get("event") == "ended"]
        line.expect("the number of ends in its log", len(ends), 1)
        return row


def _swept_source(system: System) -> str:
    """The same source, in the care of a sweep."""
    head, new = f"[sources.{system.name}]\n", f"[sources.{system.name}-swept]\n"
    options = f'sweep = "{system.sweep}"\npoll_interval_seconds = {_SWEEP_INTERVAL}\n'
    return system.source.replace(head, new + options) if system.sweep else ""


@contextmanager
def watched(system: System, folder: Path) -> Iterator[Watched]:
    """Start the app with a system as its source."""
    sources = folder / "job_sources.toml"
    sources.write_text(system.source + _swept_source(system))
    with Azurite(folder / "azurite", LOGS / "azurite.log") as azurite:
        host = Host(folder / "hub.db", LOGS / "host.log")
        host.environment = {
            "AzureWebJobsStorage": azurite.connection_string,
            "JOB_SOURCES_FILE": str(sources),
            **system.settings(),
        }
        with (
            host,
            TableClient.from_connection_string(azurite.connection_string, "Monitors") as rows,
        ):
            yield Watched(system, Api(host.url), rows)
