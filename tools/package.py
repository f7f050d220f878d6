"""The files that are deployed: those that .funcignore leaves.

python -m tools.package        lists them
"""

import os
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from demo.part import ROOT


def _patterns(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


PATTERNS = _patterns((ROOT / ".funcignore").read_text(encoding="utf-8"))


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name stays behind, wherever it is."""
    return any(fnmatchcase(name, pattern) for pattern in PATTERNS)


def left_of(folder: Path) -> Iterator[PurePosixPath]:
    """The files in a folder that .funcignore leaves.

    A pattern without a slash matches the name of a file or folder at any depth, and what is in a
    folder that it matches goes with it. That is all of gitignore that .funcignore uses.
    """
    for place, folders, files in os.walk(folder):
        # os.walk goes into the folders that are left here, and into no others.
        folders[:] = [name for name in folders if not is_ignored(name)]
        for name in files:
            if not is_ignored(name):
                yield PurePosixPath((Path(place) / name).relative_to(folder).as_posix())


def copy_to(folder: Path) -> None:
    """Copy what is deployed."""
    for path in left_of(ROOT):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)


def main() -> None:
    """Print a line for each file, and what they come to."""
    files = sorted(left_of(ROOT))
    sizes = [(ROOT / path).stat().st_size for path in files]
    for path, size in zip(files, sizes, strict=True):
        print(f"{size:>9,}  {path}")
    print(f"{sum(sizes):>9,}  bytes in {len(files)} files")


if __name__ == "__main__":
    main()
