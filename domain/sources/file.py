"""The file of the sources, checked whole before anything uses it.

1. The text is parsed as TOML, and `${NAME}` in a string becomes the app setting NAME.
2. A [sources.NAME] table that names a preset is laid over that preset (`domain.sources.overlay`).
3. Each table becomes a `Source`; the faults of one hide none of another.
4. All faults are raised at once, each with the file, table and key that it is in. No fault
   repeats a URL or a credential.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from domain.errors import ConfigurationFault, Fault, InvalidInput
from domain.sources.faults import FaultList, faults_in
from domain.sources.job_id import WHOLE, named_in
from domain.sources.overlay import Overlay, Place
from domain.sources.preset import Preset, read_preset
from domain.sources.source import Source
from domain.sources.tree import Path, is_in, leaves, map_texts, value_at

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SETTING = re.compile(r"\$\{([^{}]*)\}")


@dataclass(frozen=True)
class Sources:
    """All configured sources by name, and the name of the one that serves when none is named."""

    by_name: Mapping[str, Source]
    default: str | None

    def get(self, name: str | None) -> Source:
        """The named source, else the default; raises InvalidInput that tells the known names."""
        known = ", ".join(self.by_name)
        name = name or self.default
        if name is None:
            raise InvalidInput([Fault("source", f"is missing; it is one of: {known}")])
        if name not in self.by_name:
            raise InvalidInput([Fault("source", f"is not configured; it is one of: {known}")])
        return self.by_name[name]


def load_sources(
    text: str,
    settings: Mapping[str, str],
    file: str = "job_sources.toml",
    presets: Mapping[str, str] | None = None,
) -> Sources:
    """The sources in a TOML text; raises ConfigurationFault with every fault of all files.

    Args:
        text: The file of the sources.
        settings: The app settings.
        file: The file's name, for people.
        presets: The text of each preset there is, by its name.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationFault([Fault(file, f"is no TOML: {error}")]) from None
    return _Reader(file, settings, presets or {}).read(raw)


class _Reader:
    """Reads one file, noting what is wrong with it."""

    def __init__(self, file: str, settings: Mapping[str, str], presets: Mapping[str, str]) -> None:
        self._file, self._settings, self._texts = file, settings, presets
        self._presets: dict[str, Preset | None] = {}
        self._used: set[str] = set()  # the settings that the table being read takes
        self._faults = FaultList()

    def read(self, raw: dict[str, Any]) -> Sources:
        tables = raw.pop("sources", None)
        top = map_texts(raw, self._filled)
        if not isinstance(tables, dict) or not tables:
            self._fault(("sources",), "must hold at least one table [sources.NAME]")
            tables = {}
        default = top.pop("default", None)
        if default is not None and default not in [*tables]:
            self._fault(("default",), "must be the name of a source in this file")
        for key in top:
            self._fault((key,), "is not known")
        by_name = {name: self._source(name, table) for name, table in tables.items()}
        if self._faults.all():
            raise ConfigurationFault(self._faults.all())
        return Sources(
            {name: source for name, source in by_name.items() if source},
            default or (next(iter(by_name)) if len(by_name) == 1 else None),
        )

    def _fault(self, path: Path, what: str) -> None:
        self._faults.add(self._file, path, what)

    def _filled(self, text: str, path: Path) -> str:
        """The text with settings in the place of each `${NAME}`."""
        names = _SETTING.findall(text)
        missing = [name for name in names if name not in self._settings]
        for name in missing:
            self._fault(path, f"needs the app setting {name}, which is not set")
        for name in names:
            # Azure leaves the reference as it is if it cannot read the secret.
            if self._settings.get(name, "").startswith("@Microsoft.KeyVault("):
                self._fault(path, f"needs the app setting {name}, a secret that Azure cannot read")
        self._used.update(self._settings[name] for name in names if name not in missing)
        # A setting's value is taken as it is: what looks like a ${NAME} in it stays.
        return text if missing else _SETTING.sub(lambda m: self._settings[m[1]], text)

    def _source(self, name: str, raw: Any) -> Source | None:
        path: Path = ("sources", name)
        self._used = set()
        own = map_texts(raw, self._filled, path)
        if not _NAME.fullmatch(name):
            self._fault(path, "must be a name of 1 to 32 of a-z, 0-9 and -, a letter first")
        if not isinstance(own, dict):
            self._fault(path, "must be a table")
            return None
        if "name" in own:
            self._fault((*path, "name"), "is not known")
        preset = self._preset(own["preset"], path) if "preset" in own else None
        overlay = Overlay(preset, own) if preset else None
        table = overlay.table if overlay else own
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
            # What the table lacks, the preset may have had. What it holds can be wrong by itself.
            unlaid = {("preset",), ("parameters",), ("on_expiry",)}
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
            self._presets[name] = read_preset(name, self._texts[name], self._faults)
        return self._presets[name]

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
    """What no key of a source shows alone; found also where other keys are wrong."""
    if table.get("on_expiry") == "cancel" and "cancel" not in table:
        yield ("on_expiry",), "must be leave, for the source has no cancel table"
    auth = table.get("auth")
    if not isinstance(auth, dict) or auth.get("kind", "none") == "none":
        return
    taken = str(auth.get("name") if auth["kind"] == "header" else "Authorization").lower()
    for place in ((), ("status",), ("submit",), ("cancel",)):
        headers = value_at(table, (*place, "headers"))[0]
        for name in headers if isinstance(headers, dict) else ():
            if name.lower() == taken:
                yield (*place, "headers", name), "is set by auth already"
