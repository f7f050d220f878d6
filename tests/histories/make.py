"""Record the histories of each path through the app's orchestrators.

    python -m tests.histories.make

The real orchestrators run on devhost's engine, turned by hand; the activities are played. The
files go into the folder of the version in pyproject.toml. Once that version is released its
files never change: instances of that version may still run, and an orchestrator that does not fit
the files would break these instances. The next version gets a folder of its own. Before a release,
make the files again after each intended change of an orchestrator.

A generation that continues as new is recorded up to the turn in which it did.
"""

import dataclasses
import json
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from devhost.events import Event, EventType
from devhost.rendering import status_payload
from devhost.replay import ContinuedAsNew, Turn
from devhost.store import Instance
from domain import names
from domain.monitors.cleanup import CleanupProgress
from domain.monitors.monitor import Watch
from domain.notices.delivery import DeliveryProgress
from domain.outcome import CancelResult, Outcome, Poll
from orchestrators.delivery import delivery
from orchestrators.job_monitoring import job_monitoring
from orchestrators.periodic_cleanup import periodic_cleanup
from tests.devhost.by_hand import START, FakeWorker, HandEngine

HERE = Path(__file__).parent
ORCHESTRATORS: dict[str, Callable[[str], str]] = {
    function.get_function_name().lower(): function.get_user_function()
    for function in (job_monitoring._function, periodic_cleanup._function, delivery._function)
}

Payload = dict[str, Any]

RUNNING = Poll(outcome=Outcome.RUNNING, raw_status="InProgress", progress=40)
NOT_FOUND = Poll(outcome=Outcome.NOT_FOUND, detail="404")
STORED, REFUSED = True, False
UNREACHABLE = Poll(outcome=Outcome.UNREACHABLE, detail="connection refused")


@dataclasses.dataclass
class Take:
    """A generation as it stands after its latest turn."""

    instance: Instance
    given: list[Event]
    turn: Turn


class Film(HandEngine):
    """An engine that keeps every generation; activities give what they are told to, in order."""

    def __init__(self) -> None:
        self.takes: dict[str, Take] = {}
        self.results: list[object] = []
        worker = FakeWorker()
        worker.orchestrators = ORCHESTRATORS
        worker.activities = {
            name.lower(): self._result
            for name in (
                names.GET_JOB_STATUS,
                names.RECORD_FINAL_STATUS,
                names.CANCEL_JOB,
                names.DO_CLEANUP,
                names.DELIVER_NOTICES,
            )
        }
        super().__init__(worker)
        self.clock.tick = timedelta(milliseconds=1)  # so that no two events have the same time

    def _result(self, _input: str) -> str:
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return json.dumps(result)

    def _turn(self, instance: Instance, history: list[Event]) -> Turn:
        turn = super()._turn(instance, history)
        self.takes[instance.execution_id] = Take(dataclasses.replace(instance), history, turn)
        return turn

    # -- what a scene does ----------------------------------------------------------------

    def watch(self, **settings: Any) -> None:
        """Start a watch, up to its first poll."""
        watch = Watch(
            **{
                "monitor_id": "demo.nightly-load",
                "source": "demo",
                "job_id": "nightly-load",
                "run": 1,
                "started_at": START,
                "expire_time": START + timedelta(hours=24),
                "timeout_seconds": 24 * 3600,
                "poll_interval_seconds": 60,
                "next_poll_at": START,
                **settings,
            }
        )
        self.begin(names.JOB_MONITORING, watch.monitor_id, watch.to_wire())

    def begin(self, name: str, id_: str, input_: object) -> None:
        self.id = id_
        self.create(name, id_, json.dumps(json.dumps(input_)))
        self.turns()

    def give(self, *results: Any) -> None:
        """Have the activities that wait, and those that they bring about, give these results."""
        self.results += [r.to_wire() if hasattr(r, "to_wire") else r for r in results]
        while self.results:
            self.perform()

    def hint(self) -> None:
        self.raise_event(self.id, names.HINT)
        self.turns()

    # -- what comes of it -----------------------------------------------------------------

    def payload(self, generation: int) -> Payload:
        """The recorded form of a generation, -1 is the last one."""
        take = list(self.takes.values())[generation]
        if isinstance(take.turn.ending, ContinuedAsNew):
            instance = dataclasses.replace(take.instance, status="ContinuedAsNew")
            history = take.given
        else:
            instance, history = self.get(self.id), self.store.history(self.id)
        text = json.dumps(status_payload(instance) | {"historyEvents": history})
        for number, execution_id in enumerate(self.takes, start=1):
            text = text.replace(execution_id, f"{number:032}")
        payload: Payload = json.loads(text)
        return payload


