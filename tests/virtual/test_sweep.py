"""Sweeps on the virtual clock: a sweep wakes, a poll decides, and a list may say anything."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

import pytest

from activities import sweep_source
from adapters.app_state import AppState
from adapters.monitor_entities import LIVE, live_key
from adapters.monitor_table import MonitorTable, Snapshot
from adapters.services import get_services
from adapters.sweeper import Sweeper
from adapters.table import update_unchanged
from domain import names
from domain.monitors import transitions
from domain.monitors.decide import TIMER_EARLY
from domain.monitors.sweep import Sweep
from domain.outcome import Outcome, Poll
from tests.api import Body, new_job_id
from tests.conftest import Store
from tests.faulty_source import FaultySource
from tests.virtual.conftest import Lab, laboratory, source
from tests.virtual.test_time import DONE, RUNNING
from tests.virtual.test_who import told

pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")

LIST = """list.url = "{url}/lists/{name}{query}"
list.items = "jobs"
list.id = "id"
list.status = "status"
list.progress = "progress"
list.message = "message"
"""
PAGES = 'list.pages = { kind = "token", token = "next", name = "page" }\n'
SHORT = "progress_seconds = 120\n"


class Swept(Lab):
    """The app with the sources `full`, `changes` and `single`, which sweep, and `demo`."""

    def begin(self, *job_ids: str, source: str = "full", minutes: float = 3, **body: Any) -> None:
        """Start monitors of running jobs, and let them poll once or twice."""
        for job_id in job_ids:
            self.source.jobs.setdefault(job_id, {"id": job_id, **RUNNING})
            self.api.start(source=source, jobId=job_id, pollIntervalSeconds=60, **body)
        self.host.advance(minutes=minutes)

    def names(self, which: str, *job_ids: str | Body, **more: object) -> None:
        """Have a list name these jobs, each as it is or as given."""

        def page() -> Body:
            given = [self.source.jobs[j] if isinstance(j, str) else j for j in job_ids]
            return {"jobs": given, **more}

        self.source.behave(which, page)

    def asked(self, which: str) -> list[dict[str, list[str]]]:
        """The queries of the requests for a list."""
        found = [urlsplit(each.target) for each in self.source.requests]
        return [parse_qs(each.query) for each in found if each.path == f"/lists/{which}"]

    def polls(self, job_id: str) -> int:
        """How often the system was asked for a job."""
        return sum(each.target == f"/jobs/{job_id}" for each in self.source.requests)

    def sweep(self, source: str) -> Sweep:
        return AppState(self.table._table).sweep(source)

    def state_of(self, source: str, job_id: str) -> str:
        return str(self.row(f"{source}.{job_id}").state)


@pytest.fixture
def lab(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> Iterator[Swept]:
    """Only the sources that a test names sweep: each costs it time."""
    sweeping = getattr(request, "param", ("full",))

    def sources(url: str) -> str:
        full = LIST.format(url=url, name="full", query="")
        changes = LIST.format(url=url, name="changes", query="?since={since}")
        changes += 'list.updated = "at"\nlist.overlap_seconds = 60\nlist.max_pages = 3\n' + PAGES
        each = 'sweep = "each"'
        tables = {
            "full": source("full", url, SHORT, full, PAGES),
            "changes": source("changes", url, SHORT, changes),
            "single": source("single", url, SHORT, each),
            "slow": source("slow", url, each, timeout=0.3),
        }
        named = [tables[name] for name in sweeping]
        return "\n".join(['default = "demo"', source("demo", url), *named])

    caplog.set_level(logging.INFO)
    with laboratory(store, tmp_path, monkeypatch, sources) as found:
        found.source.behave("full", {"jobs": []})
        found.source.behave("changes", {"jobs": []})
        yield Swept(found.host, found.source, found.table)


def sweeping(*names: str) -> pytest.MarkDecorator:
    """Have these sources there, and sweep."""
    return pytest.mark.parametrize("lab", [names], indirect=True, ids=[" ".join(names)])


def each_way(*ways: str) -> pytest.MarkDecorator:
    """Run with each of these sources alone."""
    return pytest.mark.parametrize(("lab", "which"), [((w,), w) for w in ways], indirect=["lab"])


@each_way("full", "changes", "single")
def test_a_swept_job_polls_rarely_and_its_end_is_stored_within_an_interval(
    lab: Swept, which: str
) -> None:
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names(which, job_id)
    lab.begin(job_id, source=which)
    assert lab.row(f"{which}.{job_id}").swept
    before, polls = lab.polls(job_id), lab.row(f"{which}.{job_id}").polls
    lab.host.advance(minutes=9)
    assert lab.row(f"{which}.{job_id}").polls == polls
    assert (lab.polls(job_id) > before) is (which == "single")
    lab.source.jobs[job_id] |= {**DONE, "at": lab.host.now.isoformat()}
    lab.host.advance(seconds=61)
    assert lab.state_of(which, job_id) == "Succeeded"
    assert lab.row(f"{which}.{job_id}").polls == polls + 1


def test_a_job_that_a_complete_list_names_no_more_is_looked_at(lab: Swept) -> None:
    gone, still = new_job_id(), new_job_id()
    lab.source.jobs |= {each: {"id": each, **RUNNING} for each in (gone, still)}
    lab.names("full", gone, still)
    lab.begin(gone, still)
    lab.source.jobs[gone] |= DONE
    lab.names("full", still)
    lab.host.advance(seconds=61)
    assert (lab.state_of("full", gone), lab.state_of("full", still)) == ("Succeeded", "Monitoring")


@pytest.mark.long
@sweeping("full", "changes", "single")
def test_an_unchanged_job_costs_no_turn_and_no_write(
    lab: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [new_job_id() for _ in range(5)]
    lab.source.jobs |= {each: {"id": each, **RUNNING, "progress": 1} for each in jobs}
    for which in ("full", "changes", "single"):
        lab.names(which, *jobs)
        lab.begin(*jobs, source=which, minutes=1)
    lab.host.run_until(lambda: lab.host.now.minute % 5 == 1)  # the watchdog reads each row
    before = {i: lab.table.snapshot(i) for i, _ in lab.table.live()}
    turns = {i: lab.host.status(i)["lastUpdatedTime"] for i in before}
    reads: list[str] = []
    snapshot = MonitorTable.snapshot

    def noted(self: MonitorTable, monitor_id: str) -> Snapshot | None:
        reads.append(monitor_id)
        return snapshot(self, monitor_id)

    with monkeypatch.context() as patch:
        patch.setattr(MonitorTable, "snapshot", noted)
        lab.host.advance(minutes=3)
    assert len(before) == 15
    assert [i for i in reads if i.startswith(("full", "changes", "single"))] == []
    for monitor_id, known in before.items():
        now = lab.table.snapshot(monitor_id)
        assert known
        assert now
        assert now.entity.metadata["etag"] == known.entity.metadata["etag"]
        assert lab.host.status(monitor_id)["lastUpdatedTime"] == turns[monitor_id]


def test_status_is_written_at_once_and_progress_now_and_then(lab: Swept) -> None:
    """Rule 4: progress that moves each minute does not make each job changed."""
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING, "progress": 0, "message": "0"}
    lab.names("full", job_id)
    lab.begin(job_id)
    seen = []
    for minute in range(6):
        lab.source.jobs[job_id] |= {"progress": minute + 1, "message": str(minute + 1)}
        lab.host.advance(minutes=1)
        seen.append(lab.row(f"full.{job_id}").progress)
    assert 2 <= len({*seen}) <= 4
    polls = lab.row(f"full.{job_id}").polls
    lab.source.jobs[job_id] |= {"status": "queued"}
    lab.host.advance(minutes=1)
    row = lab.row(f"full.{job_id}")
    assert (row.raw_status, row.progress, row.polls) == ("queued", 6, polls)
    stored = lab.table.read(row.id)
    assert stored
    assert [(line.from_, line.to) for line in stored.log if line.event == "status"] == [
        (None, "processing"),
        ("processing", "queued"),
    ]


def test_a_sweep_is_shown(lab: Swept) -> None:
    """The last look is the sweep's own: nothing is written for each monitor."""
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    assert lab.api.call("GET", "/api/health/details").json()["silentSweeps"] == ["full"]
    lab.names("full", job_id)
    lab.begin(job_id, minutes=5)
    monitor_id = f"full.{job_id}"
    shown = lab.api.get(monitor_id)
    last = datetime.fromisoformat(shown["sweep"]["lastLookAt"])
    assert lab.host.now - timedelta(seconds=61) < last
    assert last > lab.row(monitor_id).last_poll_at + timedelta(minutes=2)  # type: ignore[operator]
    assert shown["sweep"]["safetyPollAt"] == shown["monitor"]["nextPollAt"]
    assert (shown["sweep"]["fresh"], shown["monitor"]["stale"]) == (True, False)
    listed = {each["name"]: each for each in lab.api.call("GET", "/api/sources").json()["sources"]}
    sweep = listed["full"]["sweep"]
    assert (sweep["by"], sweep["jobs"], sweep["fresh"], sweep["failures"]) == ("list", 1, True, 0)
    assert listed["demo"]["sweep"] is None
    assert lab.api.call("GET", "/api/health/details").json()["silentSweeps"] == []
    lab.source.behave("full", "500")
    lab.host.suspend(monitor_id)
    lab.host.advance(minutes=6)
    shown = lab.api.get(monitor_id)
    assert (shown["sweep"]["fresh"], shown["monitor"]["stale"]) == (False, True)
    sweep = lab.api.call("GET", "/api/sources").json()["sources"][1]["sweep"]
    assert sweep["failures"] > 1
    assert sweep["detail"] == "HTTP 500"
    assert lab.api.call("GET", "/api/health/details").json()["silentSweeps"] == ["full"]


