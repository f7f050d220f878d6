"""The forms in which programs get messages: CloudEvents 1.0, signed as Standard Webhooks says.

Sources: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md and
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from domain.notices.notice import Message

CONTENT_TYPE = "application/cloudevents+json"


def cloud_event(message: Message, app: str) -> dict[str, Any]:
    """A message as a CloudEvent, in the structured JSON form.

    Args:
        message: The message.
        app: The URI of the app that tells it; with the id it names the event.
    """
    return {
        "specversion": "1.0",
        "id": message.id,
        "source": app,
        "type": message.type,
        "subject": message.subject,
        "time": message.time.isoformat(),
        "datacontenttype": "application/json",
        "data": {**message.data, "title": message.title, "text": message.text},
    }


def webhook_id(message: Message) -> str:
    """The `webhook-id` of a message: the same at each attempt, and without a dot.

    A dot would make the signed content ambiguous, and the ids of monitors have dots.
    """
    return f"msg_{hashlib.sha256(message.id.encode()).hexdigest()[:32]}"


def signed(secrets: Iterable[str], webhook: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers that sign a body: one signature for each secret.

    Args:
        secrets: Secrets in the form `whsec_` and Base64.
        webhook: The `webhook-id`.
        at: The time of the attempt. Receivers refuse one that is five minutes off.
        body: The bytes that are sent.
    """
    seconds = str(int(at.timestamp()))
    content = f"{webhook}.{seconds}.".encode() + body
    keys = [base64.b64decode(secret.partition("_")[2]) for secret in secrets]
    digests = [hmac.new(key, content, hashlib.sha256).digest() for key in keys]
    signatures = " ".join(f"v1,{base64.b64encode(each).decode()}" for each in digests)
    headers = {"webhook-id": webhook, "webhook-timestamp": seconds}
    return {**headers, "webhook-signature": signatures} if signatures else headers
