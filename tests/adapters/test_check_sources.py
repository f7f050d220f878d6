"""`make sources` tells every fault of a file, and asks nobody."""

import subprocess
import sys
from pathlib import Path

import pytest

from adapters.check_sources import check
from demo.part import ROOT
from tests.unit.test_source_sets import sound


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "adapters.check_sources", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_sound_sources(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(sound("one", "two"))
    done = run(str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 sources: one, two\n"


def test_the_file_that_the_app_would_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(sound("one"))
    (tmp_path / "b.toml").write_text(sound("two"))
    assert "one, two" in run(JOB_SOURCES_FILE=str(tmp_path)).stdout
    assert run().stdout == "1 sources: demo\n"


def test_each_fault_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(sound("one") + 'colour = 1\nstatus.progress = "a["\n' + sound("two"))
    done = run(str(file))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "a.toml [sources.one.status] progress: is no JMESPath expression (see column 3)",
        "a.toml [sources.one] colour: is not known",
    ]
    assert done.stdout == "2 sources: two, one\n"


def test_a_setting_that_is_not_set_here_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(sound("one") + 'auth = { kind = "bearer", token = "${A_TOKEN}" }\n')
    faults, remarks = check(str(file), {})
    assert faults == []
    what = "needs the app setting A_TOKEN, which is not set here"
    assert remarks[0] == f"a.toml [sources.one.auth] token: {what}"


@pytest.mark.parametrize("name", ["none.toml", "none"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    assert check(str(tmp_path / name), {})[0] == [f"{name}: can't be read: FileNotFoundError"]


def test_channels_are_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        sound("one")
        + 'notify = ["ops"]\n[channels.ops]\nkind = "apprise"\nurl = "pigeon://home"\n'
        + '[channels.mail]\nkind = "email"\nhost = "h"\nfrom = "a@x"\nto = ["b"]\n'
    )
    faults, remarks = check(str(file), {})
    form = "name@example.com or Name <name@example.com>"
    assert faults == [
        f"a.toml [channels.mail] to[0]: must be an address as {form}",
        "[channels.ops] url: begins with no service that Apprise knows",
    ]
    assert remarks == ["1 sources: one", "2 channels: ops, mail"]
