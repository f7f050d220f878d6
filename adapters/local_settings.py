"""The settings of local.settings.json, for commands that run without a host."""

import json
import os

from adapters.settings import APP_FOLDER


def take_local_settings() -> None:
    """Add them to the environment, as a host does it: those that are set already win."""
    file = APP_FOLDER / "local.settings.json"
    if file.exists():
        for name, value in json.loads(file.read_text(encoding="utf-8"))["Values"].items():
            os.environ.setdefault(name, value)  # noqa: TID251 - as the host does it
