"""Compares the outcome of a run with its plan.

Lost: a start was accepted, and its watch has no end. Doubled: a watch ended twice, or somebody
watched a job besides, or after, the one watch over it, or a request with a key was submitted twice.
Wrong: an end that is not the job's, or another state in the list, in the task hub or among the
live monitors; a job that was cancelled unasked, or was not although somebody asked. Untold: an end
that a channel was not told of. Told twice without a reason is doubled, told otherwise is wrong.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from adapters.monitor_table import MonitorTable, Stored
from domain.monitors.monitor import MonitorRow, State
from domain.monitors.monitor_id import monitor_id
from tests.api import Api
from tools.chaos.callers import Accepted, Callers
from tools.chaos.job_system import JobSystem
from tools.chaos.plan import Do, Job
from tools.chaos.receiver import ALL, BAD, BAD_ENDS
from tools.chaos.told import Arrival, Report
from tools.chaos.told import judge as judge_told
from tools.chaos.watches import (
    Watched,
    faults_of,
    intervals,
    polls_of,
    sent_once,
    too_close,
    watches,
)

_INSTANCES = "/runtime/webhooks/durabletask/instances?top=100000&showInput=false"
_LATE = 120.0  # seconds in which a busy host carries out a request that its caller gave up
_BUSY = 30.0  # seconds in which the last of them may still bring a poll
_DISTURBED = 5.0  # seconds after a start of the host in which an activity may run again


@dataclass
class Verdict:
    """The faults of a run, what was told, and the seconds from a job's end to its stored row."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    told: Report = field(default_factory=Report)
    lags: list[float] = field(default_factory=list)
    calm_lags: list[float] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """All faults, each with its kind."""
        named = {
            "lost": self.lost,
            "doubled": [*self.doubled, *self.told.unexplained],
            "wrong": [*self.wrong, *self.told.wrong],
            "untold": self.told.untold,
        }
        return [f"{name}: {each}" for name, those in named.items() for each in those]


