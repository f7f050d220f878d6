"""The URLs in an answer that starts something, and how the caller goes on from there.

The management URLs of the SDK hold a key of the whole task hub: its holder may read, start and end
every instance. With the setting `MANAGEMENT_URLS=none` the answers hold URLs of this app instead,
which need the key or the role of their own routes.
"""

import json
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import azure.durable_functions as df
import azure.functions as func

from adapters.services import Services
from domain.monitors.monitor import MonitorRow
from triggers.answers import json_answer

_RETRY_AFTER_SECONDS = "10"  # as in the SDK's answer
_OF_THE_APP = re.compile("/monitors(/|$)", re.IGNORECASE)


def check_status(
    req: func.HttpRequest,
    client: df.DurableOrchestrationClient,
    services: Services,
    row: MonitorRow,
    status: HTTPStatus,
) -> func.HttpResponse:
    """The check-status answer of a monitor, with the monitor's row in it."""
    if services.settings.hub_urls:
        answer = client.create_check_status_response(req, row.id)
        body = json.loads(answer.get_body()) | {"monitor": row.to_wire()}
        return json_answer(status, body, answer.headers)
    urls = _own_urls(req, row.id)
    headers = {"Location": urls["monitorGetUri"], "Retry-After": _RETRY_AFTER_SECONDS}
    return json_answer(status, {**urls, "monitor": row.to_wire()}, headers)


def cleanup_status(
    req: func.HttpRequest,
    client: df.DurableOrchestrationClient,
    services: Services,
    instance_id: str,
) -> func.HttpResponse:
    """The check-status answer of the cleanup. The app has no URL of its own for it: then the id."""
    if services.settings.hub_urls:
        return client.create_check_status_response(req, instance_id)
    return json_answer(HTTPStatus.ACCEPTED, {"id": instance_id})


def _own_urls(req: func.HttpRequest, monitor_id: str) -> dict[str, Any]:
    """The routes of a monitor, at the origin and below the prefix of this request."""
    asked = urlsplit(req.url)
    prefix = _OF_THE_APP.split(asked.path)[0]
    path = f"{prefix}/monitors/{monitor_id}"
    monitor = urlunsplit((asked.scheme, asked.netloc, path, "", ""))
    return {
        "id": monitor_id,
        "monitorGetUri": monitor,
        "notifyPostUri": f"{monitor}/notify",
        "stopPostUri": f"{monitor}/stop?reason={{text}}",
        "restartPostUri": f"{monitor}/restart",
    }
