"""The files of the sources in a blob container, on a real Azurite."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
import requests
from azure.core.credentials import AccessToken

from adapters.catalog import Catalog
from adapters.source_blobs import BlobFiles
from demo.azurite import Azurite
from domain.errors import SourcesUnreachable
from tests.faulty_source import FaultySource, Reply
from tests.unit.test_source_sets import sound


def signature(account: str, key: str) -> str:
    """An account SAS that may do all with blobs, for a day that is long to come."""
    values = {
        "sp": "rwdlac",
        "ss": "b",
        "srt": "sco",
        "st": "",
        "se": "2099-01-01T00:00:00Z",
        "sip": "",
        "spr": "",
        "sv": "2018-11-09",
    }
    text = "\n".join([account, *values.values()]) + "\n"
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    given = {name: value for name, value in values.items() if value}
    return urlencode({**given, "sig": base64.b64encode(digest).decode()})


@dataclass
class Container:
    """A container, filled and changed by its owner."""

    url: str
    query: str
    http: requests.Session = field(default_factory=requests.Session)

    def put(self, name: str, text: str | bytes) -> None:
        url = f"{self.url}/{quote(name)}?{self.query}"
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"}
        data = text.encode() if isinstance(text, str) else text
        self.http.put(url, data=data, headers=headers, timeout=60).raise_for_status()

    def delete(self, name: str) -> None:
        self.http.delete(f"{self.url}/{quote(name)}?{self.query}", timeout=60).raise_for_status()


@pytest.fixture
def container(store: Azurite) -> Iterator[Container]:
    settings = dict(pair.split("=", 1) for pair in store.connection_string.strip(";").split(";"))
    query = signature(settings["AccountName"], settings["AccountKey"])
    made = Container(f"{settings['BlobEndpoint']}/sources-{uuid4().hex[:8]}", query)
    made.http.trust_env = False
    url = f"{made.url}?restype=container&{query}"
    made.http.put(url, headers={"x-ms-version": "2021-12-02"}, timeout=60).raise_for_status()
    yield made
    made.http.close()


def files_of(container: Container) -> BlobFiles:
    return BlobFiles(f"{container.url}?{container.query}", None)


def test_the_files_of_a_container(container: Container) -> None:
    container.put("team-a.toml", sound("one"))
    container.put("teams/ü b.toml", sound("two"))
    container.put("README.md", "no source")
    texts, faults = files_of(container).read()
    assert texts == {"team-a.toml": sound("one"), "teams/ü b.toml": sound("two")}
    assert faults == []


def test_only_a_blob_that_changed_is_read_again(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    container.put("a.toml", sound("one"))
    container.put("b.toml", sound("two"))
    asked: list[str] = []
    get = BlobFiles._get

    def count(self: BlobFiles, session: requests.Session, url: str, *more: object) -> object:
        asked.append(url.partition("?")[0].rpartition("/")[2])
        return get(self, session, url, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(BlobFiles, "_get", count)
    files = files_of(container)
    files.read()
    assert asked[1:] == ["a.toml", "b.toml"]
    files.read()
    assert len(asked) == 4
    container.put("b.toml", sound("three"))
    assert files.read().texts["b.toml"] == sound("three")
    assert asked[5:] == ["b.toml"]


def test_a_change_needs_no_deployment(container: Container) -> None:
    container.put("a.toml", sound("one"))
    container.put("b.toml", sound("two"))
    catalog = Catalog(files_of(container), {}, {})
    assert [*catalog.current().by_name] == ["one", "two"]
    container.put("a.toml", sound("one", "three"))
    catalog.refresh()
    assert [*catalog.current().by_name] == ["one", "three", "two"]
    container.put("a.toml", sound("one") + "colour = 1\n")
    catalog.refresh()
    assert [*catalog.current().by_name] == ["one", "three", "two"]
    assert [fault.where for fault in catalog.current().refused] == ["a.toml [sources.one] colour"]
    container.put("a.toml", sound("one"))
    container.delete("b.toml")
    catalog.refresh()
    assert [*catalog.current().by_name] == ["one"]
    assert catalog.current().of_watch("two").name == "two"


def test_a_file_that_can_not_be_read_is_a_fault(container: Container) -> None:
    container.put("a.toml", b"\xff")
    container.put("b.toml", b"#" * ((1 << 20) + 1))
    container.put("c.toml", sound("one"))
    texts, faults = files_of(container).read()
    assert [*texts] == ["c.toml"]
    assert [fault.where for fault in faults] == ["a.toml", "b.toml"]


def test_a_container_that_is_not_there(container: Container) -> None:
    files = BlobFiles(f"{container.url}x?{container.query}", None)
    with pytest.raises(SourcesUnreachable, match="HTTP 404") as caught:
        files.read()
    assert "sig" not in str(caught.value)  # I9


class Identity:
    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        assert scopes == ("https://storage.azure.com/.default",)
        return AccessToken("planted-token", int(datetime.now(UTC).timestamp()) + 3600)


LIST = b"""\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs><Blob>
<Name>a.toml</Name><Properties><Etag>0x1</Etag><Content-Length>9</Content-Length></Properties></Blob>
</Blobs><NextMarker /></EnumerationResults>"""


def test_requests_carry_a_token_of_the_app() -> None:
    with FaultySource() as server:
        server.behave("", Reply(200, LIST))
        server.behave("a.toml", Reply(200, b"x = 1"))
        files = BlobFiles(f"{server.url}/jobs", Identity())
        assert files.read().texts == {"a.toml": "x = 1"}
        for request in server.requests:
            assert request.headers["Authorization"] == "Bearer planted-token"
            assert request.headers["x-ms-version"]
        assert server.requests[1].headers["If-Match"] == '"0x1"'


@pytest.mark.parametrize("step", [Reply(403), Reply(200, b"<html>"), Reply(200, b"{}"), "reset"])
def test_trouble_with_the_list(step: str | Reply) -> None:
    with FaultySource() as server:
        server.behave("", step)
        with pytest.raises(SourcesUnreachable) as caught:
            BlobFiles(f"{server.url}/jobs", Identity()).read()
        assert "planted" not in str(caught.value)


def test_a_blob_that_changes_meanwhile_is_read_the_next_time() -> None:
    with FaultySource() as server:
        server.behave("", Reply(200, LIST))
        server.behave("a.toml", Reply(412))
        with pytest.raises(SourcesUnreachable, match="HTTP 412"):
            BlobFiles(f"{server.url}/jobs", Identity()).read()