# -- the latest look wins -----------------------------------------------------------------------


def test_a_poll_that_did_not_see_the_job_keeps_what_the_sweep_saw(lab: Swept) -> None:
    """Rule 1: and no line in the log says otherwise."""
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, "status": "queued"}
    lab.names("full", job_id)
    lab.begin(job_id)
    lab.source.jobs[job_id] |= RUNNING
    lab.host.advance(minutes=1)
    lab.source.behave(job_id, "500")
    assert lab.api.call("POST", f"/api/monitors/full.{job_id}/notify").ok
    lab.host.advance(minutes=2)
    row = lab.row(f"full.{job_id}")
    assert (row.raw_status, row.outcome) == ("processing", "unreachable")
    stored = lab.table.read(row.id)
    assert stored
    changes = [(line.from_, line.to) for line in stored.log if line.event == "status"]
    assert changes == [(None, "queued"), ("queued", "processing")]


def test_a_poll_that_asked_after_the_list_wins(lab: Swept) -> None:
    """Rule 1: a list that was asked for before a poll is older, however late it is answered."""
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, "status": "queued"}
    lab.names("full", job_id)
    lab.begin(job_id)
    taken = lab.sweep("full").looked_at

    def late() -> Body:
        """The poll asks, and is answered, while the list is on its way."""
        known = {"jobs": [dict(lab.source.jobs[job_id])]}
        lab.source.jobs[job_id] |= RUNNING
        row = lab.row(f"full.{job_id}")
        at = lab.host.now + timedelta(seconds=1)
        poll = Poll(outcome=Outcome.RUNNING, raw_status="processing")
        lab.table.change(row.id, lambda now: transitions.polled(now, row.run, poll, at))
        return known

    lab.source.behave("full", late, {"jobs": [{"id": job_id, **RUNNING}]})
    lab.host.run_until(lambda: lab.sweep("full").looked_at != taken)
    assert lab.row(f"full.{job_id}").raw_status == "processing"


