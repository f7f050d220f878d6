"""The files of the page, which `page/` holds: a fixed list, read once."""

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent.parent / "page"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
}


class PageFile(NamedTuple):
    """A file as it is served.

    Attributes:
        body: Its bytes.
        media_type: Its type; all texts are in UTF-8.
        etag: A tag that changes with the bytes, in quotes.
    """

    body: bytes
    media_type: str
    etag: str


@cache
def page_files() -> dict[str, PageFile]:
    """All files by their names; a name that is not in here is no file of the page."""
    return {path.name: _read(path) for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}


def _read(path: Path) -> PageFile:
    body = path.read_bytes()
    tag = hashlib.sha256(body).hexdigest()[:32]
    return PageFile(body, _TYPES[path.suffix], f'"{tag}"')
