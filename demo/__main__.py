"""`python -m demo` shows one job from start to stored row; `python -m demo run` serves."""

import argparse
import os
import signal
import sys
from functools import partial

from rich.console import Console

from demo.demo import demo
from demo.ports import LOCALHOST
from demo.run import run
from demo.stack import Ports

_MAX_PORT = 65_535


def port_number(text: str) -> int:
    """A port of the command line or the environment."""
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to {_MAX_PORT})")
    return int(text)


def first_of_three(text: str) -> int:
    """The first of three ports that follow each other."""
    port_number(str(port_number(text) + 2))
    return int(text)


def main() -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    serve = commands.add_parser("run", help="serve until Ctrl-C")
    # Checked like arguments, also when they come from the environment.
    serve.add_argument("--port", type=port_number, default=os.environ.get("PORT") or "7071")
    serve.add_argument(
        "--jobs-port", type=port_number, default=os.environ.get("JOB_SERVICE_PORT") or "8077"
    )
    serve.add_argument(
        "--azurite-port",
        type=first_of_three,
        default=os.environ.get("AZURITE_PORT") or "10000",
        help="the first of three ports: blob, queue, table",
    )
    args = parser.parse_args()

    # A closed terminal and a polite kill end like Ctrl-C: in order.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    # Everything here talks to this machine, never through a proxy.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), LOCALHOST]))

    console = Console()
    # Paths, URLs and messages are text: no markup in it, no colours, no line breaks.
    say = partial(console.out, highlight=False)
    try:
        if args.command != "run":
            return demo(console, say)
        azurite = (args.azurite_port, args.azurite_port + 1, args.azurite_port + 2)
        return run(Ports(azurite=azurite, jobs=(args.jobs_port,), host=(args.port,)), say)
    except KeyboardInterrupt:
        say("Stopped.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
