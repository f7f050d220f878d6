"""The kinds of jobs in a plan, how often each comes, and what is done about each."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from domain.monitors.monitor import State
from tools.chaos.plan import HUB_KNOWN, LONG, SWEEP_INTERVAL, Act, Do, Job, Plan

_TROUBLES = ("500", "500", "429", "slow", "hang", "reset", "html")
_HARMLESS = (Do.RESTART, Do.FORGE, Do.COPY, Do.CHANGE)
_LAST_ACTS = 3.0  # seconds before the end of a run, so that the last start of the host sees them


def make_plan(seed: int, monitors: int, seconds: float, swept: float = 0.5) -> Plan:
    """The plan of a seed; `swept` is the share of the jobs that a sweep looks after."""
    rng = Random(seed)  # noqa: S311 - no secret
    kinds = rng.choices(list(_KINDS), list(_KINDS.values()), k=monitors)
    # Each kind is in it, also when there are few.
    kinds[: len(_KINDS)] = _KINDS
    jobs = [_job(rng, number, kind, seconds) for number, kind in enumerate(kinds)]
    ways = Random(f"{seed} swept")  # noqa: S311 - no secret
    return Plan(seed, seconds, tuple(_swept(job) if ways.random() < swept else job for job in jobs))


def _swept(job: Job) -> Job:
    """The job, in the care of a sweep. A watch with a shorter interval than that polls itself."""
    return replace(job, swept=True, interval=max(job.interval, SWEEP_INTERVAL))


def _job(rng: Random, number: int, kind: "Kind", seconds: float) -> Job:
    # Ids that can't stand in a URL, and are hashed, are among them.
    name = f"Job {number}/ä?" if number % 20 == 7 else f"job-{number:05}"
    start = rng.uniform(0, seconds * 0.85)
    life = rng.uniform(1, min(60.0, seconds))
    callers = rng.choices((1, 2, 5), (80, 15, 5))[0]
    starts = (start, *(start + rng.uniform(0, 1) for _ in range(callers - 1)))
    hints = (rng.uniform(0, life) for _ in range(rng.choice((0, 0, 0, 1, 3))))
    job = Job(
        id=name,
        starts=starts,
        interval=rng.choice((1, 2, 2, 3)),
        acts=tuple(Act(start + after, Do.HINT) for after in hints),
    )
    return kind(rng, job, life, seconds)


Kind = Callable[[Random, Job, float, float], Job]


def _ends(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """A job that ends by itself. What is done about its watch changes nothing of that."""
    start = job.starts[0]
    job = replace(
        job,
        end=rng.choices((State.SUCCEEDED, State.FAILED, State.CANCELLED), (6, 2, 1))[0],
        life=life,
        begins_at=start,
        hidden=rng.choice((0, 0, 0, 0, 1.5)),
    )
    if rng.random() < 0.5:
        polls = [poll for poll in range(1, 6) if rng.random() < 0.3]
        job = replace(job, troubles={poll: rng.choice(_TROUBLES) for poll in polls})
    elif rng.random() < 0.2:  # it ends about when its watch expires
        return replace(job, timeout=max(round(life) + rng.choice((-1, 0, 1)), 1))
    if rng.random() < 0.1:
        return replace(job, starts=(*job.starts, start + rng.uniform(0, seconds / 2)))
    if rng.random() < 0.4:
        return _meddled_with(rng, replace(job, starts=job.starts[:1]), life, seconds)
    return job


def _meddled_with(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """Operations, some of them before the start or after the end, that no verdict may come from."""
    acts = []
    for do in rng.choices(_HARMLESS, k=rng.choice((1, 1, 2, 3))):
        at = job.starts[0] + rng.uniform(-0.5 if do is Do.FORGE else 0, life + 5)
        settings = {"pollIntervalSeconds": rng.choice((1, 2, 3))} if do is Do.CHANGE else {}
        # The watchdog frees a watch that a crafted start put to sleep, but a minute later.
        sleeps = do is Do.FORGE and seconds > HUB_KNOWN and rng.random() < 0.5
        acts.append(Act(at, do, {"sleeps": 1} if sleeps else settings))
    return replace(job, acts=(*job.acts, *acts))


def _expires(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """A job that runs for ever."""
    job = replace(
        job, begins_at=job.starts[0], timeout=round(life) + 1, on_expiry=rng.choice(_ON_EXPIRY)
    )
    if rng.random() < 0.4:
        return _meddled_with(rng, replace(job, starts=job.starts[:1]), life, seconds)
    return job


_ON_EXPIRY = ("leave", "leave", "cancel")


def _expires_otherwise(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """A job that runs for ever, and somebody changes how long it is watched."""
    del seconds
    start, after = job.starts[0], rng.uniform(0.5, life)
    later, sooner = round(life), rng.randrange(1, 10)
    timeout = rng.choice((LONG, round(after) + 2))
    change = Act(start + after, Do.CHANGE, {"timeoutSeconds": rng.choice((later, sooner))})
    return replace(
        job,
        starts=job.starts[:1],
        begins_at=start,
        timeout=timeout,
        on_expiry=rng.choice(_ON_EXPIRY),
        acts=(*job.acts, change),
    )


def _suspended(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """A job whose suspended watch expires, or is stopped."""
    start = job.starts[0]
    suspend = Act(start + rng.uniform(0, 2), Do.SUSPEND)
    if rng.random() < 0.5:
        timeout = max(round(min(life, seconds - start - _LAST_ACTS)), 1)
        job = replace(job, timeout=timeout, on_expiry=rng.choice(_ON_EXPIRY))
    else:
        job = replace(job, acts=(*job.acts, *_stops(rng, suspend.at + rng.uniform(1, life))))
    return replace(job, starts=job.starts[:1], begins_at=start, acts=(*job.acts, suspend))


def _unknown(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """A job that its system never knew, or forgets."""
    del seconds
    known_for = rng.choice((None, None, life))
    return replace(job, begins_at=job.starts[0], end=State.LOST, life=known_for)


def _stopped(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """A job whose watch is stopped, often twice, and at times restarted beside that."""
    del seconds
    start, at = job.starts[0], job.starts[0] + life
    job = replace(job, starts=job.starts[:1], begins_at=start)
    acts = [*job.acts, *_stops(rng, at)]
    if rng.random() < 0.3:
        acts.append(Act(at + rng.uniform(-0.1, 0.1), Do.RESTART))
    if rng.random() < 0.3:
        acts.append(Act(at + rng.uniform(-1, 3), Do.FORGE))
    if rng.random() < 0.25:  # it ends about then
        job = replace(job, life=life + rng.uniform(-1, 1), end=State.FAILED)
    return replace(job, acts=tuple(acts))


def _stops(rng: Random, at: float) -> list[Act]:
    count = rng.choice((1, 2, 2, 3))
    kinds = [rng.choice((Do.STOP, Do.STOP, Do.STOP_AND_CANCEL)) for _ in range(count)]
    spread = rng.choice((0.05, 3))  # while the watch is about to end, or afterwards
    return [Act(at + rng.uniform(0, spread), kind) for kind in kinds]


def _terminated(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """A job whose watch is terminated, and at times purged."""
    at = min(job.starts[0] + life, seconds - _LAST_ACTS)
    do = rng.choice((Do.TERMINATE, Do.PURGE, Do.PURGE_UNSEEN if at > HUB_KNOWN else Do.PURGE))
    job = replace(job, starts=job.starts[:1], begins_at=job.starts[0])
    return replace(job, acts=(*job.acts, Act(at, do)))


def _submitted(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """A job that each start submits, under an id that the job system gives again and again."""
    start = job.starts[0]
    starts = [start]
    for _ in range(rng.choice((1, 1, 2))):
        # While the watch before is live, or after its end.
        starts.append(min(starts[-1] + life * rng.choice((0.5, 1, 1.7)), seconds))
    return replace(
        job,
        starts=tuple(starts),
        submitted=True,
        life=life,
        end=State.SUCCEEDED,
        hidden=rng.choice((0, 1)),
        cut_submit=rng.random() < 0.2,
    )


def _keyed(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """A job whose starts bring a key, and are sent again at once and later."""
    job = _submitted(rng, job, life, seconds)
    starts = job.starts[: rng.choice((1, 1, 2))]
    return replace(job, starts=starts, keyed=True, repeats=rng.choice((1, 2, 3)))


def _unwatched(rng: Random, job: Job, life: float, seconds: float) -> Job:
    """A job that nobody watches, but for a crafted start."""
    del life, seconds
    begin = job.starts[0]
    return replace(job, starts=(), acts=(Act(begin + rng.random(), Do.FORGE),))


_KINDS: dict[Kind, int] = {
    _ends: 56,
    _expires: 8,
    _expires_otherwise: 4,
    _suspended: 4,
    _unknown: 6,
    _stopped: 8,
    _terminated: 5,
    _submitted: 4,
    _keyed: 4,
    _unwatched: 1,
}
