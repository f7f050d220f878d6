"""`python -m devhost`: run the function app of a folder, locally."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import traceback
from pathlib import Path

from devhost import history_commands
from devhost.app import App, load
from devhost.routing import route_of
from devhost.server import Server
from devhost.settings import AppError
from devhost.store import StateFileError
from devhost.timers import schedule_of
from devhost.worker import mark_lines

_GRACE = 5.0
_LAST_PORT = 65535


def main() -> int:
    """Serve until Ctrl-C; the exit code is 0 then, 1 on any fault."""
    if sys.argv[1:2] and sys.argv[1] in history_commands.NAMES:
        return history_commands.main(sys.argv[1:])
    arguments = _parse()
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.INFO,
        format="%(asctime)s %(levelname)-8s %(name)s: %(mark)s%(message)s",
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(mark_lines)
    logging.getLogger("azure").setLevel(logging.WARNING)
    folder, state = arguments.app.resolve(), arguments.state.resolve()
    try:
        if folder.is_dir():
            os.chdir(folder)  # as the worker does
        app = load(folder)
    except AppError as error:
        return _fail(str(error))
    except BaseException:  # noqa: BLE001 - what the app's import raises is for its author
        traceback.print_exc()
        return _fail(f"{arguments.app} can't be loaded")
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        server = Server(app, state, like_azure=arguments.like_azure)
    except (AppError, StateFileError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{state} can't be made: {error.strerror}")
    try:
        asyncio.run(_serve(app, server, arguments.port))
    except OSError as error:
        return _fail(f"port {arguments.port} can't be used: {error.strerror}")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m devhost",
        description=__doc__,
        epilog="Commands of their own: `record` keeps an instance's history, `replay` tries kept "
        "ones on the app's orchestrators; see `python -m devhost replay --help`.",
    )
    parser.add_argument("--app", type=Path, default=Path(), help="folder of the app (.)")
    parser.add_argument("--port", type=_port, default=7071, help="0 takes a free one (7071)")
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".local/devhost.db"),
        help="file of the task hub (.local/devhost.db)",
    )
    parser.add_argument(
        "--like-azure",
        action="store_true",
        help="deliver messages and timers as late as they are on Azure Storage",
    )
    parser.add_argument("--verbose", action="store_true", help="log everything")
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {_LAST_PORT}")
    return int(text)


async def _serve(app: App, server: Server, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    origin = await server.start(port)
    print(_overview(app, origin), flush=True)  # noqa: T201
    stopped, failed = asyncio.create_task(stop.wait()), asyncio.create_task(server.failed())
    await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
    crashed = failed.done()
    ended = await server.stop(_GRACE)
    if crashed or not ended:
        # A thread that is still at work would keep the process alive. Its activity runs again
        # at the next start.
        os._exit(1 if crashed else 0)
    failed.cancel()


def _overview(app: App, origin: str) -> str:
    """The functions and their URLs, in the manner of `func start`."""
    lines = ["", f"Functions of {app.folder} (task hub {app.settings.hub}):", ""]
    for function in sorted(app.functions, key=lambda f: f.name):
        if function.kind == "httpTrigger":
            route = route_of(app.settings.route_prefix, function)
            verbs = ",".join(sorted(route.methods)) or "any verb"
            where = f"[{verbs}] {origin}{route.template}"
        elif function.kind == "timerTrigger" and not function.not_served:
            where = f"timerTrigger ({schedule_of(function)})"
        else:
            where = function.kind
        if function.not_served:
            where += f" - left out: uses {', '.join(function.not_served)}"
        lines.append(f"    {function.name}: {where}")
    return "\n".join([*lines, "", f"Listening on {origin}. Press Ctrl-C to stop.", ""])


def _fail(message: str) -> int:
    print(f"devhost: {message}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `python -m` puts the current folder first. On Azure an app sees its own folder alone.
        del sys.path[0]
    sys.exit(main())
