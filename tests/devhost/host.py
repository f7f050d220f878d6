"""devhost as a child process."""

import sys
from pathlib import Path

import requests

from demo.part import Part, get
from demo.ports import LOCALHOST


class Devhost(Part):
    """Serves the app of a folder; it is ready as soon as it answers at all."""

    name = "devhost"

    def __init__(self, app: Path, state: Path, *options: str) -> None:
        super().__init__(state.with_suffix(".log"))
        self.app = app
        self.state = state
        self.options = options

    def command(self) -> list[str]:
        options = ["--app", self.app, "--port", self.ports[0], "--state", self.state]
        return [sys.executable, "-m", "devhost", *map(str, options), *self.options]

    @property
    def url(self) -> str:
        return f"http://{LOCALHOST}:{self.ports[0]}"

    def problem(self) -> str | None:
        try:
            get(self.url)
        except requests.RequestException as error:
            return str(error)
        return None
