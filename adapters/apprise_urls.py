"""Messages to all services that Apprise knows.

1. Apprise is imported when a channel first needs it, so other apps start without it.
2. `notify` answers only yes or no. The lines that Apprise logs meanwhile say why. They go nowhere
   else, since they may name parts of a URL.
"""

import logging
import threading
from functools import cache
from typing import Any

from domain.notices.channel import AppriseChannel
from domain.notices.message import one_line
from domain.notices.notice import Delivery, Event, Message
from domain.notices.trouble import OVER
from domain.state import State

_LINES = 3  # the last ones tell the cause
_TITLE = 200
_of_this_thread = threading.local()


def send(channel: AppriseChannel, message: Message) -> Delivery:
    """Send a message; takes as long as Apprise takes."""
    lines = _of_this_thread.lines = []
    service = _service(channel)
    if service is None:
        return Delivery(delivered=False, detail=fault_of(channel) or "can't be used")
    done = service.notify(
        title=one_line(message.title, _TITLE),
        body="\n".join(one_line(line) for line in message.text.splitlines()),
        body_format=_apprise().NotifyFormat.TEXT,
        notify_type=_urgency(message),
    )
    detail = "; ".join(lines[-_LINES:]) or ("sent" if done else "Apprise says no more than no")
    return Delivery(delivered=bool(done), detail=detail)


def fault_of(channel: AppriseChannel) -> str | None:
    """The fault of a channel's URL that its text does not show; None if there is none."""
    if channel.receiver not in _apprise().NotificationManager():
        return "begins with no service that Apprise knows"
    if _service(channel) is None:
        return "lacks a part that the service needs, or the service needs another package"
    return None


def _service(channel: AppriseChannel) -> Any:
    """What Apprise makes of the channel's URL, None if it can make nothing of it."""
    apprise = _apprise()
    asset = apprise.AppriseAsset(
        app_id="Job Monitor",
        app_desc="Job Monitor",
        app_url="",
        async_mode=False,
        http_redirects=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    service = apprise.Apprise(asset=asset)
    return service if service.add(channel.url.get_secret_value()) else None


@cache
def _apprise() -> Any:
    """The library, once imported."""
    import apprise  # noqa: PLC0415  a tenth of a second that most apps need not wait for

    log = logging.getLogger("apprise")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(_Collector())
    return apprise


class _Collector(logging.Handler):
    """Keeps the lines that are logged in a thread that sends."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = getattr(_of_this_thread, "lines", None)
        if lines is not None:
            lines.append(record.getMessage())


def _urgency(message: Message) -> Any:
    """The colour or sign that services give a message."""
    kinds, state = _apprise().NotifyType, message.data.get("state")
    if message.data.get("event") == Event.SEEN or state in {State.SUCCEEDED, OVER}:
        return kinds.SUCCESS
    if message.data.get("event") == Event.ENDED and state not in {State.CANCELLED, State.STOPPED}:
        return kinds.FAILURE
    return kinds.INFO if message.data.get("event") == Event.PROGRESS else kinds.WARNING