@sweeping("changes")
def test_an_end_that_a_list_tells_before_the_first_poll_is_stored_wakes_the_watch(
    lab: Swept,
) -> None:
    """The poll asked before the job ended, and the list may not name that job again."""
    other, job_id = new_job_id(), new_job_id()
    lab.names("changes")
    lab.begin(other, source="changes", minutes=1)
    asked_at, known = lab.host.now, lab.row(f"changes.{other}")
    never = ("outcome", "raw_status", "last_poll_at", "next_poll_at")
    fresh = {"id": f"changes.{job_id}", "job_id": job_id, "polls": 0, **dict.fromkeys(never)}
    row = known.model_copy(update=fresh)
    assert lab.table.claim(row)
    lab.names("changes", {"id": job_id, **DONE, "at": asked_at.isoformat()})
    lab.host.advance(minutes=1)
    assert not lab.row(row.id).woken_for
    poll = Poll(outcome=Outcome.RUNNING, raw_status="processing")
    lab.table.change(row.id, lambda now: transitions.polled(now, row.run, poll, asked_at))
    lab.host.advance(minutes=1)
    assert str(lab.row(row.id).woken_for).startswith("succeeded completed")


# -- a list may say anything ----------------------------------------------------------------------


def page_of_others(_: str) -> Body:
    return {"jobs": [{"id": f"other-{i}", **DONE} for i in range(50)]}


LIES: dict[str, Callable[[str], Any]] = {
    "ended": lambda job: {"jobs": [{"id": job, **DONE, "at": "2030-01-01T00:00:00Z"}]},
    "missing": lambda _: {"jobs": []},
    "of others": page_of_others,
    "no list": lambda _: {"jobs": {"a": 1}},
    "wrong types": lambda job: {"jobs": [{"id": [job], "status": 7}, None, 3, {"id": job}]},
    "a page for ever": lambda job: {"jobs": [{"id": job, **RUNNING}], "next": "again"},
    "a bad token": lambda job: {"jobs": [{"id": job, **RUNNING}], "next": {"a": 1}},
    "from the future": lambda job: {
        "jobs": [{"id": job, "status": "failed", "at": "9999-01-01T00:00:00Z"}]
    },
    "twice": lambda job: {
        "jobs": [{"id": job, **DONE}, {"id": job, **RUNNING}, {"id": job, "status": "failed"}]
    },
    "no numbers": lambda job: {
        "jobs": [{"id": job, **RUNNING, "progress": "-1e999", "message": {"a": ["b"]}, "at": -7}]
    },
    "huge": lambda _: "huge",
    "broken": lambda _: "half-json",
    "html": lambda _: "html",
    "500": lambda _: "500",
    "refused": lambda _: "401",
    "not there": lambda _: "404",
    "throttled": lambda _: "429-seconds",
}


@pytest.mark.long
@each_way("full", "changes")
def test_a_lying_list_never_ends_a_watch(lab: Swept, which: str) -> None:
    """I6: it costs time. The end of the job is found all the same."""
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names(which, job_id)
    lab.begin(job_id, source=which)
    for lie, tell in LIES.items():
        lab.source.behave(which, tell(job_id))
        lab.host.advance(minutes=3)
        assert lab.state_of(which, job_id) == "Monitoring", lie
    assert len(lab.asked(which)) < 6 * 3 * len(LIES)
    lab.source.jobs[job_id] |= DONE
    lab.host.advance(minutes=2)
    assert lab.state_of(which, job_id) == "Succeeded"


