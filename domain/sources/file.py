"""The files of the sources, checked whole before anything uses them.

1. Each file is parsed as TOML, and `${NAME}` in a string becomes the app setting NAME.
2. A [sources.NAME] table that names a preset is laid over that preset (`domain.sources.overlay`).
3. Each table becomes a `Source`. A faulty one is disabled, and the others are not.
4. Every fault is told, with the file, table and key that it is in. No fault repeats a URL or a
   credential.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from domain.errors import ConfigurationFault, Fault, InvalidInput, SourceDisabled
from domain.sources.faults import FaultList, faults_in
from domain.sources.job_id import WHOLE, named_in
from domain.sources.overlay import Overlay, Place
from domain.sources.preset import Preset, read_preset
from domain.sources.source import Source
from domain.sources.tree import Path, is_in, leaves, map_texts, value_at

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SETTING = re.compile(r"\$\{([^{}]*)\}")


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
    """

    by_name: Mapping[str, Source]
    default: str | None
    disabled: Mapping[str, Sequence[Fault]] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    retired: Mapping[str, Source] = field(default_factory=dict)
    refused: Sequence[Fault] = ()

    @property
    def all_faults(self) -> list[Fault]:
        """Everything that is wrong with the files in use."""
        return [*self.faults, *(fault for each in self.disabled.values() for fault in each)]

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

    def of_watch(self, name: str) -> Source:
        """The source of a live monitor; as `get`, but it may have been removed meanwhile."""
        return self.retired.get(name) or self.get(name)

    def disabling(self, faults: Mapping[str, Sequence[Fault]]) -> "Sources":
        """These sources without the ones that have faults which their files do not show."""
        if not faults:
            return self
        left = {name: source for name, source in self.by_name.items() if name not in faults}
        return replace(self, by_name=left, disabled={**self.disabled, **faults})


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


class _Reader:
    """Reads files one by one, and notes their faults."""

    def __init__(self, settings: Mapping[str, str], presets: Mapping[str, str]) -> None:
        self._settings, self._texts = settings, presets
        self._presets: dict[str, tuple[Preset | None, list[Fault]]] = {}
        self._used: set[str] = set()  # the settings that the table being read takes
        self._faults = FaultList()  # of the table being read
        self._file = ""
        self._of_files: list[Fault] = []
        self._read: dict[str, tuple[str, Source | None, list[Fault]]] = {}
        self._twice: dict[str, list[str]] = {}
        self._defaults: dict[str, str] = {}

    def read(self, file: str, text: str) -> None:
        """Take in one file."""
        self._file, self._faults = file, FaultList()
        try:
            raw = tomllib.loads(text.removeprefix("\ufeff"))
        except tomllib.TOMLDecodeError as error:
            self._of_files.append(Fault(file, f"is no TOML: {error}"))
            return
        tables = raw.pop("sources", None)
        top = map_texts(raw, self._filled)
        if not isinstance(tables, dict) or not tables:
            self._fault(("sources",), "must hold at least one table [sources.NAME]")
            tables = {}
        default = top.pop("default", None)
        if default in [*tables]:
            self._defaults[file] = default
        elif default is not None:
            self._fault(("default",), "must be the name of a source in this file")
        for key in top:
            self._fault((key,), "is not known")
        self._of_files += self._faults.all()
        for name, table in tables.items():
            if name in self._read:
                self._twice.setdefault(name, [self._read[name][0]]).append(file)
            self._faults = FaultList()
            source = self._source(name, table)
            self._read[name] = (file, source, self._faults.all())

    def sources(self) -> Sources:
        """All that was read."""
        disabled = {name: found for name, (_, _, found) in self._read.items() if found}
        for name, files in self._twice.items():  # which of them is meant, nobody knows
            what = f"is in {' and '.join(files)}; a name must be in one file"
            disabled[name] = [Fault(f"[sources.{name}]", what)]
        faults = self._of_files
        if len(self._defaults) > 1:
            faults = [*faults, Fault("default", f"is in {' and '.join(self._defaults)}")]
        only = next(iter(self._read)) if len(self._read) == 1 else None
        return Sources(
            {
                name: source
                for name, (_, source, _) in self._read.items()
                if source and name not in disabled
            },
            next(iter(self._defaults.values())) if len(self._defaults) == 1 else only,
            disabled,
            faults,
        )

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

    def _source(self, name: str, raw: Any) -> Source | None:
        path: Path = ("sources", name)
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
        source = None
        try:
            source = Source.model_validate(
                {**table, "name": name},
                context=_context(table, self._used),
            )
        except ValidationError as error:
            found += faults_in(error)
        if "preset" in own and not overlay:
            # The preset may have had the keys that the table lacks. Those that it holds can be
            # wrong.
            unlaid = {("preset",), ("parameters",), ("on_expiry",), ("sweep",)}
            found = [each for each in found if each[0] not in unlaid and is_in(own, each[0])]
        for place, what in overlay.parameter_faults() if overlay else ():
            self._fault((*path, *place), what)
        for place, what in found:
            self._blame(name, place, what, overlay)
        return source

    def _preset(self, name: object, path: Path) -> Preset | None:
        if not isinstance(name, str) or name not in self._texts:
            known = ", ".join(sorted(self._texts)) or "none"
            self._fault((*path, "preset"), f"is no preset; there are: {known}")
            return None
        if name not in self._presets:
            faults = FaultList()
            preset = read_preset(name, self._texts[name], faults)
            self._presets[name] = (preset, faults.all())
        preset, found = self._presets[name]
        self._faults.extend(found)
        return preset

    def _blame(self, name: str, place: Path, what: str, overlay: Overlay | None) -> None:
        """Note a fault of a source in the file that the value is from."""
        where = overlay.place(place) if overlay else Place()
        if not overlay or not where.of_preset:
            self._fault(("sources", name, *place), what)
        elif where.complete:  # else the parameter that it lacks is the fault
            by = f"{self._file} [sources.{name}]"
            if where.parameters:
                by = f"{self._file} [sources.{name}.parameters] {', '.join(where.parameters)}"
            self._faults.add(overlay.preset.file, ("source", *place), f"{what} (with {by})")


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
