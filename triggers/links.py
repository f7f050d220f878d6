"""The URLs in an answer that starts something, and how the caller goes on from there.

The management URLs of the SDK hold a key of the whole task hub: its holder may read, start and end
every instance. With the setting `MANAGEMENT_URLS=none` the answers hold URLs of this app instead,
which need the key or the role of their own routes.
"""

import json
import re
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

import azure.durable_functions as df
import azure.functions as func
from pydantic import ConfigDict

from adapters.services import Services
from domain.monitors.monitor import MonitorRow
from domain.wire import WireModel, left_out
from triggers.answers import json_answer

_RETRY_AFTER_SECONDS = "10"  # as in the SDK's answer
_OF_THE_APP = re.compile("/monitors([/:]|$)", re.IGNORECASE)


class HubUrls(WireModel):
    """The id of an instance with its URLs of the Durable HTTP API, unless `MANAGEMENT_URLS=none`.

    Attributes:
        id: The id of the instance, which is that of the monitor.
    """

    model_config = ConfigDict(extra="allow")  # the SDK may bring more

    id: str
    status_query_get_uri: str | None = left_out()
    send_event_post_uri: str | None = left_out()
    terminate_post_uri: str | None = left_out()
    rewind_post_uri: str | None = left_out()
    purge_history_delete_uri: str | None = left_out()
    restart_post_uri: str | None = left_out()
    suspend_post_uri: str | None = left_out()
    resume_post_uri: str | None = left_out()


class CleanupStatus(HubUrls):
    """The instance of the cleanup."""


class CheckStatus(HubUrls):
    """A monitor with the URLs to go on with.

    Attributes:
        monitor_get_uri: This and the next two with `MANAGEMENT_URLS=none`: routes of the app.
    """

    monitor_get_uri: str | None = left_out()
    notify_post_uri: str | None = left_out()
    stop_post_uri: str | None = left_out()
    monitor: MonitorRow


STARTED = ("Location", "Retry-After")
"""The headers of a check-status answer."""


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
        body = CheckStatus(**json.loads(answer.get_body()), monitor=row)
        return json_answer(status, body, answer.headers)
    body = CheckStatus(**_own_urls(req, row.id), monitor=row)
    headers = {"Location": body.monitor_get_uri or "", "Retry-After": _RETRY_AFTER_SECONDS}
    return json_answer(status, body, headers)


def cleanup_status(
    req: func.HttpRequest,
    client: df.DurableOrchestrationClient,
    services: Services,
    instance_id: str,
) -> func.HttpResponse:
    """The check-status answer of the cleanup. The app has no URL of its own for it: then the id."""
    if services.settings.hub_urls:
        return client.create_check_status_response(req, instance_id)
    return json_answer(HTTPStatus.ACCEPTED, CleanupStatus(id=instance_id))


def _own_urls(req: func.HttpRequest, monitor_id: str) -> dict[str, str]:
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