def test_a_list_that_tells_otherwise_wakes_once_and_leaves_the_rest_to_polls(lab: Swept) -> None:
    """The watch polls at its own interval until both agree: a list is as good as a poll again."""
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id)
    lab.names("full", {"id": job_id, **DONE})
    before = lab.polls(job_id)
    lab.host.advance(minutes=10)
    row = lab.row(f"full.{job_id}")
    assert (row.swept, row.woken_for) == (False, "succeeded completed")
    assert 9 <= lab.polls(job_id) - before <= 12
    stored = lab.table.read(row.id)
    assert stored
    told = [line.to for line in stored.log if line.event == "status"]
    assert told == ["processing", "completed", "processing"]  # and not again each minute
    assert lab.sweep("full").woken == 0
    lab.names("full", job_id)
    lab.host.advance(minutes=3)
    row = lab.row(f"full.{job_id}")
    assert (row.swept, row.woken_for, row.state) == (True, None, "Monitoring")


def test_a_job_that_the_list_does_not_name_is_looked_at_by_its_own_monitor(lab: Swept) -> None:
    job_id = new_job_id()
    lab.begin(job_id, minutes=10)
    row = lab.row(f"full.{job_id}")
    assert not row.swept
    assert lab.polls(job_id) >= 10


def test_a_list_makes_no_job_seen(lab: Swept) -> None:
    """I6: "not found" counts sooner for a job that no poll ever saw, whatever the list says."""
    job_id = new_job_id()
    lab.names("full", {"id": job_id, **RUNNING})
    lab.api.start(source="full", jobId=job_id, pollIntervalSeconds=60)
    lab.host.advance(minutes=8)
    row = lab.row(f"full.{job_id}")
    assert (row.state, row.raw_status) == ("Lost", None)


# -- the cursor --------------------------------------------------------------------------------


def at(minute: float) -> str:
    return (datetime(2029, 12, 31, 12, tzinfo=UTC) + timedelta(minutes=minute)).isoformat()


def since(lab: Swept) -> list[str]:
    return [each["since"][0] for each in lab.asked("changes")]


@sweeping("changes")
def test_the_cursor_is_the_sources_own_newest_time_less_an_overlap(lab: Swept) -> None:
    """Rule 2: the source's clock counts, here half a day behind."""
    lab.host.advance(minutes=2)
    # Before the source told a time: a day and the overlap ago.
    assert datetime.fromisoformat(since(lab)[-1]) < lab.host.now - timedelta(days=1)
    lab.names("changes", {"id": "x", **RUNNING, "at": at(10)}, {"id": "y", **RUNNING, "at": at(7)})
    lab.host.advance(minutes=2)
    assert since(lab)[-1] == "2029-12-31T12:09:00Z"
    lab.names("changes", {"id": "z", **RUNNING, "at": at(3)})
    lab.host.advance(minutes=2)
    assert since(lab)[-1] == "2029-12-31T12:09:00Z"
    lab.host.restart(lose_state=True)
    lab.host.advance(minutes=6)
    # Once further back, by the time of the safety net: wakes were lost with the hub.
    assert "2029-12-31T11:54:00Z" in since(lab)[-8:]
    assert since(lab)[-1] == "2029-12-31T12:09:00Z"


@sweeping("changes")
def test_a_time_in_the_future_does_not_carry_the_cursor_off(lab: Swept) -> None:
    lab.names("changes", {"id": "x", **RUNNING, "at": "2999-01-01T00:00:00Z"})
    lab.host.advance(minutes=5)
    assert datetime.fromisoformat(since(lab)[-1]) <= lab.host.now - timedelta(seconds=60)


