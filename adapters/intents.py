"""Starts that bring an Idempotency-Key, so that a repeated one starts no second job.

1. Before anything is done, a row is inserted that only one caller can insert. It holds a hash of
   the key and of the request.
2. Once the source has started the job, the row gets the job's id. Once the start is answered, the
   row gets the answer: its status and its monitor.
3. A repeated request with that key finds the answer. Without an answer, the first request is under
   way or was cut off. Then nobody knows whether the source started the job, and the app does not
   ask the source again.

A key is kept for a day. The header is that of the IETF draft draft-ietf-httpapi-idempotency-key.
"""

import hashlib
import json
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from adapters.table import BATCH, Table, delete_unchanged, reading

_PARTITION = "~keys"
KEPT = timedelta(hours=24)
UNDER_WAY = timedelta(minutes=15)
"""A start that has no answer after this was cut off: the host ends a function after ten minutes."""


class Intent(NamedTuple):
    """A start with a key.

    Attributes:
        request: Hash of the request.
        begun_at: The time of the request.
        status: HTTP status of its answer; None as long as there is none.
        monitor_id: The monitor that it was answered with.
        job_id: The job that the source started for it, as soon as that is known.
        detail: Why it is not known whether the source started a job.
    """

    request: str
    begun_at: datetime
    status: int | None = None
    monitor_id: str | None = None
    job_id: str | None = None
    detail: str | None = None


class Intents:
    """The starts of the last day that had a key. Methods raise `StoreUnavailable`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def begin(self, key: str, request: bytes, now: datetime) -> Intent | None:
        """Note a start, unless one with that key is known.

        Returns:
            None if this call is the first with the key; else the start that came before.
        """
        for _ in range(2):
            row = {**_keys(key), "request": _hash(_same_form(request)), "begunAt": now}
            if self._table.insert(row):
                return None
            found = self._table.find(*_keys(key).values())
            with reading():
                if found and found["begunAt"] > now - KEPT:
                    names = {"status": "status", "monitor_id": "monitorId", "job_id": "jobId"}
                    rest: dict[str, Any] = {name: found.get(known) for name, known in names.items()}
                    begun_at, detail = found["begunAt"], found.get("detail")
                    return Intent(found["request"], begun_at, **rest, detail=detail)
            if found:  # of yesterday
                self._table.commit([delete_unchanged(found)])
        # Another request took the place at this very moment.
        return Intent(_hash(_same_form(request)), now)

    def note(self, key: str, **known: object) -> None:
        """Add what is known: `jobId` after the submit; `status` and `monitorId` of the answer."""
        self._table.upsert({**_keys(key), **known})

    def forget(self, key: str) -> None:
        """Take back a start that changed nothing, so that the key can be used again."""
        self._table.delete(*_keys(key).values())

    def remove_old(self, now: datetime) -> None:
        """Remove keys that are older than a day, a thousand at the most."""
        where = "PartitionKey eq @p and begunAt lt @then"
        old = self._table.query(where, {"p": _PARTITION, "then": now - KEPT}, ["RowKey"])
        with reading():
            names = [each["RowKey"] for each in islice(old, 1_000)]
        keys = [{"PartitionKey": _PARTITION, "RowKey": name} for name in names]
        for begin in range(0, len(keys), BATCH):
            # If another run was first with one of them, the rest goes next time.
            self._table.commit([("delete", key) for key in keys[begin : begin + BATCH]])


def is_same(intent: Intent, request: bytes) -> bool:
    """Whether the request is the one that the key came with first."""
    # A release before the batch hashed the request as it was sent.
    return intent.request in (_hash(_same_form(request)), _hash(request))


def _same_form(request: bytes) -> bytes:
    """The JSON text in one form: a start has other spaces in a batch than alone."""
    return json.dumps(json.loads(request), sort_keys=True).encode()


def _keys(key: str) -> dict[str, str]:
    return {"PartitionKey": _PARTITION, "RowKey": _hash(key.encode())}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
