"""Cut the app's functions off at each thing that they ask of the table and of the task hub.

    for cut in cuts(lab, monkeypatch, How.KILLED, 6):
        with cut:
            lab.api.start(jobId=...)    # the host dies at the first operation, then the second, ...
        ...                             # what must hold whatever was cut off

The operations are counted as they are made, so no cut point is forgotten; the round that reached
none is the last.
"""

import importlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import aiohttp
import pytest
import requests

from adapters.table import Table
from devhost.testing import Crash
from domain.errors import StoreUnavailable
from tests.virtual.conftest import Lab

# The package shows the class of that name instead.
CLIENT: Any = importlib.import_module("azure.durable_functions.models.DurableOrchestrationClient")
_TABLE = ("ping", "find", "query", "upsert", "delete", "commit")
HUB = ("get_async_request", "post_async_request", "delete_async_request")
log = logging.getLogger(__name__)

_LIMIT = 60  # operations; nothing here makes as many


class How(StrEnum):
    """What becomes of the operation at the cut."""

    KILLED = "the host dies before it"
    REFUSED = "it fails, and nothing is done"
    UNANSWERED = "it is done, but its answer is lost"


class Cut:
    """One round: the operation of that number is cut off while the context lasts."""

    def __init__(self, lab: Lab, how: How, number: int, *, activities: bool) -> None:
        self.made: list[str] = []
        self.reached = False
        self._lab, self._how, self._number = lab, how, number
        self._activities = activities
        self._lock = threading.Lock()
        self._on = False

    def __str__(self) -> str:
        return f"{self._how}: {self._number} of {self.made}"

    def __enter__(self) -> Self:
        self._on = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Start a host that died again."""
        self._on = False
        if self._dead:
            self._lab.host.restart()

    @property
    def _dead(self) -> bool:
        """Whether the host died. Nothing of it may reach the world then; its successor may."""
        return self._lab.host.crashed

    def table(self, name: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """An operation of the table. Those of the test itself are let through."""
        thread = threading.current_thread()
        ours = thread.name.startswith("activity") == self._activities
        if thread is threading.main_thread() or not (self._dead or (self._on and ours)):
            return call(*arguments, **named)
        lost = self._before(f"table: {name}", StoreUnavailable("cut off"))
        result = call(*arguments, **named)
        if name == "query":
            result = iter(list(result))
        if lost:
            raise lost
        return result

    async def hub(
        self, name: str, call: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any
    ) -> Any:
        """A request to the task hub."""
        if not (self._dead or (self._on and not self._activities)):
            return await call(*arguments, **named)
        lost = self._before(f"hub: {name}", aiohttp.ClientConnectionError("cut off"))
        result = await call(*arguments, **named)
        if lost:
            raise lost
        return result

    def _before(self, name: str, failure: Exception) -> Exception | None:
        """Count the operation; fail if it is not to be done, else what to raise after it."""
        with self._lock:
            if self._dead:
                raise Crash("dead")
            self.made.append(name)
            here = len(self.made) - 1 == self._number
            if not here:
                return None
            self.reached = True
            if self._how is How.KILLED:
                raise self._lab.host.crash()
        if self._how is How.REFUSED:
            raise failure
        return failure


def cuts(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, how: How, least: int, *, activities: bool = False
) -> Iterator[Cut]:
    """A round for each operation.

    Args:
        lab: Where to cut.
        monkeypatch: With what.
        how: What becomes of the operation.
        least: How many operations there are at the least; fewer mean that the test looks past them.
        activities: Whether those of the activities of `JobMonitoring` are meant, or all others.
    """
    now: list[Cut] = []
    for name in _TABLE:
        monkeypatch.setattr(Table, name, _through_table(now, name, getattr(Table, name)))
    for name in HUB:
        monkeypatch.setattr(CLIENT, name, _through_hub(now, name, getattr(CLIENT, name)))
    for number in range(_LIMIT):
        cut = Cut(lab, how, number, activities=activities)
        now[:] = [cut]
        yield cut
        log.info("%s", cut)
        if not cut.reached:
            assert len(cut.made) >= least, cut
            return
    raise AssertionError(f"more than {_LIMIT} operations: {cut.made}")


def _through_table(now: list[Cut], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def operation(*arguments: Any, **named: Any) -> Any:
        return now[0].table(name, call, *arguments, **named)

    return operation


def _through_hub(
    now: list[Cut], name: str, call: Callable[..., Awaitable[Any]]
) -> Callable[..., Any]:
    async def request(*arguments: Any, **named: Any) -> Any:
        return await now[0].hub(name, call, *arguments, **named)

    return request


def asked(call: Callable[..., requests.Response], *request: Any) -> requests.Response | None:
    """The answer to a request, or None if the host died of it."""
    with suppress(requests.ConnectionError):
        return call(*request)
    return None