@dataclass(frozen=True)
class Judge:
    """Reads the parts after the run.

    Attributes:
        table: The store.
        api: The app.
        jobs: The job system, with its records.
        callers: Those who asked, with the answers that they got.
        calm: When the last part was broken.
        restarts: When the host was started again after that, to have the watchdog run.
        arrivals: The messages that the receiver got.
        died: When the host and the receiver died, or were stopped.
    """

    table: MonitorTable
    api: Api
    jobs: JobSystem
    callers: Callers
    calm: float
    restarts: list[float]
    arrivals: Sequence[Arrival]
    died: Mapping[str, Sequence[float]]

    def judge(self) -> Verdict:
        """Judge every accepted monitor, then look for monitors that nobody asked for."""
        verdict = Verdict()
        accepted: dict[str, list[Accepted]] = {}
        for each in self.callers.accepted:
            accepted.setdefault(each.monitor_id, []).append(each)
        with ThreadPoolExecutor(8) as pool:
            stored = dict(zip(accepted, pool.map(self.table.read, accepted), strict=True))
            times = dict(zip(accepted, pool.map(self._stored_at, accepted), strict=True))
        for id_, starts in accepted.items():
            found, job = stored[id_], starts[0].job
            if found is None:
                verdict.lost.append(f"{id_}: it is not in the store")
                continue
            self._watch_by_watch(verdict, job, found, starts)
            if found.row.state.final:
                self._lag(verdict, job, found.row, times[id_])
                verdict.doubled += self._watched_twice(job, found.row, times[id_])
        verdict.told = self._told_of(filter(None, stored.values()))
        rows = {id_: found.row for id_, found in stored.items() if found}
        verdict.wrong += self._elsewhere(rows)
        for job in self.callers.plan.jobs:
            verdict.doubled += self._submitted_twice(job)
            if not job.starts and self.table.get(monitor_id(job.source, job.id)):
                verdict.wrong.append(f"{job.id}: a crafted start made a row")
        verdict.wrong += [f"the job system was asked: {each}" for each in self.jobs.touched]
        verdict.wrong += [f"refused: {each}" for each in self.callers.refused]
        return verdict

    def _watch_by_watch(
        self, verdict: Verdict, job: Job, found: Stored, starts: list[Accepted]
    ) -> None:
        """One end for each watch, and the right one; the last is that of the row."""
        row = found.row
        seen = watches(job, found.log)
        for each in seen:
            each.polls = polls_of(each, self.jobs.polls[job.id])
            ended_at = each.ends[-1].at.timestamp() if each.ends else row.started_at.timestamp()
            each.job_ends = self.jobs.ended(job, ended_at)
            for kind, text in faults_of(each, is_last=each is seen[-1]):
                getattr(verdict, kind).append(f"{row.id}: {text}: {self._told(job, row)}")
        by_run = {run: each for each in seen for run in each.runs}
        for start in starts:
            watched = by_run.get(start.run)
            if watched is None:
                verdict.lost.append(f"{row.id}: no run {start.run}, which a start was answered")
            elif start.began_by and watched.began.timestamp() < start.began_by - 1:
                verdict.wrong.append(f"{row.id}: run {start.run} is older than its job")
        lost = self.callers.meddlers.restarts[job.id] - by_run.keys()
        verdict.lost += [f"{row.id}: no run {run}, which a restart was answered" for run in lost]
        last = seen[-1].ends[-1] if seen and seen[-1].ends else None
        if last and (row.state, row.ended_at) != (last.to, last.at):
            verdict.wrong.append(f"{row.id}: {row.state} {row.ended_at} after {last}")
        verdict.wrong += [f"{row.id}: {fault}" for fault in self._cancels(job, seen, row)]

    def _told_of(self, stored: Iterable[Stored]) -> Report:
        ends = [
            (each.row.id, line.run, line.to or "")
            for each in stored
            for line in each.log
            if line.event == "ended"
        ]
        return judge_told(ends, {ALL: None, BAD: BAD_ENDS}, self.arrivals, self.died)

    def _cancels(self, job: Job, seen: list[Watched], row: MonitorRow) -> Iterator[str]:
        """The job is asked to end if, and only if, somebody asked for that (I5)."""
        states = {end.to for each in seen for end in each.ends}
        cancels = len(self.jobs.cancels[job.id])
        by_stop = job.id in self.callers.meddlers.cancels
        by_expiry = job.on_expiry == "cancel" and State.EXPIRED in states
        ends_itself = row.state.job_ended and job.life is not None
        if (by_stop or by_expiry) and not cancels and not ends_itself:
            yield f"the job was not cancelled: {self._told(job, row)}"
        may_expire = job.on_expiry == "cancel" and State.CANCELLED in states
        if cancels and not (by_stop or by_expiry or may_expire):
            yield f"the job was cancelled unasked: {self._told(job, row)}"

    def _told(self, job: Job, row: MonitorRow) -> str:
        """A job and its monitor in one line, with times in seconds since the beginning."""
        begin = self.jobs.begin
        polls = ", ".join(f"{p.at - begin:.2f} {p.answer}" for p in self.jobs.polls[job.id][-4:])
        times = (row.started_at, row.expire_time, row.last_poll_at, row.ended_at)
        shown = " ".join(f"{at.timestamp() - begin:.2f}" if at else "-" for at in times)
        acts = ", ".join(f"{act.at:.2f} {act.do}" for act in job.acts)
        return (
            f"run {row.run} is {row.state}; started, expires, polled, ended: {shown}; "
            f"polls: {polls}; acts: {acts or '-'}; {job}"
        )

    def _lag(self, verdict: Verdict, job: Job, row: MonitorRow, stored_at: float) -> None:
        ended = self.jobs.ended(job, stored_at)
        if ended is None or not row.state.job_ended or self.jobs.cancels[job.id]:
            return
        if any("sleeps" in act.settings for act in job.acts):
            return
        since = max(ended, row.started_at.timestamp())
        verdict.lags.append(stored_at - since)
        if since > self.calm:
            verdict.calm_lags.append(stored_at - since)

    def _watched_twice(self, job: Job, row: MonitorRow, stored_at: float) -> Iterator[str]:
        polls = sent_once(self.jobs.polls[job.id])
        late = [poll for poll in polls if poll.at > stored_at + 0.1]
        # A poll that was asked for when the watch was terminated can't be called back. A start
        # over a job that ended looks once.
        looks = [at for at in self.callers.sent[job.id] if at > stored_at - _LATE]
        if len(late) > len(looks) + (row.state is State.TERMINATED):
            yield f"{row.id}: {len(late)} polls after its end: {self._told(job, row)}"
        # An activity that a kill cut off polls again at once, and so does all that is a hint.
        busy = self.callers.busy.get(job.id, 0) + _BUSY
        calm = [poll for poll in polls if max(self.calm, busy) < poll.at <= stored_at]
        for restart in self.restarts:
            calm = [p for p in calm if not restart - _DISTURBED < p.at < restart + _DISTURBED]
        if row.state is not State.TERMINATED:
            expires = row.expire_time.timestamp()
            yield from (
                f"{row.id}: {each}" for each in too_close(min(intervals(job)), expires, calm)
            )

    def _submitted_twice(self, job: Job) -> Iterator[str]:
        """A request with a key is submitted once, however often it comes."""
        if job.keyed:
            counts = Counter(each.start for each in self.jobs.submits[job.id])
            yield from (f"{job.id}: {n} submits for {key}" for key, n in counts.items() if n > 1)

    def _elsewhere(self, rows: dict[str, MonitorRow]) -> Iterator[str]:
        listed = self._listed()
        jobs = self.callers.plan.jobs
        suspended = {monitor_id(job.source, job.id) for job in jobs if job.has(Do.SUSPEND)}
        asleep = {
            monitor_id(job.source, job.id)
            for job in jobs
            if any("sleeps" in act.settings for act in job.acts)
        }
        for id_, row in rows.items():
            if listed.get(id_) != row.state:
                yield f"{id_}: {row.state}, but {listed.get(id_)} in the list"
        yield from (f"{each}: listed, but never accepted" for each in listed.keys() - rows.keys())
        for instance in self.api.call("GET", _INSTANCES).json():
            id_, status = instance["instanceId"], instance["runtimeStatus"]
            # One that was suspended after it had stored the end stays so, and a crafted one sleeps.
            rests = ["Suspended"] * (id_ in suspended) + ["Running"] * (id_ in asleep)
            ended = ("Completed", "Terminated", *rests)
            if instance["name"] == "JobMonitoring" and status not in ended:
                yield f"{id_}: its instance is {status}"
        yield from (f"{each}: still said to be live" for each in still_live(self.table))

    def _listed(self) -> dict[str, str]:
        """The state of each monitor in the list, page by page."""
        states: dict[str, str] = {}
        token = ""
        while token is not None:
            query = {"top": "200"} | ({"token": token} if token else {})
            answer = self.api.call("GET", "/api/monitors", params=query)
            if not answer.ok:
                return {"the list": f"{answer.status_code} {answer.text}"}
            page = answer.json()
            states |= {row["id"]: row["state"] for row in page["monitors"]}
            token = page["next"]
        return states

    def _stored_at(self, id_: str) -> float:
        """When the store last wrote the row, by its own account."""
        entity = self.table._table.find(id_, "monitor")
        return float(entity.metadata["timestamp"].timestamp()) if entity else 0.0


def still_live(table: MonitorTable) -> set[str]:
    """The monitors that may be live.

    A claim or a restart that the end of the watch overtook has left an entry of a run that never
    began. The watchdog drops that one after a quarter of an hour.
    """
    rows = [(id_, claim, table.get(id_)) for id_, claim in table.live()]
    return {
        id_ for id_, claim, row in rows if not (row and row.state.final and claim.run > row.run)
    }
