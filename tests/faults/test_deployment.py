"""A deployment in the middle: the host starts again on other code than it stopped with."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.part import ROOT
from tests.api import eventually, new_job_id
from tests.faults.conftest import DONE, RUNNING, Rig

APP = ["activities", "adapters", "domain", "orchestrators", "presets", "triggers"]
FILES = ["function_app.py", "host.json", "job_sources.toml", "local.settings.json"]

# The lines that the later release adds: to the shown status, and to each model that goes through
# histories. Each entry is a file, a line of it, and the line that comes after that one.
ADDED = [
    ("domain/monitors/monitor.py", '            "polls": self.polls,', '            "release": 2,'),
    ("domain/monitors/monitor.py", "    version: int = 1", '    note: str = "of release 2"'),
    ("domain/monitors/monitor.py", "class Verdict(InternalModel):", "    by: int = 2"),
    ("domain/outcome.py", "    superseded: bool = False", "    seen_by: int = 2"),
    ("domain/monitors/cleanup.py", "    runs: Count = 0", "    release: int = 2"),
]


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """A folder with the app as a later release may be."""
    folder = tmp_path / "later"
    for name in APP:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    for name, line, added in ADDED:
        text = (folder / name).read_text()
        assert text.count(f"{line}\n") == 1, line
        (folder / name).write_text(text.replace(f"{line}\n", f"{line}\n{added}\n"))
    return folder


@pytest.fixture
def put_back(rig: Rig) -> Iterator[None]:
    yield
    rig.host.stop()
    rig.host.arguments = []
    rig.host.start()


def deploy(rig: Rig, app: Path, *, in_order: bool) -> None:
    host = rig.host
    if in_order:
        host.stop()
    else:
        host.kill()
    host.arguments = ["--app", str(app)]
    host.start()


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize(
    "in_order", [pytest.param(True, marks=pytest.mark.long), False], ids=["stopped", "killed"]
)
def test_watches_go_on_over_an_update_and_over_its_taking_back(
    rig: Rig, later: Path, in_order: bool
) -> None:
    """I1, I2, I3, I10: those that poll, that wait, and whose time is over meanwhile."""
    polling, waiting, ending, started_later = (new_job_id() for _ in range(4))
    for job_id in (polling, waiting, ending, started_later):
        rig.source.behave(job_id, RUNNING)
    rig.api.start(jobId=polling)
    rig.api.start(jobId=waiting, pollIntervalSeconds=3_600)
    rig.api.start(jobId=ending)
    for job_id in (polling, waiting, ending):
        rig.api.wait(f"demo.{job_id}", lambda shown: shown["monitor"]["polls"] >= 1)

    deploy(rig, later, in_order=in_order)
    rig.source.behave(ending, DONE)
    assert rig.api.ended(f"demo.{ending}")["runtimeStatus"] == "Completed"
    rig.api.start(jobId=started_later)
    for job_id in (polling, started_later):
        assert _release(rig, job_id) == 2

    deploy(rig, ROOT, in_order=in_order)
    assert _release(rig, polling) is None
    for job_id in (polling, waiting, started_later):
        rig.source.behave(job_id, DONE)
        answer = rig.api.call("POST", f"/api/monitors/demo.{job_id}/notify")
        assert answer.status_code in (200, 202)
    for job_id in (polling, waiting, ending, started_later):
        shown = rig.api.ended(f"demo.{job_id}")
        assert (shown["monitor"]["state"], shown["monitor"]["run"]) == ("Succeeded", 1)
        assert shown["runtimeStatus"] == "Completed"
        events = [line["event"] for line in shown["log"] if line["event"] != "hinted"]
        assert events == ["started", "status", "status", "ended"]
    cleanup = rig.api.call("GET", "/runtime/webhooks/durabletask/instances/periodic-cleanup")
    assert cleanup.json()["runtimeStatus"] == "Running"


def _release(rig: Rig, job_id: str) -> int | None:
    """The release that a watch shows after two more polls."""
    url = f"/runtime/webhooks/durabletask/instances/demo.{job_id}"
    before = rig.api.get(f"demo.{job_id}")["monitor"]["polls"]
    status = eventually(
        lambda: rig.api.call("GET", url).json(),
        lambda status: status["customStatus"]["polls"] >= before + 2,
    )
    release: int | None = status["customStatus"].get("release")
    return release
