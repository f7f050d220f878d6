"""The settings of the environment: JOBMON_URL, JOBMON_KEY, JOBMON_SCOPE."""

import os
from dataclasses import dataclass

LOCAL = "http://127.0.0.1:7071"
"""Where `make run` of Job Monitor serves."""


@dataclass(frozen=True)
class Settings:
    """Where the server is, and how callers prove themselves there.

    Attributes:
        url: The URL of the server.
        key: A function key; None for none.
        scope: The scope of Entra ID, as in `api://CLIENT_ID/.default`; None for none.
    """

    url: str
    key: str | None
    scope: str | None


def read_settings() -> Settings:
    """The settings of the environment; an empty one counts as none."""
    return Settings(
        os.environ.get("JOBMON_URL") or LOCAL,
        os.environ.get("JOBMON_KEY") or None,
        os.environ.get("JOBMON_SCOPE") or None,
    )
