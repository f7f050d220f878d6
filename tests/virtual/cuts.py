"""Cut the app's functions off at each operation that they ask of the table and of the task hub.

    def a_start(lab):                       # prepares, and says what is to be cut off
        job_id = new_job_id()
        return Act(job_id, lambda: lab.api.post({"jobId": job_id}))

    for cut in cuts(lab, monkeypatch, How.KILLED, a_start, least=6):
        ...                                 # what must hold, whatever was cut off

In the first round the host dies at the first operation, in the second round at the second one, and
so on. The operations are counted as they are made, so no cut point is forgotten. The last round is
the one whose cut point is never reached. `only` chooses the rounds of which one thing must hold.
"""

import importlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import aiohttp
import pytest
import requests

from adapters.table import Table
from devhost.testing import Crash
from domain import names
from domain.errors import StoreUnavailable
from tests.virtual.conftest import Lab

# The package shows the class of that name instead.
CLIENT: Any = importlib.import_module("azure.durable_functions.models.DurableOrchestrationClient")
# The host names a thread after the function that it runs.
# The coroutines among the activities work in threads of their own pool.
_ACTIVITIES = (names.CANCEL_JOB, names.DELIVER_NOTICES, "activity")
_TABLE = ("ping", "find", "query", "upsert", "delete", "commit")
HUB = ("get_async_request", "post_async_request", "delete_async_request")
log = logging.getLogger(__name__)

_LIMIT = 60  # operations; nothing here makes as many


class How(StrEnum):
    """How the operation at the cut fails."""

    KILLED = "the host dies before it"
    REFUSED = "it fails, and nothing is done"
    UNANSWERED = "it is done, but its answer is lost"


@dataclass(frozen=True)
class Act:
    """The act that is cut off, and the job that it is about. A request returns its answer."""

    job_id: str
    do: Callable[[], requests.Response | None]


class Cut:
    """One round: the operation of that number is cut off while the context lasts.

    Attributes:
        job_id: The job that the act is about.
        made: The operations that were begun, in their order.
        done: Those of them that had their effect.
        reached: Whether there was an operation of that number.
        answer: The answer to the act; None if the host died of it, or it is no request.
    """

    def __init__(self, lab: Lab, how: How, number: int, *, activities: bool) -> None:
        self.job_id = ""
        self.made: list[str] = []
        self.done: list[str] = []
        self.reached = False
        self.answer: requests.Response | None = None
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
        ours = thread.name.startswith(_ACTIVITIES) == self._activities
        if thread is threading.main_thread() or not (self._dead or (self._on and ours)):
            return call(*arguments, **named)
        operation = f"table: {name}"
        lost = self._before(operation, StoreUnavailable("cut off"))
        result = call(*arguments, **named)
        if name == "query":
            result = iter(list(result))
        self.done.append(operation)
        if lost:
            raise lost
        return result

    async def hub(
        self, name: str, call: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any
    ) -> Any:
        """A request to the task hub."""
        if not (self._dead or (self._on and not self._activities)):
            return await call(*arguments, **named)
        operation = f"hub: {name}"
        lost = self._before(operation, aiohttp.ClientConnectionError("cut off"))
        result = await call(*arguments, **named)
        self.done.append(operation)
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


def _all(_cut: Cut) -> bool:
    return True


def claimed(cut: Cut) -> bool:
    """The rounds in which the run was begun: its claim is the first transaction."""
    return "table: commit" in cut.done


def unclaimed(cut: Cut) -> bool:
    """The rounds in which the run was not begun."""
    return not claimed(cut)


def cuts(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    how: How,
    prepare: Callable[[Lab], Act],
    *,
    least: int,
    only: Callable[[Cut], bool] = _all,
    activities: bool = False,
) -> Iterator[Cut]:
    """A round for each operation, after it was cut off and a host that died was started again.

    Args:
        lab: Where to cut.
        monkeypatch: With what.
        how: How the operation fails.
        prepare: Brings about what comes before the act, in each round anew.
        least: How many operations there are at the least; fewer mean that the test looks past them.
        only: Which rounds are wanted; there must be one at the least.
        activities: Whether those of the activities of `JobMonitoring` are meant, or all others.
    """
    now: list[Cut] = []
    for name in _TABLE:
        monkeypatch.setattr(Table, name, _through_table(now, name, getattr(Table, name)))
    for name in HUB:
        monkeypatch.setattr(CLIENT, name, _through_hub(now, name, getattr(CLIENT, name)))
    wanted = 0
    for number in range(_LIMIT):
        cut = Cut(lab, how, number, activities=activities)
        now[:] = [cut]
        act = prepare(lab)
        cut.job_id = act.job_id
        with cut, suppress(requests.ConnectionError):
            cut.answer = act.do()
        log.info("%s", cut)
        if only(cut):
            wanted += 1
            yield cut
        elif wanted and only is unclaimed and how is How.KILLED:
            return  # those that follow come after the claim
        if not cut.reached:
            assert len(cut.made) >= least, cut
            assert wanted, f"none of {number + 1} rounds is wanted: {cut}"
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
