"""Compares the outcome of a run with its plan.

Lost: a start was accepted, and its run has no end. Doubled: a run ended twice, or somebody
watched a job besides, or after, the one watch over it. Wrong: an end that is not the job's, or
another state in the list, in the task hub or among the live monitors.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from adapters.monitor_table import MonitorTable, Stored
from domain.monitors.log import LogLine
from domain.monitors.monitor import MonitorRow, State
from tests.api import Api
from tools.chaos.callers import Accepted
from tools.chaos.job_system import Asked, JobSystem
from tools.chaos.plan import Job

_INSTANCES = "/runtime/webhooks/durabletask/instances?top=100000&showInput=false"


@dataclass
class Verdict:
    """The faults of a run, and the seconds from a job's end to its stored row (`lags`)."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    calm_lags: list[float] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """All faults, each with its kind."""
        named = {"lost": self.lost, "doubled": self.doubled, "wrong": self.wrong}
        return [f"{name}: {each}" for name, those in named.items() for each in those]


@dataclass(frozen=True)
class Judge:
    """Reads the parts after the run; `calm` is when the last of them was broken."""

    table: MonitorTable
    api: Api
    jobs: JobSystem
    calm: float

    def judge(self, accepted: list[Accepted]) -> Verdict:
        """Judge every accepted monitor, then look for monitors that nobody asked for."""
        verdict = Verdict()
        runs: dict[str, set[int]] = {}
        jobs: dict[str, Job] = {}
        for each in accepted:
            runs.setdefault(each.monitor_id, set()).add(each.run)
            jobs[each.monitor_id] = each.job
        with ThreadPoolExecutor(8) as pool:
            stored = dict(zip(jobs, pool.map(self.table.read, jobs), strict=True))
            times = dict(zip(jobs, pool.map(self._stored_at, jobs), strict=True))
        for monitor_id, job in jobs.items():
            found = stored[monitor_id]
            if found is None or not found.row.state.final:
                verdict.lost.append(f"{monitor_id}: {found and self._told(job, found.row)}")
                continue
            self._run_by_run(verdict, job, found, runs[monitor_id])
            self._lag(verdict, job, found.row, times[monitor_id])
            verdict.doubled += self._watched_twice(job, found.row, times[monitor_id])
        verdict.wrong += self._elsewhere({k: v.row for k, v in stored.items() if v})
        verdict.wrong += [f"the job system was asked: {each}" for each in self.jobs.touched]
        return verdict

    def _run_by_run(self, verdict: Verdict, job: Job, found: Stored, runs: set[int]) -> None:
        """One end for each run, and the right one; the last is that of the row."""
        row = found.row
        lines = [line for line in found.log if line.event == "ended"]
        for run, count in Counter(line.run for line in lines).items():
            if count > 1:
                verdict.doubled.append(f"{row.id}: {count} ends of run {run}")
        for run in sorted(runs | {row.run}):
            ends = [line for line in lines if line.run == run]
            if not ends:
                verdict.lost.append(f"{row.id}: no end of run {run}")
            expires = expiry(job, run, found.log)
            verdict.wrong += [
                f"{row.id}: run {run} {line.to} instead of {job.verdict}, "
                f"expired at {expires - self.jobs.begin:.2f}: {self._told(job, row)}"
                for line in ends
                if not self._right(job, State(line.to or ""), line.at, expires)
            ]
        if lines and row.state != lines[-1].to:
            verdict.wrong.append(f"{row.id}: {row.state} after {lines[-1].to}")
        word = self.jobs.status(job, row.ended_at.timestamp()) if row.ended_at else ""
        if row.state.job_ended and row.raw_status != word:
            verdict.wrong.append(f"{row.id}: {row.raw_status} instead of {word}")

    def _right(self, job: Job, state: State, at: datetime, expires: float) -> bool:
        """Whether a run may end so: an end before the expiry beats it, whatever died meanwhile."""
        if job.ends_at is None:
            return state is job.verdict
        ended = self.jobs.begin + job.ends_at
        if state is State.EXPIRED:
            return ended > expires
        return state is job.verdict and at.timestamp() >= ended

    def _told(self, job: Job, row: MonitorRow) -> str:
        """A job and its monitor in one line, with times in seconds since the beginning."""
        begin = self.jobs.begin
        polls = ", ".join(f"{p.at - begin:.2f} {p.answer}" for p in self.jobs.polls[job.id][-4:])
        times = (row.started_at, row.expire_time, row.last_poll_at, row.ended_at)
        shown = " ".join(f"{at.timestamp() - begin:.2f}" if at else "-" for at in times)
        return (
            f"{job.verdict} planned for {job.ends_at or 0:.2f}; run {row.run} is {row.state}; "
            f"started, expires, polled, ended: {shown}; polls: {polls}"
        )

    def _lag(self, verdict: Verdict, job: Job, row: MonitorRow, stored_at: float) -> None:
        if job.ends_at is None or not row.state.job_ended:
            return
        since = max(self.jobs.begin + job.ends_at, row.started_at.timestamp())
        verdict.lags.append(stored_at - since)
        if since > self.calm:
            verdict.calm_lags.append(stored_at - since)

    def _watched_twice(self, job: Job, row: MonitorRow, stored_at: float) -> Iterator[str]:
        polls = self.jobs.polls[job.id]
        late = [poll for poll in polls if poll.at > stored_at + 0.1]
        # A poll that was asked for when the watch was terminated can't be called back.
        if len(late) > (row.state is State.TERMINATED):
            yield f"{row.id}: {len(late)} polls after its end"
        # An activity that a kill cut off polls again at once, and so does a hint.
        hinted = self.jobs.begin + max(job.hints, default=0) + 2
        calm = [poll for poll in polls if poll.at > max(self.calm, hinted)]
        if job.meddles is None and job.verdict is not State.EXPIRED:
            yield from too_close(row, calm)

    def _elsewhere(self, rows: dict[str, MonitorRow]) -> Iterator[str]:
        listed = self._listed()
        for monitor_id, row in rows.items():
            if listed.get(monitor_id) != row.state:
                yield f"{monitor_id}: {row.state}, but {listed.get(monitor_id)} in the list"
        yield from (f"{each}: listed, but never accepted" for each in listed.keys() - rows.keys())
        for instance in self.api.call("GET", _INSTANCES).json():
            id_, status = instance["instanceId"], instance["runtimeStatus"]
            if id_ in rows and status not in ("Completed", "Terminated"):
                yield f"{id_}: its instance is {status}"
        yield from (f"{each}: still said to be live" for each, _ in self.table.live())

    def _listed(self) -> dict[str, str]:
        """The state of each monitor in the list, page by page."""
        states: dict[str, str] = {}
        token = ""
        while token is not None:
            query = {"top": "200"} | ({"token": token} if token else {})
            page = self.api.call("GET", "/api/monitors", params=query).json()
            states |= {row["id"]: row["state"] for row in page["monitors"]}
            token = page["next"]
        return states

    def _stored_at(self, monitor_id: str) -> float:
        """When the store last wrote the row, by its own account."""
        entity = self.table._table.find(monitor_id, "monitor")
        return float(entity.metadata["timestamp"].timestamp()) if entity else 0.0


def expiry(job: Job, run: int, log: list[LogLine]) -> float:
    """When a run expires. One that the watchdog resumed keeps the time of the run before it."""
    begins = [line.at for line in log if line.event == "started" and line.run <= run]
    return begins[-1].timestamp() + job.timeout


def too_close(row: MonitorRow, polls: list[Asked]) -> Iterator[str]:
    """The polls that only a second watch over the job explains.

    Of two watches, one polls half an interval after the other at the latest. On a busy machine the
    polls of one watch, too, come in closer than its interval: one is late, and the next is not.
    """
    least = row.poll_interval_seconds * 0.5
    for one, next_ in pairwise(polls):
        last_look = next_.at >= row.expire_time.timestamp() - 0.1
        if next_.at - one.at < least and not last_look:
            yield f"{row.id}: polls {next_.at - one.at:.2f} s apart"
