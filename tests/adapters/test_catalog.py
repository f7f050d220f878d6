"""The sources in use: of a file, of a folder, and a newer set that is taken over or refused."""

import logging
from pathlib import Path

import pytest

from adapters.catalog import REFRESH_SECONDS, Catalog
from adapters.source_files import Files, LocalFiles
from domain.errors import InvalidInput, SourcesUnreachable
from tests.unit.test_source_sets import sound


def test_a_folder_has_one_file_per_team(tmp_path: Path) -> None:
    (tmp_path / "team-b.toml").write_text(sound("two"))
    (tmp_path / "team-a.toml").write_text("\ufeff" + sound("one"), encoding="utf-8")
    (tmp_path / "team-c.toml").write_bytes(b"\xff")
    (tmp_path / "README.md").write_text("no source")
    sources = Catalog(LocalFiles(tmp_path), {}, {}).current()
    assert [*sources.by_name] == ["one", "two"]
    assert [fault.where for fault in sources.faults] == ["team-c.toml"]


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    sources = Catalog(LocalFiles(tmp_path / name), {}, {}).current()
    assert not sources.by_name
    assert len(sources.faults) == 1


def test_a_certificate_that_is_not_there_disables_its_source(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(sound("one", "two") + 'http.ca_file = "no/such.pem"\n')
    sources = Catalog(LocalFiles(file), {}, {}).current()
    assert [*sources.by_name] == ["one"]
    assert sources.disabled["two"][0].what == "names a file that is not there"


class Changing:
    """Files that change; an exception stands for a place that can't be read."""

    refreshes = True

    def __init__(self, text: str) -> None:
        self.text: str | Exception = text
        self.reads = 0

    def read(self) -> Files:
        self.reads += 1
        if isinstance(self.text, Exception):
            raise self.text
        return Files({"a.toml": self.text}, [])


def test_a_newer_set_is_taken_over() -> None:
    files = Changing(sound("one"))
    catalog = Catalog(files, {}, {})
    files.text = sound("one", "two")
    catalog.refresh()
    assert [*catalog.current().by_name] == ["one", "two"]


@pytest.mark.parametrize(
    "text", [sound("one", "two") + "colour = 1\n", "[sources", SourcesUnreachable("HTTP 403")]
)
def test_a_faulty_set_is_refused_as_a_whole_and_told_once(
    text: str | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    files = Changing(sound("one"))
    catalog = Catalog(files, {}, {})
    files.text = text
    for _ in range(3):
        catalog.refresh()
    sources = catalog.current()
    assert [*sources.by_name] == ["one"]
    assert sources.all_faults == []
    assert len(sources.refused) == 1
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == 1
    files.text = sound("one", "two")
    catalog.refresh()
    assert [*catalog.current().by_name] == ["one", "two"]
    assert catalog.current().refused == ()


def test_a_set_that_was_put_back_is_no_fault_any_more() -> None:
    files = Changing(sound("one"))
    catalog = Catalog(files, {}, {})
    files.text = "nonsense"
    catalog.refresh()
    files.text = sound("one")
    catalog.refresh()
    assert catalog.current().refused == ()


def test_a_place_that_can_not_be_read_at_first_is_read_later() -> None:
    files = Changing("")
    files.text = SourcesUnreachable("HTTP 503")
    catalog = Catalog(files, {}, {})
    assert [fault.what for fault in catalog.current().faults] == ["HTTP 503"]
    files.text = sound("one")
    catalog.refresh()
    assert [*catalog.current().by_name] == ["one"]


def test_a_source_that_is_gone_keeps_its_live_monitors() -> None:
    files = Changing(sound("one", "two"))
    catalog = Catalog(files, {}, {})
    two = catalog.current().get("two")
    files.text = sound("one")
    catalog.refresh()
    assert catalog.current().of_watch("two") is two
    with pytest.raises(InvalidInput):
        catalog.current().get("two")
    files.text = sound("one", "two")
    catalog.refresh()
    assert catalog.current().get("two") is not two
    assert catalog.current().retired == {}


def test_the_files_are_read_again_once_a_minute() -> None:
    now = [0.0]
    files = Changing(sound("one"))
    catalog = Catalog(files, {}, {}, clock=lambda: now[0])
    files.text = sound("one", "two")
    now[0] = REFRESH_SECONDS - 1
    assert [*catalog.current().by_name] == ["one"]
    assert files.reads == 1
    now[0] = REFRESH_SECONDS
    catalog.current()  # it is the background that reads
    catalog.refresh()  # and this waits for it
    assert [*catalog.current().by_name] == ["one", "two"]
    assert 2 <= files.reads <= 3


def test_local_files_are_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(sound("one"))
    now = [0.0]
    catalog = Catalog(LocalFiles(file), {}, {}, clock=lambda: now[0])
    file.write_text(sound("two"))
    now[0] = 10 * REFRESH_SECONDS
    assert [*catalog.current().by_name] == ["one"]
