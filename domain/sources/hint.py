"""Hints that job systems send of their own accord: which jobs they are about, and who sent them.

1. A body is JSON: an event, or a list of events. One that was sent as a form has the event in its
   field `payload`, as GitHub's webhooks have by default.
2. The source's `hint.job_id` selects the job's id in an event: a text, a number, the parts of an
   id, or a list of those. An event in which it selects nothing is about no job.
3. A signature is that of GitHub's webhooks, which others use as well: the header
   `X-Hub-Signature-256` holds `sha256=` and the HMAC-SHA256 of the body in hexadecimal
   (https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries).
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any
from urllib.parse import parse_qs

from pydantic import AfterValidator, Field, SecretStr

from domain.errors import Fault, InvalidInput
from domain.sources.auth import Table
from domain.sources.expression import JmesPath

SIGNATURE = "X-Hub-Signature-256"
_SHORTEST_SECRET = 16  # characters


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < _SHORTEST_SECRET:
        raise ValueError(f"must have {_SHORTEST_SECRET} characters at least")
    return secret


HintSecret = Annotated[SecretStr, AfterValidator(_long_enough)]


class HintRules(Table):
    """How the hints of a job system are read.

    Attributes:
        job_id: The expression for the job's id in an event.
        secrets: The secrets that the system may sign its requests with; two during a rotation.
    """

    job_id: JmesPath | None = None
    secrets: Annotated[tuple[HintSecret, ...], Field(max_length=2)] = ()

    def signed(self, signature: str, body: bytes) -> bool:
        """Whether a signature is one of the body; compares in constant time."""
        given = signature.strip().lower().encode(errors="replace")
        found = False
        for secret in self.secrets:
            digest = hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
            found |= hmac.compare_digest(given, f"sha256={digest}".encode())
        return found


def events_in(body: bytes, content_type: str) -> list[Any]:
    """The events in a body; InvalidInput if it is no JSON."""
    try:
        text = body.decode("utf-8-sig")
        if content_type.strip().lower().startswith("application/x-www-form-urlencoded"):
            text = parse_qs(text, max_num_fields=10).get("payload", [""])[0]
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput([Fault("body", "must be JSON")]) from None
    return document if isinstance(document, list) else [document]


def validation_code(events: list[Any]) -> str | None:
    """The code that Event Grid asks to be repeated before it sends events of its own schema.

    https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema
    """
    for event in events:
        if isinstance(event, dict) and event.get("eventType") == (
            "Microsoft.EventGrid.SubscriptionValidationEvent"
        ):
            data = event.get("data")
            code = data.get("validationCode") if isinstance(data, dict) else None
            return code if isinstance(code, str) else None
    return None


def selected(events: Iterable[object], job_id: JmesPath) -> Iterator[object]:
    """The values that the expression selects in events."""
    for event in events:
        try:
            found = job_id.search(event)
        except ValueError:  # an event of another kind
            continue
        yield from found if isinstance(found, list) else [found]
