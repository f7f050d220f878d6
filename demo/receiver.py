"""A receiver of notices on this machine, for the demo: the channel `demo` leads to it.

It takes a message only with a right signature, which `standardwebhooks` checks, as any receiver
may do it. Others get 401, and the app would send the message again.
"""

import base64
import json
import secrets
import shutil
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from demo.part import ROOT
from demo.ports import LOCALHOST
from demo.serving import Serving

CHANNEL = "demo"
_CHANNEL_FILE = Path(__file__).with_name("channel.toml")
_MAX_BYTES = 1_000_000

Tell = Callable[[dict[str, Any]], None]
"""Is told of each message that came with a right signature: a CloudEvent."""


class Receiver(Serving[ThreadingHTTPServer]):
    """The server, on a free port from `with` to its end."""

    def __init__(self, tell: Tell) -> None:
        self._secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        handler = _handler(Webhook(self._secret), tell)
        super().__init__(ThreadingHTTPServer((LOCALHOST, 0), handler))

    def settings(self, folder: Path) -> dict[str, str]:
        """The app settings for the sources of this repository and the channel.

        Args:
            folder: Where the files for that are put, as `sources/`.
        """
        sources = folder.resolve() / "sources"
        sources.mkdir(parents=True, exist_ok=True)
        for file in (ROOT / "job_sources.toml", _CHANNEL_FILE):
            shutil.copy(file, sources)
        return {
            "JOB_SOURCES_FILE": str(sources),
            "DEMO_RECEIVER_URL": f"http://{LOCALHOST}:{self._server.server_port}",
            "DEMO_WEBHOOK_SECRET": self._secret,
        }


def in_words(event: dict[str, Any]) -> str:
    """A message in one line."""
    return f"{event['data']['title']} (signature right, id {event['id']})"


def _handler(webhook: Webhook, tell: Tell) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 < length <= _MAX_BYTES:
                self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            body = self.rfile.read(length)
            try:
                webhook.verify(body, dict(self.headers.items()))
            except WebhookVerificationError:
                self.send_error(HTTPStatus.UNAUTHORIZED)
                return
            tell(json.loads(body))
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass  # the caller tells

    return Handler
