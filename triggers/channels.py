"""`GET /api/channels`: the channels. `POST /api/channels/{channel}/test`: a message to try one."""

from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters.event_log import log_event
from adapters.services import get_services
from adapters.threads import at_source, at_store
from domain.notices.channel import Channel, Filter
from domain.notices.message import trial_message
from domain.notices.notice import Delivery
from domain.sources.file import Sources
from domain.wire import WireModel
from triggers.access import Role, caller, requires
from triggers.answers import ShownFault, answers_problems, json_answer, listed
from triggers.operation import Answer, operation
from triggers.requests import refuse_unknown

bp = df.Blueprint()


class ShownChannel(WireModel):
    """A channel, without its secrets.

    Attributes:
        kind: `webhook`, `event-grid`, `email` or `apprise`.
        receiver: The receiver's host; for `apprise` the service.
        filter: The notices that it takes.
        sources: The sources that tell it of their jobs unless a start says otherwise.
    """

    name: str
    kind: str
    description: str
    receiver: str
    filter: Filter
    sources: list[str]


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
    """List the channels, without URLs and secrets."""
    refuse_unknown(req)
    services = await at_store(get_services)
    sources = services.sources
    channels = sources.channels
    faulty = channels.disabled.items()
    body = ChannelList(
        channels=[_shown(channel, sources) for channel in channels.by_name.values()],
        disabled=[DisabledChannel(name=name, errors=listed(faults)) for name, faults in faulty],
    )
    return json_answer(HTTPStatus.OK, body)


@operation({200: Answer("What became of it.", Tried)}, problems=(400, 404, 503))
@bp.function_name("TestChannel")
@bp.route(route="channels/{channel}/test", methods=["POST"])
@answers_problems
@requires(Role.READ)
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


def _shown(channel: Channel, sources: Sources) -> ShownChannel:
    return ShownChannel(
        name=channel.name,
        kind=channel.kind,
        description=channel.description,
        receiver=channel.receiver,
        filter=channel.filter,
        sources=[each.name for each in sources.by_name.values() if channel.name in each.notify],
    )
