"""Sends a test message to a channel, and tells what became of it.

    python -m adapters.try_channel NAME

Ends with 1 if the receiver did not take it, or if the channel is faulty.
"""

import argparse
import json
import sys

from adapters.local_settings import take_local_settings
from adapters.services import get_services
from domain.errors import Faults, NoSuchChannel
from domain.notices.message import trial_message


def main() -> int:
    """Print the outcome as JSON."""
    parser = argparse.ArgumentParser(prog="python -m adapters.try_channel")
    parser.add_argument("channel")
    name = parser.parse_args().channel
    take_local_settings()
    try:
        services = get_services()
        channels = services.sources.channels
        channel = channels.get(name)
    except NoSuchChannel:
        print(f"{name}: there are {', '.join(channels.names) or 'no channels'}", file=sys.stderr)  # noqa: T201
        return 1
    except Faults as error:
        for fault in error.faults:
            print(f"{fault.where}: {fault.what}", file=sys.stderr)  # noqa: T201
        return 1
    message = trial_message(name, services.now())
    delivery = services.sender.send(channel, message)
    print(json.dumps({"id": message.id, **delivery.to_wire()}, indent=2))  # noqa: T201
    return 0 if delivery.delivered else 1


if __name__ == "__main__":
    sys.exit(main())
