"""How long the app waits for the task hub, by host.json."""

import json
from datetime import timedelta

import pytest

from adapters.host_json import hub_patience
from adapters.settings import APP_FOLDER


def host(**provider: object) -> str:
    return json.dumps({"extensions": {"durableTask": {"storageProvider": provider}}})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (host(type="AzureStorage", maxQueuePollingInterval="00:00:02"), 7),
        (host(maxQueuePollingInterval="00:00:10"), 23),
        (host(maxQueuePollingInterval="00:01:00"), 123),
        (host(maxQueuePollingInterval=2), 63),
        (host(type="AzureStorage"), 63),  # the provider's default
        (host(type="azureManaged"), 3),
        ("{}", 63),
        ('{"extensions": []}', 63),
        ("[", 63),
    ],
)
def test_the_wait_follows_the_intervals_of_the_queues(text: str, seconds: int) -> None:
    assert hub_patience(text) == timedelta(seconds=seconds)


def test_the_host_json_of_the_app_is_understood() -> None:
    assert hub_patience((APP_FOLDER / "host.json").read_text()) == timedelta(seconds=7)