@sweeping("changes")
def test_the_cursor_moves_after_the_last_page_only(
    lab: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 2: a crash between the rows of a page and the cursor repeats both, harmlessly."""
    jobs = [new_job_id() for _ in range(2)]
    for job_id in jobs:
        lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.begin(*jobs, source="changes")
    before = lab.sweep("changes").cursor
    for minute, job_id in enumerate(jobs):
        lab.source.jobs[job_id] |= {"status": "queued", "at": at(minute)}
    pages: list[dict[str, object]] = [
        {"jobs": [lab.source.jobs[jobs[0]]], "next": "2"},
        {"jobs": [lab.source.jobs[jobs[1]]]},
    ]

    def dies() -> dict[str, object]:
        lab.host.crash()
        return pages[1]

    lab.source.behave("changes", pages[0], dies, *pages)
    lab.host.advance(minutes=2)
    assert lab.host.crashed
    assert lab.row(f"changes.{jobs[0]}").raw_status == "queued"
    assert lab.sweep("changes").cursor == before
    lab.host.restart()
    lab.host.advance(minutes=2)
    assert lab.sweep("changes").cursor == datetime.fromisoformat(at(1))
    for job_id in jobs:
        stored = lab.table.read(f"changes.{job_id}")
        assert stored
        assert [each.to for each in stored.log if each.event == "status"] == [
            "processing",
            "queued",
        ]


@sweeping("changes")
@pytest.mark.parametrize(
    "trouble", ["500", pytest.param({"jobs": [], "next": {"a": 1}}, marks=pytest.mark.long)]
)
def test_the_cursor_stays_if_a_page_fails(lab: Swept, trouble: str | Body) -> None:
    """Rule 2: the changes on the pages that nobody read are asked for again."""
    page: Body = {"jobs": [{"id": "x", **RUNNING, "at": at(5)}], "next": "2"}
    lab.source.behave("changes", page, trouble, {"jobs": []})
    lab.host.advance(minutes=4)
    sweep = lab.sweep("changes")
    assert (len(lab.asked("changes")) >= 4, sweep.failures, sweep.cursor) == (True, 0, None)


def test_a_watch_is_woken_again_after_a_crash_before_its_hint(
    lab: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id)
    lab.source.jobs[job_id] |= DONE

    async def dies(*_: object, **__: object) -> None:
        raise lab.host.crash()

    with monkeypatch.context() as patch:
        patch.setattr("adapters.hub.hint", dies)
        lab.host.advance(minutes=2)
    assert lab.host.crashed
    assert lab.row(f"full.{job_id}").woken_for == "succeeded completed"
    lab.host.restart()
    lab.host.advance(minutes=2)
    assert lab.state_of("full", job_id) == "Succeeded"


@sweeping("changes")
def test_a_list_that_is_too_long_for_one_sweep_is_read_on(lab: Swept) -> None:
    pages: dict[str, Body] = {
        str(n): {"jobs": [{"id": f"x-{n}", **RUNNING, "at": at(n)}]} for n in range(5)
    }
    for number in range(4):
        pages[str(number)]["next"] = str(number + 1)
    cursors = []

    def read_on() -> Body:
        cursors.append(lab.sweep("changes").cursor)
        return pages["3"]

    first = [pages[str(n)] for n in range(3)]
    lab.source.behave("changes", *first, read_on, pages["4"], {"jobs": []})
    lab.host.advance(minutes=2)
    assert cursors == [None]
    pages_asked = [each.get("page", ["0"])[0] for each in lab.asked("changes")]
    begin = pages_asked.index("1") - 1
    assert pages_asked[begin : begin + 5] == ["0", "1", "2", "3", "4"]
    assert len({*since(lab)[begin : begin + 5]}) == 1
    assert lab.sweep("changes").cursor == datetime.fromisoformat(at(4))


def test_a_sweep_keeps_of_a_list_what_is_watched(
    lab: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = new_job_id()
    lab.begin(job_id)
    kept = []

    def compared(entries: Any, named: Any, *args: Any, **more: Any) -> Any:
        kept.append([*named])
        return compare(entries, named, *args, **more)

    compare = sweep_source._compared
    monkeypatch.setattr(sweep_source, "_compared", compared)
    others: list[Body] = [{"id": f"x-{n}", **DONE} for n in range(1_000)]
    lab.names("full", *others, job_id)
    lab.host.advance(minutes=2)
    assert kept
    assert all(each == [job_id] for each in kept)
    assert lab.sweep("full").jobs == 1_001


@sweeping("changes")
def test_a_place_in_a_list_that_holds_a_secret_is_not_stored(
    lab: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I9: a system that names the next page repeats the query of this one."""
    monkeypatch.setenv("LIST_KEY", "a-key-of-the-list")
    file = Path(os.environ["JOB_SOURCES_FILE"])
    file.write_text(file.read_text().replace("?since={since}", "?since={since}&key=${LIST_KEY}"))
    get_services.cache_clear()
    count, stored = iter(range(10_000)), []

    def page() -> Body:
        stored.append(str(lab.table._table.find("~sweeps", "changes")))
        return {"jobs": [], "next": f"since=x&key=a-key-of-the-list&page={next(count)}"}

    lab.source.behave("changes", page)
    lab.host.advance(minutes=2)
    assert len(stored) > 3  # so that one sweep did not read all
    assert "a-key" not in "".join(stored)
    assert lab.sweep("changes").detail == "the list names its next page by a secret"


@sweeping("changes")
def test_a_list_without_an_end_is_given_up(lab: Swept) -> None:
    count = iter(range(10_000))

    def page() -> Body:
        number = next(count)
        return {"jobs": [{"id": "x", **RUNNING, "at": at(0)}], "next": f"page-{number}"}

    lab.source.behave("changes", page)
    lab.host.advance(minutes=5)
    sweep = lab.sweep("changes")
    assert (sweep.detail, sweep.position) == ("the list does not come to an end", None)
    assert sweep.failures >= 1
    assert next(count) <= 3 * 30


def test_wakes_are_bounded_in_a_sweep(lab: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 2: the others are woken by the sweeps that follow."""
    jobs = [new_job_id() for _ in range(7)]
    lab.source.jobs |= {each: {"id": each, **RUNNING} for each in jobs}
    lab.names("full", *jobs)
    lab.begin(*jobs)
    monkeypatch.setattr(Sweeper.__init__, "__defaults__", (3,))
    for job_id in jobs:
        lab.source.jobs[job_id] |= DONE
    woken = []
    for _ in range(3):
        lab.host.advance(minutes=1)
        woken.append(lab.sweep("full").woken)
    lab.host.advance(seconds=10)
    assert woken == [3, 3, 1]
    assert {lab.state_of("full", each) for each in jobs} == {"Succeeded"}


# -- the orchestrator --------------------------------------------------------------------------


@sweeping("full", "changes", "single", "slow")
def test_each_source_that_sweeps_has_one_sweep(lab: Swept) -> None:
    lab.host.advance(seconds=1)
    for name in ("full", "changes", "single", "slow"):
        assert lab.host.status(names.sweep_instance(name))["runtimeStatus"] == "Running"
    with pytest.raises(KeyError):
        lab.host.status(names.sweep_instance("demo"))
    for copy in ("copy", names.sweep_instance("demo"), names.sweep_instance("nobody")):
        lab.host.start(names.SOURCE_SWEEP, copy, {})
        assert lab.host.wait_for(copy, minutes=1)["runtimeStatus"] == "Completed"


@pytest.mark.long
@sweeping("full", "single")
def test_the_history_of_a_sweep_is_bounded(lab: Swept) -> None:
    """I4."""
    for name in ("full", "single"):
        lab.names(name)
        lab.begin(new_job_id(), source=name)
    lab.host.advance(minutes=30)
    for name in ("full", "single"):
        assert len(lab.host.status(names.sweep_instance(name))["historyEvents"]) <= 16


@pytest.mark.parametrize("how", ["ended", "silent"])
def test_a_sweep_that_stops_is_noticed_and_started_again(
    lab: Swept, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Rule 3."""
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id)
    instance = names.sweep_instance("full")
    if how == "ended":
        lab.host.terminate(instance, "by mistake")
    else:
        lab.host.suspend(instance)
    caplog.clear()
    lab.source.jobs[job_id] |= DONE
    lab.host.advance(minutes=12)
    started = [each["found"] for each in told(caplog, "sweepStarted")]
    assert started == ["missing" if how == "ended" else "silent"]
    assert lab.host.status(instance)["runtimeStatus"] == "Running"
    assert lab.state_of("full", job_id) == "Succeeded"


def test_monitors_fall_back_on_their_own_polls_when_the_sweep_fails(
    lab: Swept, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [new_job_id() for _ in range(3)]
    lab.source.jobs |= {each: {"id": each, **RUNNING} for each in jobs}
    lab.names("full", *jobs)
    lab.begin(*jobs)
    lab.source.behave("full", "500")
    lab.host.advance(minutes=10)
    assert {each["monitor"] for each in told(caplog, "fellBack")} == {f"full.{j}" for j in jobs}
    rows = [lab.row(f"full.{job_id}") for job_id in jobs]
    assert [row.swept for row in rows] == [False] * 3
    before = [lab.polls(job_id) for job_id in jobs]
    lab.host.advance(minutes=5)
    after = [lab.polls(job_id) for job_id in jobs]
    assert [b - a for a, b in zip(before, after, strict=True)] == [5] * 3
    lab.names("full", *jobs)
    lab.host.advance(minutes=20)
    assert all(lab.row(f"full.{job_id}").swept for job_id in jobs)
    assert told(caplog, "watched")[-1]["swept"] == 3


def test_a_watch_that_was_woken_and_has_not_polled_is_stale(
    lab: Swept, caplog: pytest.LogCaptureFixture
) -> None:
    """Rule 3: however fresh the sweep is."""
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id)
    lab.host.suspend(f"full.{job_id}")
    lab.source.jobs[job_id] |= DONE
    lab.host.advance(minutes=11)
    row = lab.row(f"full.{job_id}")
    assert row.next_poll_at
    assert row.next_poll_at > lab.host.now
    assert row.stale
    assert lab.sweep("full").is_fresh(timedelta(minutes=1), lab.host.now)
    assert sum(each["woken"] for each in told(caplog, "swept") if each["source"] == "full") == 1
    lab.host.resume(f"full.{job_id}")
    lab.host.advance(seconds=5)
    assert lab.state_of("full", job_id) == "Succeeded"


@pytest.mark.parametrize(
    "how", ["429-seconds", pytest.param("slow-headers", marks=pytest.mark.long)]
)
@sweeping("full", "slow")
def test_one_sources_sweep_never_delays_another(lab: Swept, how: str) -> None:
    jobs = [f"{how}-{i}" for i in range(3)]
    for job_id in jobs:
        lab.api.start(source="slow", jobId=job_id, pollIntervalSeconds=60)
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id)
    asked = len(lab.asked("full"))
    lab.host.advance(minutes=3)
    assert len(lab.asked("full")) - asked in (3, 4)
    assert lab.row(f"full.{job_id}").swept
    assert not any(lab.row(f"slow.{each}").swept for each in jobs)


