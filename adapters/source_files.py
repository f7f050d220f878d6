"""The texts of the sources' files: of one file, of a folder, or of a blob container.

Each reader gives the text of each file by its name, and the faults of those that can't be read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from domain.errors import Fault

SUFFIX = ".toml"


class Files(NamedTuple):
    """The texts of files by their names, and the faults of those that can't be read."""

    texts: Mapping[str, str]
    faults: list[Fault]


class FileReader(Protocol):
    """Reads the files. Where they may change while the app runs, it is asked again."""

    refreshes: bool

    def read(self) -> Files:
        """The files as they are now; raises SourcesUnreachable if they can't be had."""
        ...


class LocalFiles:
    """One file, or all of a folder in the order of their names. They change with a deployment."""

    refreshes = False

    def __init__(self, place: Path) -> None:
        self._place = place

    def read(self) -> Files:
        """The files."""
        files = [self._place]
        try:
            if self._place.is_dir():
                files = sorted(self._place.glob(f"*{SUFFIX}"))
        except (OSError, ValueError) as error:  # a name that none can be
            return Files({}, [Fault("JOB_SOURCES_FILE", f"can't be read: {type(error).__name__}")])
        if not files:
            return Files({}, [Fault(self._place.name, f"holds no file *{SUFFIX}")])
        texts, faults = {}, []
        for file in files:
            try:
                texts[file.name] = file.read_text(encoding="utf-8-sig")
            except (OSError, ValueError) as error:  # no UTF-8, or no name
                faults.append(Fault(file.name, f"can't be read: {type(error).__name__}"))
        return Files(texts, faults)
