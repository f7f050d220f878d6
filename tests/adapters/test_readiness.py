"""Anybody may ask whether the app is ready: the look is cheap, creates nothing, and is kept."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.data.tables import TableServiceClient

from adapters.readiness import Condition, Readiness, find_condition
from adapters.services import get_services
from domain.errors import Fault
from tests.conftest import Store

READY = Condition(ready=True)
BROKEN = Condition(ready=False, faults=(Fault("JOB_SOURCES_FILE", "can't be read"),))


@pytest.fixture(autouse=True)
def _own_services() -> Iterator[None]:
    get_services.cache_clear()
    yield
    get_services.cache_clear()


def test_a_look_creates_no_table(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = store.new_account()
    monkeypatch.setenv("AzureWebJobsStorage", connection)
    monkeypatch.setenv("DEMO_JOB_SERVICE_URL", "http://127.0.0.1:9")
    assert find_condition() == READY
    with TableServiceClient.from_connection_string(connection) as service:
        assert list(service.list_tables()) == []


def test_a_store_that_is_away_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "http://127.0.0.1:9/devstoreaccount1"
    monkeypatch.setenv(
        "AzureWebJobsStorage",
        f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;TableEndpoint={nobody};",
    )
    monkeypatch.setenv("DEMO_JOB_SERVICE_URL", "http://127.0.0.1:9")
    assert [fault.where for fault in find_condition().faults] == ["storage"]


def test_every_fault_of_the_configuration_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTION_DAYS", "0")
    monkeypatch.setenv("MANAGEMENT_URLS", "some")
    monkeypatch.setenv("AzureWebJobsStorage", "x=y")
    assert [fault.where for fault in find_condition().faults] == [
        "RETENTION_DAYS",
        "MANAGEMENT_URLS",
    ]


def test_a_look_is_kept_for_two_seconds() -> None:
    answers, time = iter([BROKEN, READY]), [0.0]
    readiness = Readiness(lambda: next(answers), lambda: time[0])
    assert readiness.condition() == (BROKEN, True)
    time[0] = 1.9
    assert readiness.condition() == (BROKEN, False)
    time[0] = 2.0
    assert readiness.condition() == (READY, True)


def test_many_who_ask_at_once_share_one_look() -> None:
    looks: list[int] = []

    def look() -> Condition:
        looks.append(1)
        return BROKEN

    readiness = Readiness(look, lambda: 0.0)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: readiness.condition()[1], range(100)))
    assert (len(looks), sum(found)) == (1, 1)
