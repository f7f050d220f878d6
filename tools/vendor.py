"""The library that the page uses, copied whole from the packages that demo/package-lock.json locks.

python -m tools.vendor        copies the files anew, after an update of the lock

A browser knows no names of packages, so the one import by name becomes an import of the copy. All
else stays as it was published.
"""

from collections.abc import Iterator
from pathlib import Path

from demo.part import ROOT

_PACKAGES = ROOT / "demo/node_modules"
_FILES = {
    "page/preact.mjs": "preact/dist/preact.mjs",
    "page/preact-hooks.mjs": "preact/hooks/dist/hooks.mjs",
    "page/htm.mjs": "htm/dist/htm.module.js",
    "licences/preact.txt": "preact/LICENSE",
    "licences/htm.txt": "htm/LICENSE",
}
_BY_NAME, _BY_PLACE = b'from"preact"', b'from"./preact.mjs"'


def files() -> Iterator[tuple[Path, bytes]]:
    """Each copy, and what it has to hold by the installed packages."""
    for name, published in _FILES.items():
        yield ROOT / name, (_PACKAGES / published).read_bytes().replace(_BY_NAME, _BY_PLACE)


def main() -> None:
    """Write the copies."""
    for file, text in files():
        file.write_bytes(text)
        print(f"{len(text):>7,}  {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