# -- as prompt as without a sweep ----------------------------------------------------------------


@each_way("full", "single")
def test_a_swept_watch_expires_to_the_minute(lab: Swept, which: str) -> None:
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    begin = lab.host.now
    lab.begin(job_id, source=which, timeoutSeconds=1_200)
    lab.host.advance(minutes=15)
    assert lab.row(f"{which}.{job_id}").swept
    lab.host.advance(minutes=2, seconds=2)
    row = lab.row(f"{which}.{job_id}")
    assert row.state == "Expired"
    assert row.ended_at
    assert timedelta(0) <= row.ended_at - begin - timedelta(seconds=1_200) <= TIMER_EARLY


def test_a_swept_watch_stops_and_changes_at_once(lab: Swept) -> None:
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id)
    url = f"/api/monitors/full.{job_id}"
    assert lab.api.call("PATCH", url, json={"timeoutSeconds": 240}).ok
    lab.host.advance(seconds=3)
    row = lab.row(f"full.{job_id}")
    assert row.next_poll_at == row.expire_time + TIMER_EARLY
    assert row.expire_time < lab.host.now + timedelta(seconds=240)
    assert lab.api.call("POST", f"{url}/stop").ok
    lab.host.advance(seconds=3)
    assert lab.state_of("full", job_id) == "Stopped"


