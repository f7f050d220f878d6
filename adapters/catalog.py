"""The sources and channels in use, and how a newer set of them is taken over.

1. At first, faulty sources are disabled and the others serve.
2. Where the files may change while the app runs, they are read again once a minute, apart from the
   caller that notices. A set with any fault is refused as a whole: the last good one stays.
3. A source that a newer set lacks is kept for its live monitors, until this process ends.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from adapters.apprise_urls import fault_of
from adapters.event_log import log_event
from adapters.settings import APP_FOLDER
from adapters.source_files import FileReader, Files
from domain.errors import Fault, SourcesUnreachable
from domain.notices.channel import AppriseChannel, Channel, EmailChannel, HttpChannel
from domain.sources.file import Sources, read_sources
from domain.sources.source import Source

REFRESH_SECONDS = 60.0


class Catalog:
    """The configured sources; safe to use from several threads."""

    def __init__(
        self,
        reader: FileReader,
        settings: Mapping[str, str],
        presets: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the files for the first time."""
        self._reader, self._settings, self._presets = reader, settings, presets
        self._clock = clock
        self._refreshing = threading.Lock()
        self._read_at = clock()
        self._texts: Mapping[str, str] | None = None
        self._told: Sequence[Fault] = ()
        self._sources = Sources({}, None)
        self.refresh()

    def current(self) -> Sources:
        """The sources; a newer set of them is looked for in the background."""
        due = self._reader.refreshes and self._clock() - self._read_at >= REFRESH_SECONDS
        if due and not self._refreshing.locked():
            threading.Thread(target=self.refresh, name="sources", daemon=True).start()
        return self._sources

    def refresh(self) -> None:
        """Read the files, and take over what they hold."""
        with self._refreshing:
            self._read_at = self._clock()
            try:
                files = self._reader.read()
            except SourcesUnreachable as trouble:
                self._refuse([Fault("JOB_SOURCES_FILE", str(trouble))])
                return
            if files.texts == self._texts and not files.faults:
                self._sources = replace(self._sources, refused=())
                return
            new = self._sources_in(files)
            first = self._texts is None
            if new.all_faults and not first:
                self._refuse(new.all_faults)
                return
            self._texts = files.texts
            self._tell(new.all_faults)
            self._sources = replace(new, retired=self._retired(new))

    def _sources_in(self, files: Files) -> Sources:
        sources = read_sources(files.texts, self._settings, self._presets)
        sources = replace(sources, faults=[*files.faults, *sources.faults])
        lacking = {name: faults for name, s in sources.by_name.items() if (faults := _no_files(s))}
        unfit = {
            name: found
            for name, each in sources.channels.by_name.items()
            if (found := unusable(each))
        }
        channels = sources.channels.disabling(unfit)
        return replace(sources, channels=channels).disabling(lacking)

    def _retired(self, new: Sources) -> Mapping[str, Source]:
        before = {**self._sources.retired, **self._sources.by_name}
        return {name: source for name, source in before.items() if name not in new.by_name}

    def _refuse(self, faults: Sequence[Fault]) -> None:
        """Keep the sources that serve, or say why there are none."""
        self._tell(faults)
        if self._texts is None:
            self._sources = Sources({}, None, faults=faults)
        else:
            self._sources = replace(self._sources, refused=faults)

    def _tell(self, faults: Sequence[Fault]) -> None:
        """Log each fault, once as long as they stay the same."""
        if [*faults] != [*self._told]:
            for fault in faults:
                # As an event, since a line of a thread is lost: see adapters/threads.py.
                level = logging.ERROR
                log_event("sourcesFaulty", None, level=level, where=fault.where, detail=fault.what)
        self._told = faults


def unusable(channel: Channel) -> list[Fault]:
    """The faults of a channel that its table does not show."""
    table = f"[channels.{channel.name}]"
    match channel:
        case HttpChannel():
            return _missing(f"[channels.{channel.name}.http]", channel.http.files)
        case EmailChannel(ca_file=str(ca_file)):
            return _missing(table, {"ca_file": ca_file})
        case AppriseChannel():
            fault = fault_of(channel)
            return [Fault(f"{table} url", fault)] if fault else []
    return []


def _no_files(source: Source) -> list[Fault]:
    """The certificates that a source names and that are not there."""
    return _missing(f"[sources.{source.name}.http]", source.http.files)


def _missing(table: str, files: Mapping[str, str]) -> list[Fault]:
    return [
        Fault(f"{table} {key}", "names a file that is not there")
        for key, name in files.items()
        if not (APP_FOLDER / name).is_file()
    ]
