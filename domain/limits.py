"""Limits and choices that sources and monitors share. Times are in seconds."""

from typing import Literal

DAY = 86_400

MAX_WATCH_SECONDS = 366 * DAY
"""The longest watch."""

MAX_POLL_INTERVAL_SECONDS = DAY
"""The longest time between two polls, whoever asks for it: a start, a source or a Retry-After."""

OnExpiry = Literal["leave", "cancel"]
"""The fate of the job when its watch expires."""
