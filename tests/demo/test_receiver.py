"""The receiver of the demo, and the channel that leads there, as the app reads and uses it."""

from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import requests

from adapters.channels import Sender
from adapters.services import all_presets
from adapters.source_files import LocalFiles
from adapters.tokens import Tokens
from demo.receiver import CHANNEL, Receiver, in_words
from domain.notices.message import trial_message
from domain.sources.file import read_sources


def test_a_message_of_the_channel_arrives_and_others_do_not(tmp_path: Path) -> None:
    inbox: SimpleQueue[dict[str, Any]] = SimpleQueue()
    with Receiver(inbox.put) as receiver:
        settings = receiver.settings(tmp_path) | {"DEMO_JOB_SERVICE_URL": "http://127.0.0.1:9"}
        files = LocalFiles(Path(settings["JOB_SOURCES_FILE"])).read()
        sources = read_sources(files.texts, settings, all_presets())
        assert sources.all_faults == []
        assert list(sources.by_name) == ["demo"]
        channel = sources.channels.get(CHANNEL)
        message = trial_message(CHANNEL, datetime.now(UTC))
        assert Sender(Tokens(), settings).send(channel, message).delivered
        event = inbox.get(timeout=60)
        url = settings["DEMO_RECEIVER_URL"]
        assert requests.post(url, json=event, timeout=60).status_code == 401
        assert requests.post(url, timeout=60).status_code == 413
        assert requests.get(url, timeout=60).status_code == 501
    assert inbox.empty()
    assert in_words(event) == f"{message.title} (signature right, id {message.id})"
