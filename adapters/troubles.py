"""The trouble of the app itself in Table storage: the partition `~trouble` of the outbox.

The entity `state` has the troubles that last and the number of the last notice. It is written with
the notice, in one transaction, so that each is told once.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from adapters.outbox import TROUBLE, Addressed, Outbox
from adapters.table import Operation, Table, reading, update_unchanged
from domain.notices.notice import Notice
from domain.notices.trouble import Part, Trouble, noted

_STATE = "state"


class Troubles:
    """The troubles. `note` raises `StoreUnavailable` if the store fails."""

    def __init__(self, table: Table, outbox: Outbox) -> None:
        self._table, self._outbox = table, outbox

    def note(
        self,
        details: Mapping[Part, str | None],
        now: datetime,
        takers: Callable[[Notice], Sequence[str]],
    ) -> None:
        """Note how parts of the app do. Another host that notes at the same time is enough.

        Args:
            details: The trouble of each part; None if it works.
            now: The time.
            takers: The channels that take a notice.
        """
        found = self._table.find(TROUBLE, _STATE)
        with reading():
            stored = json.loads(found["troubles"]) if found else {}
            # A later release, before a roll-back, may have noted trouble with another part.
            others = {name: each for name, each in stored.items() if name not in {*Part}}
            known = {
                Part(name): Trouble.model_validate(each)
                for name, each in stored.items()
                if name not in others
            }
            number = int(found["notices"]) if found else 0
        troubles, addressed = known, []
        for part, detail in details.items():
            troubles, notice = noted(troubles, part, detail, now)
            if notice and (channels := takers(notice)):
                number += 1
                addressed.append(Addressed(notice.numbered(number), 0, number, channels))
        if troubles == known:
            return
        entity = {
            "PartitionKey": TROUBLE,
            "RowKey": _STATE,
            "troubles": json.dumps(others | {name: t.to_wire() for name, t in troubles.items()}),
            "notices": number,
        }
        write: Operation = update_unchanged(found, entity) if found else ("create", entity)
        self._outbox.announce(TROUBLE, addressed)
        self._table.commit([write, *self._outbox.operations(TROUBLE, addressed)])