def test_a_watch_that_wants_shorter_intervals_polls_for_itself(lab: Swept) -> None:
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.api.start(source="full", jobId=job_id, pollIntervalSeconds=20)
    lab.host.advance(minutes=5)
    assert lab.polls(job_id) >= 14
    for _ in range(3):
        # Each poll is written: the latest look wins, so a sweep must know of it.
        assert lab.row(f"full.{job_id}").polls == lab.polls(job_id)
        lab.host.advance(seconds=20)


def test_an_overdue_job_is_told_in_time(lab: Swept) -> None:
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id, warnAfterSeconds=400)
    lab.host.advance(minutes=3, seconds=43)
    row = lab.row(f"full.{job_id}")
    assert row.overdue
    assert row.polls <= 5


def test_a_job_that_stalls_moves_and_stalls_again_is_told_in_time(lab: Swept) -> None:
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id, stallAfterSeconds=400)
    lab.host.advance(minutes=4, seconds=2)  # just past it
    assert lab.row(f"full.{job_id}").stalled
    lab.host.advance(minutes=2)
    lab.source.jobs[job_id]["progress"] = 30
    lab.host.advance(minutes=3)
    row = lab.row(f"full.{job_id}")
    assert (row.progress, row.stalled) == (30, False)
    assert row.moved_at is not None
    due = row.moved_at + timedelta(seconds=400)
    lab.host.advance(seconds=(due - lab.host.now).total_seconds() + 61)
    row = lab.row(f"full.{job_id}")
    assert row.stalled
    stored = lab.table.read(row.id)
    assert stored is not None
    first, second = [line.at for line in stored.log if line.event == "stalled"]
    assert timedelta(0) <= first - row.started_at - timedelta(seconds=400) < timedelta(seconds=30)
    assert timedelta(0) <= second - due <= timedelta(seconds=60)
    assert row.polls <= 7


@sweeping("single")
def test_a_paused_watch_is_not_written(lab: Swept) -> None:
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.begin(job_id, source="single")
    assert lab.api.call("PATCH", f"/api/monitors/single.{job_id}", json={"paused": True}).ok
    lab.host.advance(minutes=2)
    asked = lab.polls(job_id)
    lab.source.jobs[job_id] |= DONE
    lab.host.advance(minutes=5)
    assert (lab.polls(job_id), lab.row(f"single.{job_id}").raw_status) == (asked, "processing")
    assert lab.api.call("PATCH", f"/api/monitors/single.{job_id}", json={"paused": False}).ok
    lab.host.advance(seconds=5)
    assert lab.state_of("single", job_id) == "Succeeded"


def test_a_paused_source_is_not_swept(lab: Swept, caplog: pytest.LogCaptureFixture) -> None:
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id)
    assert lab.api.call("POST", "/api/sources/full/pause").ok
    lab.host.advance(seconds=10)
    asked = len(lab.asked("full"))
    lab.source.jobs[job_id] |= DONE
    lab.host.advance(minutes=9)
    assert len(lab.asked("full")) == asked
    assert told(caplog, "fellBack") == []
    assert lab.api.call("POST", "/api/sources/full/resume").ok
    lab.host.advance(minutes=2)
    assert lab.state_of("full", job_id) == "Succeeded"


# -- switching, losing, updating -------------------------------------------------------------------


