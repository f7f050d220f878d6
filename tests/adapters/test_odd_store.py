"""A store whose answers make no sense: a proxy's page in its place, or JSON of another kind."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from adapters.app_state import AppState, Place
from adapters.intents import Intents
from adapters.monitor_list import Ended
from adapters.monitor_table import TABLE, MonitorTable
from adapters.table import Table
from domain.errors import StoreUnavailable
from domain.monitors import transitions
from domain.monitors.cleanup import SeenHub
from domain.outcome import StopRequest
from tests.adapters.test_slow_store import NOW, new_row
from tests.conftest import Store
from tests.slow_store import SlowStore

HTML = b"<html><body>Please sign in</body></html>"
ENTITY = b'{"PartitionKey": "demo.job-1", "RowKey": "monitor", "logLines": 1'
JSON = "application/json;odata=minimalmetadata"
ANSWERS = {
    "a page": (200, "text/html", HTML),
    "a page that says it is JSON": (200, JSON, HTML),
    "nothing": (200, JSON, b""),
    "no content": (204, JSON, b""),
    "an empty object": (200, JSON, b"{}"),
    "a list": (200, JSON, b"[]"),
    "null": (200, JSON, b"null"),
    "a number": (200, JSON, b"1"),
    "a text": (200, JSON, b'"x"'),
    "half of an answer": (200, JSON, b'{"value": [{"PartitionKey": "a'),
    "no UTF-8": (200, JSON, b'{"value": "\xff\xfe"}'),
    "values of no kind": (200, JSON, b'{"value": 1}'),
    "no entities": (200, JSON, b'{"value": [1, null, "x"]}'),
    "entities without keys": (200, JSON, b'{"value": [{}]}'),
    "entities of another table": (
        *(200, JSON),
        b'{"value": [{"PartitionKey": "~live", "RowKey": "a", "odata.etag": "x"}]}',
    ),
    "a row without its fields": (200, JSON, ENTITY + b"}"),
    "a row with odd values": (200, JSON, ENTITY + b', "state": "Sleeping", "stop": "{"}'),
    "a row with a text for a count": (
        *(200, JSON),
        ENTITY.replace(b"1", b'"x"') + b"}",
    ),
    "a time that is none": (200, JSON, b'{"a": "x", "a@odata.type": "Edm.DateTime"}'),
    "digits without end": (200, JSON, b'{"a": ' + b"9" * 5_000 + b"}"),
    "nested without end": (200, JSON, b"[" * 100_000),
    "a page with an error": (500, "text/html", HTML),
    "a page with a refusal": (403, "text/html", HTML),
    "an odd error": (400, JSON, b'{"odata.error": 1}'),
    "an error without a body": (409, JSON, b""),
    "a page that says there is nothing": (404, "text/html", HTML),
    "a redirect": (302, "text/html", HTML),
    "a status of nobody": (299, JSON, HTML),
}
ROW = new_row(1)


def _changed(table: Table) -> object:
    stop = StopRequest(reason="x")
    return MonitorTable(table).change(ROW.id, lambda row: transitions.stop_asked(row, stop))


CALLS: dict[str, Callable[[Table], object]] = {
    "ping": lambda table: table.ping(),
    "claim": lambda table: MonitorTable(table).claim(ROW),
    "get": lambda table: MonitorTable(table).get(ROW.id),
    "of_job": lambda table: MonitorTable(table).with_job("a" * 100, ["demo", "other"]),
    "read": lambda table: MonitorTable(table).read(ROW.id),
    "read after": lambda table: MonitorTable(table).read(ROW.id, 0),
    "page": lambda table: MonitorTable(table).list.page(50),
    "page by label": lambda table: MonitorTable(table).list.page(50, label="a:b"),
    "page by beginning": lambda table: MonitorTable(table).list.page(50, prefix="a"),
    "live": lambda table: list(MonitorTable(table).live()),
    "ended_before": lambda table: list(MonitorTable(table).list.ended_before(NOW)),
    "ended": lambda table: MonitorTable(table).ended(Ended(ROW.id, 1, "x")),
    "unlist": lambda table: MonitorTable(table).list.remove([Ended(ROW.id, 1, "x")]),
    "check_list": lambda table: MonitorTable(table).check_list("", 10),
    "drop_live": lambda table: MonitorTable(table).drop_live(ROW.id, 1),
    "sync_indexes": lambda table: MonitorTable(table).sync_indexes(ROW),
    "change": _changed,
    "place": lambda table: AppState(table).place(),
    "remember_place": lambda table: AppState(table).remember_place(Place("a", "b")),
    "hub": lambda table: AppState(table).hub(),
    "note_hub": lambda table: AppState(table).note_hub(SeenHub("a", 1, NOW)),
    "pause": lambda table: AppState(table).pause("demo", NOW),
    "resume": lambda table: AppState(table).resume("demo"),
    "paused_sources": lambda table: AppState(table).paused_sources(NOW),
    "begin": lambda table: Intents(table).begin("key", b"{}", NOW),
    "note": lambda table: Intents(table).note("key", status=202),
    "forget": lambda table: Intents(table).forget("key"),
    "remove_old": lambda table: Intents(table).remove_old(datetime.now(UTC) + timedelta(days=2)),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_that_makes_no_sense_is_a_store_that_is_not_there(
    store: Store, name: str
) -> None:
    """503, and not 500: the caller tries again, and the app needs no mend."""
    with SlowStore(store.connection_string) as odd:
        table = Table.connect(TABLE, connection=odd.connection)
        unexpected = {}
        for kind, answer in ANSWERS.items():
            odd.answer = answer
            try:
                CALLS[name](table)
            except StoreUnavailable as error:
                if len(str(error)) > 300 or "sign in" in str(error):
                    unexpected[kind] = f"it quotes the answer: {error}"
            except Exception as error:  # noqa: BLE001 - the point of the test
                unexpected[kind] = repr(error)[:200]
        assert unexpected == {}


def test_no_such_answer_makes_a_monitor_unknown(store: Store) -> None:
    """I2: a poll that finds no row ends its watch."""
    with SlowStore(store.connection_string) as odd:
        table = MonitorTable.connect(connection=odd.connection)
        for answer in ANSWERS.values():
            odd.answer = answer
            with pytest.raises(StoreUnavailable):
                table.get(ROW.id)
        odd.answer = None
        assert table.get("demo.nobody-knows-it") is None
