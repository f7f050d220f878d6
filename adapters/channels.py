"""Sends messages to the receivers of channels.

1. An attempt takes ten seconds at the most, whatever the receiver does.
2. No redirect is followed, and of an answer a few kilobytes are read.
3. Whatever the receiver does is the outcome of the attempt, never an exception. The outcome's text
   repeats no secret of the channel.
4. The libraries for mail and for Apprise have no limit for a whole attempt, so it has a thread of
   its own. While one hangs, its channel makes no other attempt: a receiver holds one thread.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from adapters import apprise_urls, mail
from adapters.clock import utc_now
from adapters.exchange import NoAnswer, exchange
from adapters.identity import NoToken
from adapters.tokens import Tokens
from domain.notices.channel import (
    SECONDS,
    AppriseChannel,
    Channel,
    EmailChannel,
    HttpChannel,
    WebhookChannel,
)
from domain.notices.cloud_event import CONTENT_TYPE, cloud_event, signed, webhook_id
from domain.notices.notice import Delivery, Message
from domain.sources.answer import Answer, clean
from domain.sources.request import Request
from domain.sources.rules import retry_after

_DETAIL = 300
_SUCCESS = range(200, 300)
_REDIRECTS = range(300, 400)
_UNAUTHORIZED, _GONE, _THROTTLED = 401, 410, 429


class Sender:
    """Sends messages; safe to use from several threads."""

    def __init__(
        self,
        tokens: Tokens,
        settings: Mapping[str, str] | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Take the app's name from its settings, for the `source` of CloudEvents."""
        host = (settings or {}).get("WEBSITE_HOSTNAME")
        self._app = f"https://{host}/api/monitors" if host else "urn:job-monitor"
        self._tokens, self._now = tokens, now
        self._attempts = _Attempts()

    def send(self, channel: Channel, message: Message) -> Delivery:
        """Send a message once; what became of that."""
        match channel:
            case HttpChannel():
                delivery = self._post(channel, message)
            case EmailChannel():
                delivery = self._attempts.make(
                    channel, message, lambda: mail.send(channel, message, self._now())
                )
            case AppriseChannel():
                delivery = self._attempts.make(
                    channel, message, lambda: apprise_urls.send(channel, message)
                )
            case _:
                raise TypeError(type(channel))
        return delivery.model_copy(update={"detail": clean(channel, delivery.detail, _DETAIL)})

    def _post(self, channel: HttpChannel, message: Message) -> Delivery:
        deadline = time.monotonic() + channel.http.timeout_seconds
        try:
            request = self._request(channel, message)
            asked = self._tokens.with_credentials(channel, deadline=deadline)
            answer = exchange(asked, request, deadline)
            if answer.http_status == _UNAUTHORIZED and asked is not channel:
                asked = self._tokens.with_credentials(channel, asked, deadline)
                answer = exchange(asked, request, deadline)
        except (NoAnswer, NoToken, ValueError) as trouble:
            return Delivery(delivered=False, detail=str(trouble))
        # The words are cleaned of the token, too, which the channel itself does not know.
        words = clean(asked, _words(answer), _DETAIL)
        delivered = answer.http_status in _SUCCESS
        throttled = answer.http_status == _THROTTLED
        wait = None if delivered else retry_after(answer, self._now(), throttled=throttled)
        return Delivery(delivered=delivered, detail=words, retry_after_seconds=wait)

    def _request(self, channel: HttpChannel, message: Message) -> Request:
        """The request that carries a message; ValueError if the body's expression fails on it."""
        event = cloud_event(message, self._app)
        kind = {"Content-Type": f"{CONTENT_TYPE}; charset=utf-8"}
        if not isinstance(channel, WebhookChannel):
            return Request("POST", channel.url, kind, event)
        body: Any = event
        if channel.body:
            kind = {"Content-Type": "application/json"}
            try:
                body = channel.body.search(event)
            except ValueError:  # its text quotes the expression, which may hold a key
                raise ValueError("the expression of the body fails on this message") from None
        own = {name.lower() for name in channel.headers}
        headers = {name: value for name, value in kind.items() if name.lower() not in own}
        request = Request("POST", channel.url, {**headers, **channel.headers}, body)
        content, _ = request.content()
        secrets = [secret.get_secret_value() for secret in channel.secrets]
        signature = signed(secrets, webhook_id(message), self._now(), content or b"")
        return replace(request, headers={**request.headers, **signature})


def _words(answer: Answer) -> str:
    """An answer in words: its status, and what of its body people can use."""
    word = answer.http_word
    if answer.http_status in _SUCCESS:
        return word
    if answer.http_status in _REDIRECTS:
        return f"{word}: redirects are not followed"
    if answer.http_status == _GONE:
        word = f"{word}, the receiver is gone for good"
    if answer.body is None:
        return f"{word}, with a long answer"
    text = answer.body.decode("utf-8", "replace").strip()
    if text.startswith("<"):
        return f"{word}, with a page of HTML"
    return f"{word}: {text}" if text else word


class _Attempts:
    """Attempts with threads of their own, one for each channel."""

    def __init__(self) -> None:
        self._last: dict[str, _Attempt] = {}
        self._lock = threading.Lock()

    def make(self, channel: Channel, message: Message, send: Callable[[], Delivery]) -> Delivery:
        """What became of an attempt within its time."""
        with self._lock:
            before = self._last.get(channel.name)
            if before and before.is_alive():
                what = "the attempt before has not ended yet"
                return Delivery(delivered=False, detail=what)
            if before and before.late and before.message_id == message.id and before.delivered:
                return before.outcome  # it arrived after all
            attempt = self._last[channel.name] = _Attempt(message.id, send)
            attempt.start()
        attempt.join(SECONDS)
        if attempt.is_alive():
            attempt.late = True
            what = f"no end within {SECONDS:g} s; it may arrive all the same"
            return Delivery(delivered=False, detail=what)
        return attempt.outcome


class _Attempt(threading.Thread):
    """One attempt. A daemon, so that it does not keep the process from ending."""

    def __init__(self, message_id: str, send: Callable[[], Delivery]) -> None:
        super().__init__(name="channel", daemon=True)
        self.message_id, self.late = message_id, False
        self.outcome = Delivery(delivered=False, detail="the attempt failed")
        self._send = send

    @property
    def delivered(self) -> bool:
        return self.outcome.delivered

    def run(self) -> None:
        self.outcome = self._send()
