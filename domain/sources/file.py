"""The files of the sources and channels, checked whole before anything uses them.

1. Each file is parsed as TOML, and `${NAME}` in a string becomes the app setting NAME.
2. A [sources.NAME] or [channels.NAME] table that names a preset is laid over that preset
   (`domain.sources.overlay`).
3. Each table becomes a `Source` or a `Channel`. A faulty one is disabled, and the others are not.
4. Every fault is told, with the file, table and key that it is in. No fault repeats a URL or a
   credential.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from domain.errors import ConfigurationFault, Fault, InvalidInput, SourceDisabled
from domain.notices.channel import KIND_FAULT, Channel, kind_of
from domain.notices.channels import Channels
from domain.sources.faults import FaultList, faults_in
from domain.sources.job_id import WHOLE, named_in
from domain.sources.overlay import Overlay, Place
from domain.sources.peer import Party
from domain.sources.preset import CHANNELS, Preset, read_preset
from domain.sources.source import Source
from domain.sources.tree import Path, is_in, leaves, map_texts, value_at

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SETTING = re.compile(r"\$\{([^{}]*)\}")

M = TypeVar("M", bound=Party)

UNSET = "needs the app setting"
"""The beginning of a fault that is none of the file: where it is checked, a setting is missing."""


@dataclass(frozen=True)
class Sources:
    """The configured sources.

    Attributes:
        by_name: Those that can be used.
        default: The name of the one that serves when none is named.
        disabled: The faults of those that can't be used, by their names.
        faults: The faults of files that are in no source.
        retired: Sources that were removed while the app ran; for their live monitors alone.
        refused: The faults of later files, which for them were not taken over.
        channels: The configured channels.
        disabled_notify: The channels that the faulty sources name, as far as that can be read.
    """

    by_name: Mapping[str, Source]
    default: str | None
    disabled: Mapping[str, Sequence[Fault]] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    retired: Mapping[str, Source] = field(default_factory=dict)
    refused: Sequence[Fault] = ()
    channels: Channels = field(default_factory=Channels)
    disabled_notify: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def all_faults(self) -> list[Fault]:
        """Everything that is wrong with the files in use."""
        tables = (*self.disabled.values(), *self.channels.disabled.values())
        return [*self.faults, *(fault for each in tables for fault in each)]

    def get(self, name: str | None) -> Source:
        """The named source, else the default.

        Raises:
            InvalidInput: There is no such source; the text tells the known names.
            SourceDisabled: It is faulty.
            ConfigurationFault: No source could be read at all.
        """
        known = ", ".join([*self.by_name, *self.disabled])
        if not known and self.faults:
            raise ConfigurationFault(self.faults)
        name = name or self.default
        if name is None:
            raise InvalidInput([Fault("source", f"is missing; it is one of: {known}")])
        found = self.find(name)
        if found is None:
            raise InvalidInput([Fault("source", f"is not configured; it is one of: {known}")])
        return found

    def find(self, name: str) -> Source | None:
        """The named source, None if there is none; raises SourceDisabled if it is faulty."""
        if name in self.disabled:
            raise SourceDisabled(name, self.disabled[name])
        return self.by_name.get(name)

    def known(self, name: str) -> Source | None:
        """The source of a live monitor, None if it can't be used."""
        return self.by_name.get(name) or self.retired.get(name)

    def notify(self, name: str) -> Sequence[str]:
        """The channels that the source of a live monitor names, also if it is faulty."""
        source = self.known(name)
        return source.notify if source else self.disabled_notify.get(name, ())

    def of_watch(self, name: str) -> Source:
        """The source of a live monitor; as `get`, but it may have been removed meanwhile."""
        return self.retired.get(name) or self.get(name)

    def disabling(self, faults: Mapping[str, Sequence[Fault]]) -> "Sources":
        """These sources without the ones that have faults which their files do not show."""
        if not faults:
            return self
        left = {name: source for name, source in self.by_name.items() if name not in faults}
        notify = {name: self.by_name[name].notify for name in faults if name in self.by_name}
        return replace(
            self,
            by_name=left,
            disabled={**self.disabled, **faults},
            disabled_notify={**self.disabled_notify, **notify},
        )


def load_sources(
    text: str,
    settings: Mapping[str, str],
    file: str = "job_sources.toml",
    presets: Mapping[str, str] | None = None,
) -> Sources:
    """The sources in a TOML text; raises ConfigurationFault with every fault of it.

    Args:
        text: The file of the sources.
        settings: The app settings.
        file: The file's name, for people.
        presets: The text of each preset there is, by its name.
    """
    sources = read_sources({file: text}, settings, presets)
    if sources.all_faults:
        raise ConfigurationFault(sources.all_faults)
    return sources


def read_sources(
    files: Mapping[str, str],
    settings: Mapping[str, str],
    presets: Mapping[str, str] | None = None,
) -> Sources:
    """The sources in TOML texts, by the names of their files; faulty ones are disabled."""
    reader = _Reader(settings, presets or {})
    for file, text in files.items():
        reader.read(file, text)
    return reader.sources()


