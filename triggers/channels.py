"""`/api/channels`: the list; `/test` sends a message to try one, `/resend` what was given up."""

from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters import hub
from adapters.event_log import log_event
from adapters.services import get_services
from adapters.threads import at_source, at_store, long_at_store
from domain.notices.channel import Channel, Filter
from domain.notices.delivery import ChannelReport
from domain.notices.message import trial_message
from domain.notices.notice import Delivery
from domain.sources.file import Sources
from domain.wire import WireModel
from triggers.access import Role, caller, requires
from triggers.answers import ShownFault, answers_problems, json_answer, listed
from triggers.operation import Answer, operation
from triggers.requests import refuse_unknown

bp = df.Blueprint()

_RESENT = 500
"""Notices that a request sends again."""


class ShownChannel(WireModel):
    """A channel, without its secrets.

    Attributes:
        kind: `webhook`, `event-grid`, `email` or `apprise`.
        receiver: The receiver's host; for `apprise` the service.
        filter: The notices that it takes.
        sources: The sources that tell it of their jobs unless a start says otherwise.
        delivery: How its deliveries go.
    """

    name: str
    kind: str
    description: str
    receiver: str
    filter: Filter
    sources: list[str]
    delivery: ChannelReport


class DisabledChannel(WireModel):
    """A channel that can't be used, with its faults."""

    name: str
    errors: list[ShownFault]


class ChannelList(WireModel):
    """The configured channels.

    Attributes:
        channels: Those that can be used.
        disabled: Those that are faulty.
    """

    channels: list[ShownChannel]
    disabled: list[DisabledChannel]


class Resent(WireModel):
    """What is sent again.

    Attributes:
        resent: How many notices that were given up wait again.
        left: How many are still given up; ask once more.
    """

    resent: int
    left: int


class Tried(Delivery):
    """What became of a test message.

    Attributes:
        id: The id of the message.
    """

    id: str


@operation({200: Answer("The channels.", ChannelList)}, problems=(400, 503))
@bp.function_name("ListChannels")
@bp.route(route="channels", methods=["GET"])
@answers_problems
@requires(Role.READ)
async def list_channels(req: func.HttpRequest) -> func.HttpResponse:
    """List the channels, without URLs and secrets, and how their deliveries go."""
    refuse_unknown(req)
    services = await at_store(get_services)
    sources = services.sources
    channels = sources.channels
    faulty = channels.disabled.items()
    report = services.monitors.outbox.channel_report
    shown = [
        _shown(channel, sources, await at_store(report, channel.name))
        for channel in channels.by_name.values()
    ]
    body = ChannelList(
        channels=shown,
        disabled=[DisabledChannel(name=name, errors=listed(faults)) for name, faults in faulty],
    )
    return json_answer(HTTPStatus.OK, body)


@operation({200: Answer("What became of it.", Tried)}, problems=(400, 404, 503))
@bp.function_name("TestChannel")
@bp.route(route="channels/{channel}/test", methods=["POST"])
@answers_problems
@requires(Role.START)
async def try_channel(req: func.HttpRequest) -> func.HttpResponse:
    """Send a test message now, and tell what became of it."""
    refuse_unknown(req)
    services = await at_store(get_services)
    channel = services.sources.channels.get(req.route_params["channel"])
    message = trial_message(channel.name, services.now())
    delivery = await at_source(services.sender.send, channel, message)
    log_event(
        "channelTested",
        None,
        channel=channel.name,
        by=caller(req),
        delivered=delivery.delivered,
        detail=delivery.detail,
    )
    return json_answer(HTTPStatus.OK, Tried(id=message.id, **dict(delivery)))


@operation({200: Answer("What is sent again.", Resent)}, problems=(400, 404, 503))
@bp.function_name("ResendNotices")
@bp.route(route="channels/{channel}/resend", methods=["POST"])
@bp.durable_client_input(client_name="client")
@answers_problems
@requires(Role.START)
async def resend_notices(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Send the notices again that the channel was given up for, 500 at once.

    What waits for the channel is tried at once, too.
    """
    refuse_unknown(req)
    services = await at_store(get_services)
    channel = services.sources.channels.get(req.route_params["channel"])
    outbox = services.monitors.outbox
    given_up = await at_store(outbox.given_up, channel.name)
    resent = await long_at_store(outbox.resend, channel.name, given_up[:_RESENT])
    await at_store(outbox.try_at_once, channel.name)
    await hub.ensure_delivery(client, services, channel.name)
    log_event("noticesResent", None, channel=channel.name, by=caller(req), notices=resent)
    left = max(len(given_up) - _RESENT, 0)
    return json_answer(HTTPStatus.OK, Resent(resent=resent, left=left))


def _shown(channel: Channel, sources: Sources, report: ChannelReport) -> ShownChannel:
    return ShownChannel(
        name=channel.name,
        kind=channel.kind,
        description=channel.description,
        receiver=channel.receiver,
        filter=channel.filter,
        sources=[each.name for each in sources.by_name.values() if channel.name in each.notify],
        delivery=report,
    )
