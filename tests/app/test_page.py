"""The files of the page, and the answers that carry them."""

import asyncio

import azure.functions as func
import pytest

from adapters.page_files import page_files
from devhost.testing import load_once
from tests.app.loading import ROOT
from tools.vendor import files

LIMIT = 100 * 1024


def ask(name: str, url: str, file: str = "", etag: str = "") -> func.HttpResponse:
    [function] = [f for f in load_once(ROOT).of_kind("httpTrigger") if f.name == name]
    headers = {"If-None-Match": etag} if etag else {}
    req = func.HttpRequest(
        "GET", url, headers=headers, params={}, route_params={"file": file}, body=b""
    )
    answer: func.HttpResponse = asyncio.run(function.call(req=req))
    return answer


def test_the_page_is_below_its_limit() -> None:
    assert sum(len(file.body) for file in page_files().values()) < LIMIT


def test_the_library_is_that_of_the_lock() -> None:
    for path, text in files():
        assert path.read_bytes() == text, "run `python -m tools.vendor`"


def test_every_file_of_the_folder_is_served_and_nothing_else() -> None:
    assert {path.name for path in (ROOT / "page").iterdir()} == page_files().keys()
    for name in page_files():
        assert ask("PageFile", f"https://a.example/api/ui/{name}", name).status_code == 200
    for name in ("..", "../host.json", "%2e%2e", "host.json", "", "MAIN.MJS"):
        assert ask("PageFile", "https://a.example/api/ui/x", name).status_code == 404


def test_the_page_lets_nothing_foreign_in() -> None:
    answer = ask("Page", "https://a.example/api/ui")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    text = answer.get_body().decode()
    assert "style=" not in text
    assert "<script>" not in text
    assert "//" not in text.replace("<!doctype", "")


def test_a_file_that_the_caller_has_is_not_sent_again() -> None:
    etag = ask("Page", "https://a.example/api/ui").headers["ETag"]
    for told in (etag, f"W/{etag}", f'"x", {etag}'):
        assert ask("Page", "https://a.example/api/ui", etag=told).status_code == 304
    assert ask("Page", "https://a.example/api/ui", etag='"x"').status_code == 200


@pytest.mark.parametrize("url", ["https://a.example/api/ui/", "https://a.example/x/api/ui/?"])
def test_a_slash_at_the_end_leads_to_the_page(url: str) -> None:
    answer = ask("Page", url)
    assert (answer.status_code, answer.headers["Location"]) == (308, "../ui")