class _Read(NamedTuple):
    """A table that was read, None if that can't be used, with its faults and the file it is in."""

    file: str
    made: Party | None
    faults: FaultList


class _Family:
    """The tables of one kind, [sources.NAME] or [channels.NAME], of all files."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.read: dict[str, _Read] = {}
        self._twice: dict[str, list[str]] = {}

    def add(self, name: str, read: _Read) -> None:
        """Take in a table."""
        if name in self.read:
            self._twice.setdefault(name, [self.read[name].file]).append(read.file)
        self.read[name] = read

    @property
    def disabled(self) -> dict[str, list[Fault]]:
        """The faults of the faulty ones."""
        faults = {name: found for name, each in self.read.items() if (found := each.faults.all())}
        for name, files in self._twice.items():  # which of them is meant, nobody knows
            what = f"is in {' and '.join(files)}; a name must be in one file"
            faults[name] = [Fault(f"[{self.key}.{name}]", what)]
        return faults

    def usable(self, kind: type[M]) -> dict[str, M]:
        """Those without a fault."""
        faulty = self.disabled
        made = {name: each.made for name, each in self.read.items() if name not in faulty}
        return {name: each for name, each in made.items() if isinstance(each, kind)}


class _Reader:
    """Reads files one by one, and notes their faults."""

    def __init__(self, settings: Mapping[str, str], presets: Mapping[str, str]) -> None:
        self._settings, self._texts = settings, presets
        self._presets: dict[str, tuple[Preset | None, list[Fault]]] = {}
        self._used: set[str] = set()  # the settings that the table being read takes
        self._faults = FaultList()  # of the table being read
        self._file = ""
        self._of_files: list[Fault] = []
        self._sources, self._channels = _Family("sources"), _Family("channels")
        self._defaults: dict[str, str] = {}
        self._notify: dict[str, tuple[str, ...]] = {}

    def read(self, file: str, text: str) -> None:
        """Take in one file."""
        self._file, self._faults = file, FaultList()
        try:
            raw = tomllib.loads(text.removeprefix("\ufeff"))
        except tomllib.TOMLDecodeError as error:
            self._of_files.append(Fault(file, f"is no TOML: {error}"))
            return
        tables, channels = raw.pop("sources", None), raw.pop("channels", None)
        top = map_texts(raw, self._filled)
        if channels is not None and (not isinstance(channels, dict) or not channels):
            self._fault(("channels",), "must hold tables [channels.NAME]")
            channels = None
        if (tables is not None or not channels) and (not isinstance(tables, dict) or not tables):
            self._fault(("sources",), "must hold at least one table [sources.NAME]")
            tables = None
        tables, channels = tables or {}, channels or {}
        default = top.pop("default", None)
        if default in [*tables]:
            self._defaults[file] = default
        elif default is not None:
            self._fault(("default",), "must be the name of a source in this file")
        for key in top:
            self._fault((key,), "is not known")
        self._of_files += self._faults.all()
        for name, table in tables.items():
            notify = table.get("notify") if isinstance(table, dict) else None
            if isinstance(notify, list):
                self._notify[name] = tuple(each for each in notify if isinstance(each, str))
            self._take(self._sources, name, table)
        for name, table in channels.items():
            self._take(self._channels, name, table)

    def sources(self) -> Sources:
        """All that was read."""
        self._check_names()
        sources, channels = self._sources, self._channels
        faults = self._of_files
        if len(self._defaults) > 1:
            faults = [*faults, Fault("default", f"is in {' and '.join(self._defaults)}")]
        only = next(iter(sources.read)) if len(sources.read) == 1 else None
        return Sources(
            sources.usable(Source),
            next(iter(self._defaults.values())) if len(self._defaults) == 1 else only,
            sources.disabled,
            faults,
            channels=Channels(channels.usable(Channel), channels.disabled),
            disabled_notify={name: self._notify.get(name, ()) for name in sources.disabled},
        )

    def _check_names(self) -> None:
        """Note the faults of names that stand for nothing: of channels, and of sources."""
        for family, place, known in (
            (self._sources, ("notify",), [*self._channels.read]),
            (self._channels, ("filter", "sources"), [*self._sources.read]),
        ):
            for name, read in family.read.items():
                named: Any = read.made
                for key in place:
                    named = getattr(named, key, ())
                for i, each in enumerate(named):
                    if each not in known:
                        what = f"is not configured; there are: {', '.join(known) or 'none'}"
                        read.faults.add(read.file, (family.key, name, *place, i), what)

    def _fault(self, path: Path, what: str) -> None:
        self._faults.add(self._file, path, what)

    def _filled(self, text: str, path: Path) -> str:
        """The text with settings in the place of each `${NAME}`."""
        names = _SETTING.findall(text)
        missing = [name for name in names if name not in self._settings]
        for name in missing:
            self._fault(path, f"{UNSET} {name}, which is not set")
        for name in names:
            # Azure leaves the reference as it is if it cannot read the secret.
            if self._settings.get(name, "").startswith("@Microsoft.KeyVault("):
                self._fault(path, f"needs the app setting {name}, a secret that Azure cannot read")
        self._used.update(self._settings[name] for name in names if name not in missing)
        # A setting's value is taken as it is: a ${NAME} in it stays.
        return text if missing else _SETTING.sub(lambda m: self._settings[m[1]], text)

    def _take(self, family: _Family, name: str, raw: Any) -> None:
        """Read one table."""
        self._faults = FaultList()
        made = self._made(family.key, name, raw)
        family.add(name, _Read(self._file, made, self._faults))

    def _made(self, family: str, name: str, raw: Any) -> Party | None:
        path: Path = (family, name)
        self._used = set()
        own = map_texts(raw, self._filled, path)
        if not NAME.fullmatch(name):
            self._fault(path, "must be a name of 1 to 32 of a-z, 0-9 and -, a letter first")
        if not isinstance(own, dict):
            self._fault(path, "must be a table")
            return None
        if "name" in own:
            self._fault((*path, "name"), "is not known")
        preset = self._preset(own["preset"], path) if "preset" in own else None
        overlay = Overlay(preset, own) if preset else None
        table = overlay.table if overlay else own
        if "list" in own and "sweep" not in own:
            table = {**table, "sweep": "list"}
        found = [*_faults_of_the_whole(table)]
        made = None
        kind: type[Party] | None = Source if family == "sources" else kind_of(table)
        if kind:
            try:
                made = kind.model_validate(
                    {**table, "name": name}, context=_context(table, self._used)
                )
            except ValidationError as error:
                found += faults_in(error)
        elif overlay or "preset" not in own:
            found.append((("kind",), KIND_FAULT))
        if "preset" in own and not overlay:
            # The preset may have had the keys that the table lacks. Those that it holds can be
            # wrong.
            unlaid = {("preset",), ("parameters",), ("on_expiry",), ("sweep",)}
            found = [each for each in found if each[0] not in unlaid and is_in(own, each[0])]
        for place, what in overlay.parameter_faults() if overlay else ():
            self._fault((*path, *place), what)
        for place, what in found:
            self._blame(path, place, what, overlay)
        return made

    def _preset(self, name: object, path: Path) -> Preset | None:
        before = CHANNELS if path[0] == "channels" else ""
        known = sorted(
            each.removeprefix(before)
            for each in self._texts
            if each.startswith(CHANNELS) == bool(before)
        )
        if not isinstance(name, str) or name not in known:
            there = ", ".join(known) or "none"
            self._fault((*path, "preset"), f"is no preset; there are: {there}")
            return None
        name = before + name
        if name not in self._presets:
            faults = FaultList()
            preset = read_preset(name, self._texts[name], faults)
            self._presets[name] = (preset, faults.all())
        preset, found = self._presets[name]
        self._faults.extend(found)
        return preset

    def _blame(self, path: Path, place: Path, what: str, overlay: Overlay | None) -> None:
        """Note a fault of a table in the file that the value is from."""
        where = overlay.place(place) if overlay else Place()
        if not overlay or not where.of_preset:
            self._fault((*path, *place), what)
        elif where.complete:  # else the parameter that it lacks is the fault
            table = ".".join(map(str, path))
            by = f"{self._file} [{table}]"
            if where.parameters:
                by = f"{self._file} [{table}.parameters] {', '.join(where.parameters)}"
            preset = overlay.preset
            self._faults.add(preset.file, (preset.key, *place), f"{what} (with {by})")


def _context(table: Mapping[str, Any], settings: Collection[str]) -> dict[str, Any]:
    """The knowledge of the whole table that the check of a part needs."""
    parts = table.get("job_id_parts")
    names = [each for each in parts if isinstance(each, str)] if isinstance(parts, list) else []
    status = value_at(table, ("status", "status"))[0]
    texts = (leaf for _, leaf in leaves(status) if isinstance(leaf, str))
    return {
        "allow_http": table.get("allow_http"),
        "settings": settings,
        "ids": tuple(f"{WHOLE}.{name}" for name in names) or (WHOLE,),
        "ids_in_status": {name for text in texts for name in named_in(text)},
    }


def _faults_of_the_whole(table: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The faults that no key of a source shows alone; found also where other keys are wrong."""
    if table.get("sweep") == "list" and "list" not in table:
        yield ("sweep",), "must be each or off, for the source has no list table"
    if table.get("on_expiry") == "cancel" and "cancel" not in table:
        yield ("on_expiry",), "must be leave, for the source has no cancel table"
    auth = table.get("auth")
    if not isinstance(auth, dict) or auth.get("kind", "none") == "none":
        return
    taken = str(auth.get("name") if auth["kind"] == "header" else "Authorization").lower()
    for place in ((), ("status",), ("list",), ("submit",), ("cancel",)):
        headers = value_at(table, (*place, "headers"))[0]
        for name in headers if isinstance(headers, dict) else ():
            if name.lower() == taken:
                yield (*place, "headers", name), "is set by auth already"
