"""The settings of the host that the app itself must know."""

import json
import re
from datetime import timedelta
from typing import Any

_AT_MOST = timedelta(seconds=30)  # the provider's own default
_BESIDE = timedelta(seconds=3)  # what the host and a slow store take
_INTERVAL = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})")


def hub_patience(host_json: str) -> timedelta:
    """How long to wait for a change of an instance that somebody asked the task hub for.

    Azure Storage is asked for messages more and more seldom while there are none, up to
    `maxQueuePollingInterval`: a message may lie in a queue for so long, and so may the one that
    follows from it. Other providers tell the host of a message.

    Args:
        host_json: The text of host.json.
    """
    try:
        document: Any = json.loads(host_json)
        provider = document["extensions"]["durableTask"]["storageProvider"]
        kind = str(provider.get("type", "AzureStorage"))
        text = str(provider.get("maxQueuePollingInterval", ""))
    except (AttributeError, LookupError, TypeError, ValueError):  # as the host's defaults are
        kind, text = "AzureStorage", ""
    if kind.lower() != "azurestorage":
        return _BESIDE
    given = _INTERVAL.fullmatch(text)
    interval = _AT_MOST
    if given:
        hours, minutes, seconds = map(int, given.groups())
        interval = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return 2 * interval + _BESIDE
