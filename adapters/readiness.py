"""Whether the app can work: its settings are sound, a source can be used, and its store answers.

Anybody may ask, and as often as they like. So the answer is kept for two seconds, and the look
reads one entity of the table and creates nothing.
"""

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from adapters.services import get_services
from domain.errors import ConfigurationFault, Fault, StoreUnavailable

_KEPT = 2.0  # seconds


class Condition(NamedTuple):
    """How the app is.

    Attributes:
        ready: Whether it can work, if not with all sources.
        faults: All faults of settings, sources and store.
        disabled: The number of sources that can't be used.
    """

    ready: bool
    faults: tuple[Fault, ...] = ()
    disabled: int = 0


def look() -> Condition:
    """The condition of an app that is ready.

    Raises:
        ConfigurationFault: It has faulty settings, or no source.
        StoreUnavailable: Its store does not answer.
    """
    services = get_services()
    sources = services.sources
    if not sources.by_name:
        raise ConfigurationFault(sources.all_faults)
    services.monitors.reach()
    faults = (*sources.all_faults, *sources.refused)
    return Condition(ready=True, faults=faults, disabled=len(sources.disabled))


def find_condition() -> Condition:
    """The condition of the app, whatever it is."""
    try:
        return look()
    except ConfigurationFault as error:
        return Condition(ready=False, faults=error.faults)
    except StoreUnavailable as error:
        return Condition(ready=False, faults=(Fault("storage", str(error)),))


class Readiness:
    """The last look; safe to use from several threads, which wait for one look together."""

    def __init__(
        self,
        find: Callable[[], Condition] = find_condition,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find, self._clock = find, clock
        self._lock = threading.Lock()
        self._known: tuple[float, Condition] | None = None

    def condition(self) -> tuple[Condition, bool]:
        """The condition, at most two seconds old, and whether this call found it."""
        with self._lock:
            known = self._known
            if known and self._clock() - known[0] < _KEPT:
                return known[1], False
            found = self._find()
            self._known = (self._clock(), found)
            return found, True


@cache
def get_readiness() -> Readiness:
    """The readiness of this process."""
    return Readiness()