# -- scenes: each plays an instance, and says which of its generations to keep ------------------


def first_poll(film: Film) -> int:
    film.watch()
    film.give(RUNNING)
    return 0


def timer_then_poll(film: Film) -> int:
    film.watch()
    film.give(RUNNING)
    film.sleep_until_due()
    film.give(RUNNING)
    return 1


def waiting(film: Film) -> int:
    film.watch()
    film.give(RUNNING)
    return 1


def hint_wins(film: Film) -> int:
    film.watch()
    film.give(RUNNING)
    film.sleep(30)
    film.hint()
    film.give(RUNNING)
    return 1


def hint_soon_after_the_poll(film: Film) -> int:
    film.watch()
    film.give(RUNNING)
    film.sleep(0.2)
    film.hint()
    film.sleep_until_due()
    film.give(RUNNING)
    return 1


def hint_during_the_poll(film: Film) -> int:
    film.watch()
    film.give(RUNNING)
    film.sleep_until_due()
    film.hint()
    film.give(RUNNING)
    return 1


def hint_with_the_polls_result(film: Film) -> int:
    """It comes after continue-as-new, and is the first that the next generation sees."""
    film.watch()
    film.give(RUNNING)
    film.sleep_until_due()
    (task,) = film.waiting
    film.waiting.clear()
    film.results.append(RUNNING.to_wire())
    film._perform(task)
    film.hint()
    film.sleep_until_due()
    film.give(RUNNING)
    return 2


def poll_raised(film: Film) -> int:
    film.watch()
    film.give(RuntimeError("the worker went away"))
    return 0


def succeeded(film: Film) -> int:
    film.watch()
    film.give(RUNNING)
    film.sleep_until_due()
    film.give(Poll(outcome=Outcome.SUCCEEDED, raw_status="Succeeded", progress=100), STORED)
    return 1


def failed(film: Film) -> int:
    film.watch()
    film.give(Poll(outcome=Outcome.FAILED, raw_status="Failed", message="out of memory"), STORED)
    return 0


def cancelled(film: Film) -> int:
    film.watch()
    film.give(Poll(outcome=Outcome.CANCELLED, raw_status="Cancelled"), STORED)
    return 0


def lost(film: Film) -> int:
    film.watch()
    film.give(NOT_FOUND)
    film.sleep_until_due()
    film.give(NOT_FOUND)
    film.sleep_until_due()
    film.give(NOT_FOUND, STORED)
    return 2


def expired(film: Film) -> int:
    film.watch(expire_time=START + timedelta(seconds=90))
    film.give(RUNNING)
    film.sleep_until_due()
    film.give(RUNNING)
    film.sleep_until_due()
    film.give(RUNNING, STORED)
    return 2


def expired_and_job_cancelled(film: Film) -> int:
    film.watch(expire_time=START + timedelta(seconds=90), on_expiry="cancel")
    film.give(RUNNING)
    film.sleep_until_due()
    film.give(RUNNING)
    film.sleep_until_due()
    film.give(RUNNING, CancelResult(accepted=True), STORED)
    return 2


def cancel_refused(film: Film) -> int:
    film.watch(expire_time=START, on_expiry="cancel")
    film.give(RUNNING, RuntimeError("the worker went away"))
    film.sleep_until_due()
    return 0


def unreachable(film: Film) -> int:
    film.watch(expire_time=START + timedelta(seconds=30))
    film.give(UNREACHABLE)
    film.sleep_until_due()
    film.give(UNREACHABLE, STORED)
    return 1


def store_refused(film: Film) -> int:
    film.watch()
    film.give(Poll(outcome=Outcome.SUCCEEDED, raw_status="Succeeded"), REFUSED)
    film.sleep_until_due()
    return 0


def store_raised(film: Film) -> int:
    film.watch()
    film.give(Poll(outcome=Outcome.SUCCEEDED, raw_status="Succeeded"), RuntimeError("gone"))
    film.sleep_until_due()
    return 0


def stored_at_the_second_try(film: Film) -> int:
    film.watch()
    film.give(Poll(outcome=Outcome.SUCCEEDED, raw_status="Succeeded"), REFUSED)
    film.sleep_until_due()
    film.give(STORED)
    return 1