@sweeping("single")
def test_a_sweep_that_is_switched_off_hints_its_monitors_and_ends(
    lab: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 5: running monitors take either change up without a change of their steps."""
    jobs = [new_job_id() for _ in range(3)]
    lab.source.jobs |= {each: {"id": each, **RUNNING} for each in jobs}
    lab.begin(*jobs, source="single")
    switch(lab, 'sweep = "each"', 'sweep = "off"')
    lab.host.advance(minutes=6)
    assert [lab.row(f"single.{job_id}").swept for job_id in jobs] == [False] * 3
    assert lab.host.status(names.sweep_instance("single"))["runtimeStatus"] == "Completed"
    before = lab.polls(jobs[0])
    lab.host.advance(minutes=5)
    assert lab.polls(jobs[0]) - before == 5
    switch(lab, 'sweep = "off"', 'sweep = "each"')
    lab.host.advance(minutes=7)
    assert all(lab.row(f"single.{job_id}").swept for job_id in jobs)


def switch(lab: Swept, old: str, new: str) -> None:
    """Change the file of the sources, as a deployment does."""
    file = Path(os.environ["JOB_SOURCES_FILE"])
    file.write_text(file.read_text().replace(old, new))
    get_services.cache_clear()


def test_a_lost_task_hub_loses_no_watch_and_its_polls_are_spread(lab: Swept) -> None:
    """I2, rule 2."""
    jobs = [new_job_id() for _ in range(12)]
    lab.source.jobs |= {each: {"id": each, **RUNNING} for each in jobs}
    lab.names("full", *jobs)
    lab.begin(*jobs)
    lab.host.restart(lose_state=True)
    lab.host.advance(seconds=20)
    before = {each: lab.polls(each) for each in jobs}
    planned = [lab.row(f"full.{each}").next_poll_at for each in jobs]
    assert len({at.minute for at in planned if at}) >= 6
    lab.source.jobs[jobs[0]] |= DONE
    lab.host.advance(minutes=2)
    assert lab.state_of("full", jobs[0]) == "Succeeded"
    assert sum(lab.polls(each) - before[each] for each in jobs) <= 6
    lab.host.advance(minutes=14)
    assert all(lab.polls(each) > before[each] for each in jobs)
    assert {lab.state_of("full", each) for each in jobs[1:]} == {"Monitoring"}


def test_a_wake_that_was_lost_with_the_task_hub_is_sent_again(
    lab: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id)
    lab.host.suspend(f"full.{job_id}")
    lab.source.jobs[job_id] |= DONE
    lab.host.advance(minutes=1)
    assert lab.row(f"full.{job_id}").woken_for
    lab.host.restart(lose_state=True)
    lab.host.advance(minutes=2)
    assert lab.state_of("full", job_id) == "Succeeded"


@sweeping("full", "single")
def test_rows_of_the_release_before_are_swept(lab: Swept) -> None:
    """Their entries among the live ones lack the job and the mark."""
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    for which in ("full", "single"):
        lab.begin(job_id, source=which)
        row = lab.row(f"{which}.{job_id}")
        table = lab.table._table
        known = table.find(LIVE, live_key(row.id, row.run))
        assert known
        bare = {n: known[n] for n in ("PartitionKey", "RowKey", "monitorId", "run", "startedAt")}
        assert table.commit([update_unchanged(known, bare)])
    lab.host.advance(minutes=3)
    assert all(claim.job_id == job_id and claim.mark for _, claim in lab.table.live())
    lab.source.jobs[job_id] |= DONE
    lab.host.advance(minutes=2)
    assert [lab.state_of(each, job_id) for each in ("full", "single")] == ["Succeeded"] * 2


@sweeping("single")
def test_a_job_that_cannot_be_asked_for_is_left_to_its_own_watch(lab: Swept) -> None:
    jobs = [new_job_id() for _ in range(3)]
    lab.source.jobs |= {each: {"id": each, **RUNNING} for each in jobs}
    lab.begin(*jobs, source="single")
    lab.source.behave(jobs[0], "500")
    lab.host.advance(minutes=5)
    row = lab.row(f"single.{jobs[0]}")
    assert (row.blind, row.swept, row.state) == (True, False, "Monitoring")
    assert all(lab.row(f"single.{each}").swept for each in jobs[1:])


@sweeping("single")
def test_parts_that_take_long_are_gone_on_with(lab: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    """An activity stops after its time; the next generation goes on from there."""
    monkeypatch.setattr("activities.sweep_source._PART", 4)
    monkeypatch.setattr("activities.sweep_jobs._BATCH", 2)
    jobs = [f"{new_job_id()}" for _ in range(11)]
    lab.source.jobs |= {each: {"id": each, **RUNNING} for each in jobs}
    lab.begin(*jobs, source="single")
    checks: WeakKeyDictionary[Sweeper, int] = WeakKeyDictionary()

    def late(sweeper: Sweeper) -> bool:
        """An activity is late at its fifth check, and stays so."""
        checks[sweeper] = checks.get(sweeper, 0) + 1
        return checks[sweeper] > 4

    monkeypatch.setattr(Sweeper, "late", property(late))
    before = {each: lab.polls(each) for each in jobs}
    lab.source.jobs[jobs[-1]] |= DONE
    lab.host.advance(minutes=2)
    assert all(lab.polls(each) > before[each] for each in jobs)
    assert lab.sweep("single").jobs >= 10
    assert lab.state_of("single", jobs[-1]) == "Succeeded"


def test_a_milestone_that_a_sweep_sees_is_told(lab: Swept, receiver: FaultySource) -> None:
    steps = f'kind = "webhook"\nurl = "{receiver.url}"\nallow_http = true'
    path = Path(os.environ["JOB_SOURCES_FILE"])
    channel = f'\n[channels.steps]\n{steps}\nfilter = {{ events = ["progress"] }}\n'
    path.write_text(path.read_text(encoding="utf-8") + channel, encoding="utf-8")
    get_services.cache_clear()
    job_id = new_job_id()
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING}
    lab.names("full", job_id)
    lab.begin(job_id, notify=["steps"])
    polls = lab.polls(job_id)
    lab.source.jobs[job_id] = {"id": job_id, **RUNNING, "progress": 60}
    lab.host.advance(minutes=3, seconds=5)
    [message] = receiver.requests
    data = json.loads(message.body)["data"]
    assert (data["event"], data["progress"]) == ("progress", 60)
    lab.host.advance(minutes=3)
    assert len(receiver.requests) == 1
    assert lab.polls(job_id) == polls
