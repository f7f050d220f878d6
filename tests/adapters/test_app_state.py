"""The state of the app as a whole, in a real store."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.app_state import AppState
from adapters.table import Entity, Table
from tests.conftest import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLLS = 8


def test_polls_that_come_together_ask_for_the_pauses_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table.connect("pauses", connection=store.new_account())
    AppState(table).pause("demo", NOW)
    asked: list[str] = []
    together, query = threading.Barrier(POLLS), table.query

    def spy(where: str, *rest: Any) -> Iterator[Entity]:
        asked.append(where)
        return query(where, *rest)

    monkeypatch.setattr(table, "query", spy)
    monkeypatch.setattr("adapters.app_state._WAITS", 30.0)
    state = AppState(table)

    def poll(_: int) -> dict[str, datetime]:
        together.wait(30)
        return state.paused_sources(NOW)

    with ThreadPoolExecutor(POLLS) as polls:
        found = list(polls.map(poll, range(POLLS)))
    assert found == [{"demo": NOW}] * POLLS
    assert len(asked) == 1
