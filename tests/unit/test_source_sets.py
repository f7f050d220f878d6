"""Several files, several sources: a fault disables the source that it is in, and no other."""

import pytest

from domain.errors import ConfigurationFault, InvalidInput, SourceDisabled
from domain.sources.file import Sources, read_sources

SOUND = """
[sources.{name}]
status.url = "https://jobs.example/{{job_id}}"
status.status = "state"
outcomes.succeeded = ["ok"]
"""


def sound(*names: str) -> str:
    return "".join(SOUND.format(name=name) for name in names)


def read(**files: str) -> Sources:
    return read_sources({f"{name}.toml": text for name, text in files.items()}, {})


def test_a_faulty_source_is_disabled_and_the_others_are_not() -> None:
    sources = read(a=sound("one", "two") + "colour = 1\n" + sound("three"))
    assert [*sources.by_name] == ["one", "three"]
    (fault,) = sources.disabled["two"]
    assert fault == ("a.toml [sources.two] colour", "is not known")
    assert sources.get("one").name == "one"
    with pytest.raises(SourceDisabled) as caught:
        sources.get("two")
    assert (caught.value.source, [*caught.value.faults]) == ("two", [fault])
    with pytest.raises(InvalidInput, match="one of: one, three, two"):
        sources.get("four")


def test_the_default_may_be_disabled() -> None:
    sources = read(a='default = "two"\n' + sound("one", "two") + "colour = 1\n")
    with pytest.raises(SourceDisabled):
        sources.get(None)


def test_the_only_source_is_the_default_also_if_it_is_disabled() -> None:
    with pytest.raises(SourceDisabled):
        read(a=sound("one") + "colour = 1\n").get(None)


def test_files_are_checked_each_on_its_own() -> None:
    sources = read(a=sound("one"), b="[sources", c=sound("two"), d="nonsense = 1\n" + sound("six"))
    assert [*sources.by_name] == ["one", "two", "six"]
    assert [fault.where for fault in sources.faults] == ["b.toml", "d.toml nonsense"]
    assert sources.get("two").name == "two"


def test_a_name_is_unique_across_files() -> None:
    """Which of them is meant, nobody knows: a live monitor must not go on with another system."""
    sources = read(a=sound("one", "two"), b=sound("two", "three"))
    assert [*sources.by_name] == ["one", "three"]
    assert sources.disabled["two"][0].what == "is in a.toml and b.toml; a name must be in one file"


def test_a_default_is_in_one_file() -> None:
    one, two = 'default = "one"\n' + sound("one"), 'default = "two"\n' + sound("two")
    assert read(a=one, b=sound("two")).get(None).name == "one"
    sources = read(a=one, b=two)
    assert [fault.where for fault in sources.faults] == ["default"]
    with pytest.raises(InvalidInput):
        sources.get(None)


def test_nothing_that_can_be_read() -> None:
    with pytest.raises(ConfigurationFault, match="is no TOML"):
        read(a="[sources").get("one")


def test_a_faulty_preset_disables_all_that_name_it() -> None:
    presets = {"p": "nonsense"}
    text = sound("three") + '[sources.one]\npreset = "p"\n[sources.two]\npreset = "p"\n'
    sources = read_sources({"a.toml": text}, {}, presets)
    assert [*sources.by_name] == ["three"]
    for name in ("one", "two"):
        assert "presets/p.toml" in str(sources.disabled[name])


def test_a_byte_order_mark_does_no_harm() -> None:
    assert read(a="\ufeff" + sound("one")).get("one").name == "one"


def test_a_source_that_was_removed_serves_its_live_monitors_alone() -> None:
    source = read(a=sound("one")).get("one")
    sources = Sources({}, None, retired={"one": source})
    assert sources.of_watch("one") is source
    assert sources.known("one") is source
    with pytest.raises(InvalidInput):
        sources.get("one")
