"""Checks the files of the sources and channels without starting or asking anything.

    python -m adapters.check_sources [FILE | FOLDER | CONTAINER URL]

Without an argument, what JOB_SOURCES_FILE names. Each fault is a line, `file [table] key: what`. A
setting that is not set here is told, but is no fault of the file: a pipeline does not have the
secrets of the app. Ends with 1 if there is a fault, else with 0.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from adapters.catalog import unusable
from adapters.identity import app_identity
from adapters.local_settings import take_local_settings
from adapters.services import all_presets
from adapters.settings import APP_FOLDER
from adapters.source_blobs import BlobFiles
from adapters.source_files import FileReader, LocalFiles
from domain.errors import SourcesUnreachable
from domain.sources.file import UNSET, read_sources


def check(place: str, settings: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The faults of the files, and remarks about them; each a line."""
    reader: FileReader = LocalFiles(APP_FOLDER / Path(place))
    if place.startswith(("https://", "http://")):
        reader = BlobFiles(place, app_identity(settings)(None))
    try:
        files = reader.read()
    except SourcesUnreachable as trouble:
        return [f"{place}: {trouble}"], []
    sources = read_sources(files.texts, settings, all_presets())
    channels = sources.channels
    unfit = [fault for channel in channels.by_name.values() for fault in unusable(channel)]
    found = [*files.faults, *sources.all_faults, *unfit]
    unset = [fault for fault in found if fault.what.startswith(UNSET)]
    faults = [f"{fault.where}: {fault.what}" for fault in found if fault not in unset]
    remarks = [f"{fault.where}: {fault.what} here" for fault in unset]
    names = [*sources.by_name, *sources.disabled]
    remarks.append(f"{len(names)} sources: {', '.join(names) or 'none'}")
    if channels.names:
        remarks.append(f"{len(channels.names)} channels: {', '.join(channels.names)}")
    return faults, remarks


def main() -> int:
    """Print faults and remarks."""
    parser = argparse.ArgumentParser(prog="python -m adapters.check_sources")
    parser.add_argument("place", nargs="?", help="a file, a folder, or the URL of a container")
    place = parser.parse_args().place
    take_local_settings()
    settings = dict(os.environ)  # noqa: TID251 - as a host would have them
    faults, remarks = check(
        place or settings.get("JOB_SOURCES_FILE") or "job_sources.toml", settings
    )
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    for remark in remarks:
        print(remark)  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
