"""`python -m devhost record` and `replay`: keep histories, and try them on today's code."""

import argparse
import json
import sys
import traceback
import urllib.request
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from devhost.app import load
from devhost.hub_table import HubError, recorded, tables_of
from devhost.recorded import NEEDED, Mismatch, NotAHistory, check, parse
from devhost.rendering import status_payload
from devhost.settings import AppError, load_local_settings
from devhost.store import StateFileError, Store

NAMES = ("record", "replay")
_TIMEOUT_SECONDS = 30.0
_LONGEST_NAME = 200
_DOUBT = " (the management API leaves out the turns; `record --hub` has them)"


class _Refused(Exception):
    """The command can't be carried out; says why."""


def main(arguments: list[str]) -> int:
    """Carry out a command; the exit code is 1 on any fault or mismatch."""
    parsed = _parse(arguments)
    try:
        return int(parsed.run(parsed))
    except (_Refused, AppError, StateFileError, NotAHistory, HubError, OSError) as error:
        print(f"devhost: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devhost", description=__doc__)
    commands = parser.add_subparsers(required=True)

    replaying = commands.add_parser("replay", help="replay histories on the app's orchestrators")
    replaying.set_defaults(run=_replay)
    replaying.add_argument("--app", type=Path, default=Path(), help="folder of the app (.)")
    replaying.add_argument("files", type=Path, nargs="+", metavar="FILE")

    recording = commands.add_parser("record", help="keep the history of an instance in a file")
    recording.set_defaults(run=_record)
    source = recording.add_mutually_exclusive_group(required=True)
    source.add_argument("--url", help="status URL (statusQueryGetUri) of any host")
    source.add_argument("--state", type=Path, help="state file of a devhost that does not run")
    source.add_argument(
        "--hub", help="name of a task hub in Azure Storage: all its live instances, read only"
    )
    recording.add_argument("--id", help="instance id: with --state, or one alone with --hub")
    recording.add_argument(
        "--connection",
        default="AzureWebJobsStorage",
        metavar="NAME",
        help="with --hub: app setting with the connection string, or the first part of "
        "NAME__tableServiceUri or NAME__accountName for an identity (AzureWebJobsStorage)",
    )
    recording.add_argument(
        "-o", "--output", type=Path, required=True, help="file to write; with --hub, a folder"
    )
    parsed = parser.parse_args(arguments)
    if parsed.run is _record and not parsed.hub and bool(parsed.state) != bool(parsed.id):
        recording.error("--state and --id go together")
    return parsed


def _replay(arguments: argparse.Namespace) -> int:
    """Print a line for each file; 1 if any does not fit."""
    try:
        orchestrators = load(arguments.app).orchestrators
    except AppError:
        raise
    except (Exception, SystemExit) as error:
        # What the app's import raises is for its author.
        traceback.print_exc()
        raise _Refused(f"{arguments.app} can't be loaded") from error
    faults = 0
    for path in arguments.files:
        try:
            history = parse(path.read_text(encoding="utf-8"))
            turns = check(history, orchestrators)
            line = f"fits      {path}: {history.name}, {turns} turns"
        except Mismatch as mismatch:
            line = f"MISMATCH  {path}: {mismatch}{_DOUBT * history.folded}"
            faults += 1
        except (NotAHistory, UnicodeDecodeError) as error:
            line = f"UNREAD    {path}: {error}"
            faults += 1
        print(line)  # noqa: T201
    return int(faults > 0)


def _record(arguments: argparse.Namespace) -> int:
    """Write the file, unless what it would hold can't be replayed."""
    if arguments.hub:
        return _record_hub(arguments)
    state = arguments.state
    text = _from_state(state, arguments.id) if state else _from_url(arguments.url)
    history = parse(text)
    arguments.output.write_text(json.dumps(json.loads(text), indent=1) + "\n", encoding="utf-8")
    print(f"{arguments.output}: {history.name}, {history.status}")  # noqa: T201
    return 0


def _record_hub(arguments: argparse.Namespace) -> int:
    """Write a file for each live instance of a hub; 1 if one can't be had."""
    load_local_settings(Path.cwd())
    arguments.output.mkdir(parents=True, exist_ok=True)
    faults = 0
    with tables_of(arguments.hub, arguments.connection) as tables:
        for key in [arguments.id] if arguments.id else tables.live():
            path = arguments.output / f"{quote(key, safe='')[:_LONGEST_NAME]}.json"
            try:
                payload = recorded(tables.rows(key))
                history = parse(json.dumps(payload))
            except (HubError, NotAHistory) as error:
                print(f"UNREAD    {key}: {error}", file=sys.stderr)  # noqa: T201
                faults += 1
                continue
            path.write_text(json.dumps(payload, indent=1) + "\n", encoding="utf-8")
            print(f"{path}: {history.name}, {history.status}")  # noqa: T201
    return int(faults > 0)


def _from_state(path: Path, id_: str) -> str:
    if not path.is_file():
        raise _Refused(f"there is no file {path}")
    store = Store(path)
    try:
        instance = store.instance(id_)
        if instance is None:
            raise _Refused(f"{path} holds no instance {id_}")
        payload = status_payload(instance) | {"historyEvents": store.history(id_)}
    finally:
        store.close()
    return json.dumps(payload)


def _from_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise _Refused(f"{url} is no http or https URL")
    query = urlencode(dict(parse_qsl(parts.query)) | NEEDED)
    whole_url = parts._replace(query=query).geturl()
    with urllib.request.urlopen(whole_url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - checked
        return str(answer.read().decode())
