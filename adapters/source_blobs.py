"""The files of the sources in a blob container, so that they change without a deployment.

1. The container is listed. The list has the ETag of each blob, so that only those are read which
   changed.
2. A blob is read only if it still has that ETag: a set of files is never half old.

Requests carry a token of the app's identity, unless the container's URL has a signature (SAS). Two
requests with requests are all that this takes; azure-storage-blob would be another package to keep.

https://learn.microsoft.com/rest/api/storageservices/list-blobs
"""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from adapters.source_files import SUFFIX, Files
from domain.errors import Fault, SourcesUnreachable
from domain.sources.url import is_loopback

_SCOPE = "https://storage.azure.com/.default"
_VERSION = "2021-12-02"
_TIMEOUT = 10  # seconds for each request
_LARGEST = 1 << 20  # bytes of a file


class _Blob(NamedTuple):
    name: str
    etag: str
    size: int


class BlobFiles:
    """The .toml files of one container."""

    refreshes = True

    def __init__(self, url: str, credential: TokenCredential | None) -> None:
        """Use a container, like https://ACCOUNT.blob.core.windows.net/CONTAINER; asks nothing."""
        self._url, _, self._query = url.partition("?")
        self._url = self._url.rstrip("/")
        self._credential = None if "sig=" in self._query else credential
        self._known: dict[tuple[str, str], str] = {}

    def read(self) -> Files:
        """The files as they are now; raises SourcesUnreachable."""
        try:
            with requests.Session() as session:
                return self._read(session)
        except requests.RequestException as error:
            raise SourcesUnreachable(f"the container: {type(error).__name__}") from None
        except AzureError as error:
            why = str(error).partition("\n")[0][:200]
            raise SourcesUnreachable(f"the container: no token: {why}") from None
        except (ET.ParseError, ValueError):
            raise SourcesUnreachable("the container: its list can't be read") from None

    def _read(self, session: requests.Session) -> Files:
        if is_loopback(urlsplit(self._url).hostname or ""):
            session.trust_env = False  # no proxy is a way to this machine
        session.headers["x-ms-version"] = _VERSION
        if self._credential:
            session.headers["Authorization"] = f"Bearer {self._credential.get_token(_SCOPE).token}"
        texts: dict[str, str] = {}
        faults: list[Fault] = []
        known: dict[tuple[str, str], str] = {}
        for blob in self._list(session):
            if blob.size > _LARGEST:
                faults.append(Fault(blob.name, f"is larger than {_LARGEST} bytes"))
                continue
            key = (blob.name, blob.etag)
            try:
                known[key] = texts[blob.name] = self._known.get(key) or self._text(session, blob)
            except UnicodeDecodeError:
                faults.append(Fault(blob.name, "is not UTF-8"))
        self._known = known
        return Files(texts, faults)

    def _list(self, session: requests.Session) -> Iterator[_Blob]:
        marker = ""
        while True:
            options = "restype=container&comp=list" + (f"&marker={quote(marker)}" if marker else "")
            answer = self._get(session, f"{self._url}?{options}")
            # The list is of the app's own storage account, and expat refuses entity bombs.
            tree = ET.fromstring(answer.content)  # noqa: S314
            for blob in tree.iter("Blob"):
                name = blob.findtext("Name") or ""
                if name.endswith(SUFFIX):
                    etag = blob.findtext("Properties/Etag") or ""
                    size = blob.findtext("Properties/Content-Length") or "0"
                    yield _Blob(name, etag.strip('"'), int(size))
            marker = tree.findtext("NextMarker") or ""
            if not marker:
                return

    def _text(self, session: requests.Session, blob: _Blob) -> str:
        headers = {"If-Match": f'"{blob.etag}"'} if blob.etag else {}
        answer = self._get(session, f"{self._url}/{quote(blob.name)}", headers)
        return answer.content.decode("utf-8-sig")

    def _get(
        self, session: requests.Session, url: str, headers: dict[str, str] | None = None
    ) -> requests.Response:
        if self._query:
            url += ("&" if "?" in url else "?") + self._query
        answer = session.get(url, headers=headers, timeout=_TIMEOUT, allow_redirects=False)
        if answer.status_code != requests.codes.ok:
            raise SourcesUnreachable(f"the container: HTTP {answer.status_code}")
        return answer
