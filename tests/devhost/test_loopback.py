"""A web page that a developer happens to visit can't reach devhost or the demo's job service."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from demo.stack import JobService
from tests.devhost.host import Devhost

APP = Path(__file__).parents[1] / "conformance" / "app"
HEALTHY = {"host": "/api/verbs/get", "jobs": "/jobs"}


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("loopback")
    with Devhost(APP, folder / "hub.db") as host, JobService(folder / "jobs.log") as jobs:
        yield {"host": host.url, "jobs": jobs.url}


FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example:7071"},
    {"Host": "localhost.evil.example"},
    {"Host": "127.0.0.1:7071@evil.example"},
    {"Host": "["},
    {"Host": "0.0.0.0"},  # noqa: S104 - nothing listens there
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost.evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Referer": "http://evil.example/localhost"},
]
OWN = [
    {},
    {"Host": "localhost:7071"},
    {"Host": "[::1]:7071"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://127.0.0.1:7071", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:3000"},
]


@pytest.mark.parametrize("server", ["host", "jobs"])
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_what_a_foreign_page_sends_is_refused(
    urls: dict[str, str], server: str, headers: dict[str, str]
) -> None:
    answer = requests.get(urls[server] + HEALTHY[server], headers=headers, timeout=60)
    assert answer.status_code in (400, 403)  # 400: it is no HTTP at all
    assert "evil" not in answer.headers.get("Location", "")


@pytest.mark.parametrize("server", ["host", "jobs"])
@pytest.mark.parametrize("headers", OWN, ids=str)
def test_what_this_machine_sends_is_answered(
    urls: dict[str, str], server: str, headers: dict[str, str]
) -> None:
    answer = requests.get(urls[server] + HEALTHY[server], headers=headers, timeout=60)
    assert answer.status_code == 200


def test_a_crafted_start_of_a_foreign_page_starts_nothing(urls: dict[str, str]) -> None:
    """Plain `curl -d`, which sends the type of a form, goes on working."""
    path = f"{urls['host']}/runtime/webhooks/durabletask/orchestrators/Wait/crafted"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    text = {"Content-Type": "text/plain", "Origin": "https://evil.example"}
    assert requests.post(path, data='{"a": 1}', headers=text, timeout=60).status_code == 403
    status = f"{urls['host']}/runtime/webhooks/durabletask/instances/crafted"
    assert requests.get(status, timeout=60).status_code == 404
    assert requests.post(path, data='{"a": 1}', headers=form, timeout=60).status_code == 202
    jobs = f"{urls['jobs']}/jobs"
    assert requests.post(jobs, data="{}", headers=text, timeout=60).status_code == 403


def test_links_name_the_host_that_was_asked(urls: dict[str, str]) -> None:
    path = f"{urls['host']}/runtime/webhooks/durabletask/orchestrators/Wait"
    own = requests.post(path, headers={"Host": "localhost:1234"}, timeout=60).json()
    assert own["statusQueryGetUri"].startswith("http://localhost:1234/")
    refused = requests.post(path, headers={"Host": "evil.example"}, timeout=60)
    assert "statusQueryGetUri" not in refused.text
