"""host.json and local.settings.json, read as the Functions host reads them.

Comments and trailing commas are allowed. A text `%NAME%` in host.json stands for the app setting
of that name. A setting that the environment has already wins over local.settings.json.
"""

import json
import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from devhost import payload

T = TypeVar("T")

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):([0-5]?\d)(?::([0-5]?\d(?:\.\d{1,7})?))?")
_DEFAULT_HUB = "TestHubName"
_NO_SETTINGS: dict[str, Any] = {}


class AppError(Exception):
    """The folder does not hold an app that this host can run; the text is one line."""


@dataclass(frozen=True)
class HostSettings:
    """The parts of host.json that this host reads.

    Attributes:
        hub: The name of the task hub.
        route_prefix: The first part of HTTP routes; may be empty.
        function_timeout: What ends an invocation; `None` is never.
        default_version: Stamped on new instances.
        version_match: `None`, `Strict` or `CurrentOrOlder`: which instances are run.
        version_failure: `Reject` leaves the others waiting, `Fail` fails them.
        max_activities: How many activities are with the worker at once.
        replaces_live: Whether a start replaces a live instance (`AnyState`).
        any_text: Whether queue messages carry any text (Base64), or that of XML 1.0 alone.
    """

    hub: str = _DEFAULT_HUB
    route_prefix: str = "api"
    function_timeout: timedelta | None = timedelta(minutes=30)
    default_version: str = ""
    version_match: str = "CurrentOrOlder"
    version_failure: str = "Reject"
    max_activities: int = 10 * (os.cpu_count() or 1)
    replaces_live: bool = False
    any_text: bool = False

    def runs(self, version: str) -> bool:
        """Whether an instance of that version is run."""
        own = self.default_version
        if not own or self.version_match == "None":
            return True
        if self.version_match == "Strict":
            return version == own
        numbers = [re.fullmatch(r"\d+(\.\d+){1,3}", text) for text in (version, own)]
        if all(numbers):
            theirs, ours = ([int(part) for part in text.split(".")] for text in (version, own))
            return theirs <= ours
        return version <= own

    def carries(self, text: str | None) -> bool:
        """Whether a queue message can carry the text."""
        return self.any_text or payload.fits_queue(text)


def load_local_settings(folder: Path) -> None:
    """Put the values of local.settings.json into the environment.

    Raises:
        AppError: The file can't be read.
    """
    content = _read_json(folder / "local.settings.json")
    values = _setting(content, "Values", _NO_SETTINGS, "local.settings.json")
    for name, value in values.items():
        try:
            os.environ.setdefault(name, str(value))
        except ValueError as error:  # a name or text that no environment takes
            raise AppError(f"{name!r} in local.settings.json: {error}") from error


def load_host_settings(folder: Path) -> HostSettings:
    """Read host.json; a folder without one has the defaults.

    Raises:
        AppError: The file can't be read, or a value is wrong.
    """
    host = _read_json(folder / "host.json")
    extensions = _setting(host, "extensions", _NO_SETTINGS)
    durable = _setting(extensions, "durableTask", _NO_SETTINGS)
    http = _setting(extensions, "http", _NO_SETTINGS)
    storage = _setting(durable, "storageProvider", _NO_SETTINGS)
    base = HostSettings()
    states = ("NonRunningStates", "AnyState")
    return HostSettings(
        hub=_setting(durable, "hubName", base.hub),
        route_prefix=_setting(http, "routePrefix", base.route_prefix).strip("/"),
        function_timeout=_function_timeout(host),
        default_version=_setting(durable, "defaultVersion", base.default_version),
        version_match=_one_of(
            durable, "versionMatchStrategy", ("CurrentOrOlder", "Strict", "None")
        ),
        version_failure=_one_of(durable, "versionFailureStrategy", ("Reject", "Fail")),
        max_activities=_setting(durable, "maxConcurrentActivityFunctions", base.max_activities),
        replaces_live=_one_of(durable, "overridableExistingInstanceStates", states) == states[1],
        any_text=_one_of(storage, "queueClientMessageEncoding", ("UTF8", "Base64")) == "Base64",
    )


def time_span(text: str) -> timedelta | None:
    """A .NET TimeSpan, `[d.]hh:mm[:ss[.fff]]`; `None` for any other text."""
    found = _TIME_SPAN.fullmatch(text.strip())
    if found is None or int(found[2]) > 23:  # noqa: PLR2004 - hours of a day
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def with_settings(text: str, where: str) -> str:
    """The text, or the app setting that it names as `%NAME%`.

    Raises:
        AppError: There is no such setting.
    """
    named = re.fullmatch("%(.+)%", text)
    if named is None:
        return text
    if named[1] not in os.environ:
        raise AppError(f"{where}: there is no app setting {named[1]}")
    return os.environ[named[1]]


def is_disabled(function: str) -> bool:
    """Whether the app setting `AzureWebJobs.NAME.Disabled` leaves a function out."""
    names = {f"azurewebjobs{sign}{function}{sign}disabled".lower() for sign in "._"}
    values = (value for name, value in os.environ.items() if name.lower() in names)
    return any(value.lower() in ("1", "true") for value in values)


def _function_timeout(host: dict[str, Any]) -> timedelta | None:
    text = _setting(host, "functionTimeout", "00:30:00")
    if text == "-1":
        return None
    span = time_span(text)
    if not span:
        raise AppError(f"functionTimeout in host.json can't be {json.dumps(text)}")
    return span


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(_TOKEN.sub(_keep_strings, _TOKEN.sub(_keep_strings, text)))
    except (ValueError, RecursionError) as error:
        raise AppError(f"{path} is not valid JSON: {error}") from error
    except OSError as error:
        raise AppError(f"{path} can't be read: {error.strerror}") from error
    if not isinstance(content, dict):
        raise AppError(f"{path} does not hold a JSON object")
    return content


def _keep_strings(token: re.Match[str]) -> str:
    """A comment becomes a blank, and a comma before a closing bracket nothing."""
    if token[0].startswith('"'):
        return token[0]
    return " " if token[0] != "," else ""


def _setting(parent: dict[str, Any], name: str, default: T, file: str = "host.json") -> T:
    """A setting of the type of its default; a number is 1 or more, a text may name a setting."""
    value = parent.get(name, default)
    if type(value) is not type(default) or (isinstance(value, int) and value < 1):
        raise AppError(f"{name} in {file} can't be {json.dumps(value)}")
    if isinstance(value, str):
        return with_settings(value, f"{name} in {file}")  # type: ignore[return-value] # T is str
    return value


def _one_of(parent: dict[str, Any], name: str, values: tuple[str, ...]) -> str:
    """One of some words in any case; the first is the default."""
    given = _setting(parent, name, values[0])
    found = next((value for value in values if value.lower() == given.lower()), None)
    if found is None:
        raise AppError(f"{name} in host.json can't be {json.dumps(given)}: {', '.join(values)}")
    return found