def suspended_and_resumed(film: Film) -> int:
    film.watch()
    film.give(RUNNING)
    film.send(film.id, EventType.EXECUTION_SUSPENDED, Reason="a look")
    film.turns()
    film.sleep(600)
    film.send(film.id, EventType.EXECUTION_RESUMED, Reason="go on")
    film.turns()
    film.give(RUNNING)
    return 1


def terminated(film: Film) -> int:
    film.watch()
    film.give(RUNNING)
    film.send(film.id, EventType.EXECUTION_TERMINATED, Input="enough")
    film.turns()
    return 1


def cleanup_first(film: Film) -> int:
    film.begin(names.PERIODIC_CLEANUP, names.CLEANUP_INSTANCE, None)
    film.give(CleanupProgress(runs=1, instances=3, monitors=2, last_run_at=START))
    film.sleep_until_due()
    return 0


def cleanup_later(film: Film) -> int:
    cleanup_first(film)
    film.give(CleanupProgress(runs=2, purged_through=START, last_run_at=START))
    film.sleep_until_due()
    return 1


def cleanup_with_more_to_do(film: Film) -> int:
    film.begin(names.PERIODIC_CLEANUP, names.CLEANUP_INSTANCE, None)
    film.give(CleanupProgress(runs=1, more=True, last_run_at=START))
    film.sleep_until_due()
    return 0


def cleanup_failed(film: Film) -> int:
    cleanup_first(film)
    film.give(RuntimeError("no space left"))
    film.sleep_until_due()
    return 1


def cleanup_sleeping(film: Film) -> int:
    cleanup_first(film)
    film.give(CleanupProgress(runs=2, last_run_at=START))
    return 1


OPS = DeliveryProgress(channel="ops", look_at=START)


def deliver(film: Film) -> None:
    film.begin(names.DELIVERY, names.delivery_instance("ops"), OPS.to_wire())


def delivery_first(film: Film) -> int:
    deliver(film)
    film.give(DeliveryProgress(channel="ops"))
    return 0


def delivery_woken(film: Film) -> int:
    delivery_first(film)
    film.sleep(30)
    film.raise_event(film.id, names.NOTICES)
    film.turns()
    film.give(DeliveryProgress(channel="ops"))
    return 1


def delivery_woken_during_the_look(film: Film) -> int:
    deliver(film)
    film.raise_event(film.id, names.NOTICES)
    film.turns()
    film.give(DeliveryProgress(channel="ops"))
    return 0


def delivery_failed(film: Film) -> int:
    deliver(film)
    film.give(RuntimeError("the worker went away"))
    return 0


def delivery_of_a_channel_that_is_gone(film: Film) -> int:
    deliver(film)
    film.give(DeliveryProgress(channel="ops", gone=True))
    return 0


SCENES: tuple[Callable[[Film], int], ...] = (
    first_poll,
    timer_then_poll,
    waiting,
    hint_wins,
    hint_soon_after_the_poll,
    hint_during_the_poll,
    hint_with_the_polls_result,
    poll_raised,
    succeeded,
    failed,
    cancelled,
    lost,
    expired,
    expired_and_job_cancelled,
    cancel_refused,
    unreachable,
    store_refused,
    store_raised,
    stored_at_the_second_try,
    suspended_and_resumed,
    terminated,
    cleanup_first,
    cleanup_later,
    cleanup_with_more_to_do,
    cleanup_failed,
    cleanup_sleeping,
    delivery_first,
    delivery_woken,
    delivery_woken_during_the_look,
    delivery_failed,
    delivery_of_a_channel_that_is_gone,
)


def play(scene: Callable[[Film], int]) -> Payload:
    """The recorded form of the generation that a scene is about."""
    film = Film()
    return film.payload(scene(film))


def doctored() -> Payload:
    """A history of a release that never was: its polls were called PollJob."""
    payload: Payload = json.loads(
        json.dumps(play(succeeded)).replace(names.GET_JOB_STATUS, "PollJob")
    )
    return payload


def main() -> None:
    """Write all files, and the doctored one beside the folders of the versions."""
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    folder = HERE / project["project"]["version"]
    folder.mkdir(exist_ok=True)
    for scene in SCENES:
        _write(folder / f"{scene.__name__.replace('_', '-')}.json", play(scene))
    _write(HERE / "doctored.json", doctored())


def _write(path: Path, payload: Payload) -> None:
    path.write_text(json.dumps(payload, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
