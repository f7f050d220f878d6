"""Instances that somebody started under the app's ids through the management API."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus

from adapters import hub
from adapters.app_state import AppState
from adapters.table import Table
from domain import names
from domain.sources.file import load_sources
from tests.adapters.test_slow_store import NOW
from tests.conftest import Store
from tests.unit.test_start import ONE

MONITOR = "demo.a"
IDS = {
    names.CLEANUP_INSTANCE: names.PERIODIC_CLEANUP,
    names.sweep_instance("demo"): names.SOURCE_SWEEP,
    names.delivery_instance("ops"): names.DELIVERY,
}


@dataclass
class Hub:
    """A task hub that obeys at once; an instance is its orchestrator, status and input."""

    instances: dict[str, tuple[str, str, Any]]
    events: list[tuple[str, str]] = field(default_factory=list)

    async def get_status(self, id_: str, **_: bool) -> Any:
        name, status, input_ = self.instances.get(id_, ("", None, None))
        at = "2030-01-01T00:00:00Z"
        told = {"name": name, "instanceId": id_, "createdTime": at, "lastUpdatedTime": at}
        if status is None:  # as the client shows an unknown instance
            return DurableOrchestrationStatus.from_json("no such instance")
        return DurableOrchestrationStatus.from_json(
            {**told, "runtimeStatus": status, "input": input_}
        )

    async def get_status_by(self, **_: str) -> list[DurableOrchestrationStatus]:
        return []

    async def start_new(self, name: str, id_: str, input_: object) -> str:
        assert self.instances.get(id_, ("", "Completed"))[1] not in ("Running", "Pending")
        self.instances[id_] = (name, "Running", input_)
        return id_

    async def raise_event(self, id_: str, name: str, _: object) -> None:
        self.events.append((id_, name))

    async def terminate(self, id_: str, _: str) -> None:
        name, _status, input_ = self.instances[id_]
        self.instances[id_] = (name, "Terminated", input_)

    async def purge_instance_history(self, id_: str) -> SimpleNamespace:
        del self.instances[id_]
        return SimpleNamespace(instances_deleted=1)


@pytest.mark.parametrize(
    ("name", "run"),
    [("JobMonitoring", 2), ("jobmonitoring", 2), ("Delivery", None), ("Elsewhere", None)],
)
def test_only_the_orchestrator_of_a_monitor_has_its_run(name: str, run: int | None) -> None:
    """I1, I2: else the end of another instance would be that of the watch."""
    there: Any = Hub({MONITOR: (name, "Terminated", {"run": 2})})
    found = asyncio.run(hub.find(there, MONITOR))
    assert found
    assert (found.run, found.foreign) == (run, run is None)


@pytest.mark.parametrize("id_", IDS)
@pytest.mark.parametrize("status", ["Running", "Suspended", "Pending", "Failed", None])
@pytest.mark.parametrize("foreign", [True, False])
def test_an_id_of_the_app_gets_its_orchestrator(
    store: Store, id_: str, status: str | None, foreign: bool
) -> None:
    """An instance of another one makes room; the right one stays, unless it has ended."""
    table = Table.connect("hub", connection=store.new_account())
    services: Any = SimpleNamespace(
        app_state=AppState(table),
        now=lambda: NOW,
        settings=SimpleNamespace(hub_patience=timedelta(seconds=1)),
    )
    services.app_state.note_sweep("demo", NOW)
    name, before = "Elsewhere" if foreign else IDS[id_], {"crafted": True}
    there: Any = Hub({id_: (name, status, before)} if status else {})
    match IDS[id_]:
        case names.PERIODIC_CLEANUP:
            asyncio.run(hub.ensure_cleanup(there, services))
        case names.SOURCE_SWEEP:
            asyncio.run(hub.ensure_sweep(there, services, load_sources(ONE, {}).get("demo")))
        case names.DELIVERY:
            asyncio.run(hub.ensure_delivery(there, services, "ops"))
    stays = status not in ("Failed", None) and not foreign
    name, now, input_ = there.instances[id_]
    assert name == IDS[id_]
    assert now == (status if stays else "Running")
    assert (input_ == before) is stays
    assert there.events == ([(id_, names.NOTICES)] if name == names.DELIVERY else [])
