"""One table of Table storage, with conditional writes and one error, `StoreUnavailable`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import requests
from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.core.settings import settings
from azure.data.tables import TableClient, TableServiceClient, UpdateMode
from requests.adapters import HTTPAdapter

from adapters.environment import KeptEnvironment
from domain.errors import StoreUnavailable

Entity = Mapping[str, Any]
Operation = tuple[Any, ...]
"""What `submit_transaction` takes: a verb, an entity, options."""

BATCH = 100
"""Operations that a transaction may hold."""

# The client expects the answers of the service, and raises whatever others make it raise.
_UNREADABLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
_CONNECTIONS = 100
"""As many as there are threads that may ask: 40 of the worker, those of `adapters.threads`, and
the readers of rows."""

_NOT_FOUND, _CONFLICT, _CHANGED = 404, 409, 412
# Short enough for an HTTP answer; a caller that can wait longer asks again.
_TIMEOUTS: Mapping[str, Any] = {
    "connection_timeout": 3,
    "read_timeout": 10,
    "retry_total": 2,
    "retry_backoff_factor": 0.2,
}


class Table:
    """A table that the first write creates. Every method raises `StoreUnavailable` on failure."""

    def __init__(self, client: TableClient, create: Callable[[], object]) -> None:
        """Use a table; `create` makes it if it is not there."""
        self._client = client
        self._create = create

    @classmethod
    def connect(
        cls,
        name: str,
        *,
        connection: str | None = None,
        endpoint: str | None = None,
        credential: TokenCredential | None = None,
    ) -> "Table":
        """A table at a connection string, or at an endpoint with a credential; sends no request.

        Raises:
            ValueError: The text is no connection string.
        """
        # As the environment has it. The client would ask that anew, several times a request.
        settings.tracing_enabled = settings.tracing_enabled()
        options = {**_TIMEOUTS, "transport": RequestsTransport(session=_Session(), **_TIMEOUTS)}
        if connection:
            service = TableServiceClient.from_connection_string(connection, **options)
        else:
            service = TableServiceClient(str(endpoint), credential=credential, **options)
        create = service.create_table_if_not_exists
        return cls(service.get_table_client(name), lambda: create(name))

    def ping(self) -> None:
        """Make sure that the store answers and the table is there."""
        with _errors():
            self._create()

    def find(self, partition: str, row: str) -> Any | None:
        """The entity, with its ETag in `metadata`, or None."""
        with _errors():
            try:
                found = self._client.get_entity(partition, row)
            except ResourceNotFoundError as error:
                _require_answer_of_the_service(error)
                return None
            if (found["PartitionKey"], found["RowKey"]) != (partition, row):
                raise ValueError("another entity")
            return found

    def query(
        self,
        where: str,
        values: Mapping[str, object],
        select: list[str] | None = None,
        top: int | None = None,
    ) -> Iterator[Entity]:
        """Entities in the order of their keys.

        Args:
            where: The filter; `@name` in it stands for a value.
            values: The values.
            select: The properties, if not all.
            top: How many entities an answer may hold; the default is the service's limit (1,000).
        """
        with _errors():
            try:
                yield from self._client.query_entities(
                    where, parameters=dict(values), select=select, results_per_page=top
                )
            except ResourceNotFoundError as error:  # the table is not there yet
                _require_answer_of_the_service(error)
                return

    def insert(self, entity: Entity) -> bool:
        """Write an entity that is not there yet; whether it was not."""
        return self.commit([("create", entity)])

    def upsert(self, entity: Entity) -> None:
        """Write an entity; properties of an older one that it does not name stay."""
        with _errors():
            try:
                self._client.upsert_entity(entity, mode=UpdateMode.MERGE)
            except ResourceNotFoundError:
                self._create()
                self._client.upsert_entity(entity, mode=UpdateMode.MERGE)

    def delete(self, partition: str, row: str) -> None:
        """Remove an entity; one that is not there is fine."""
        with _errors():
            self._client.delete_entity(partition, row)

    def commit(self, operations: Sequence[Operation]) -> bool:
        """Do all operations, in one partition, or none.

        Returns:
            Whether they were done. If not, another writer was first: an entity to create existed,
            or an entity to change had changed or was gone.
        """
        with _errors():
            try:
                self._submit(operations)
            except HttpResponseError as error:
                if error.status_code not in (_NOT_FOUND, _CONFLICT, _CHANGED):
                    raise
                return False
        return True

    def _submit(self, operations: Sequence[Operation]) -> None:
        if len(operations) == 1 and operations[0][0] == "update":
            # Most polls come here; a transaction would cost the client four times as much.
            self._client.update_entity(operations[0][1], **operations[0][2])
            return
        try:
            self._client.submit_transaction(operations)
        except HttpResponseError as error:
            creates = all(operation[0] in ("create", "upsert") for operation in operations)
            if error.status_code != _NOT_FOUND or not creates:
                raise
            self._create()
            self._client.submit_transaction(operations)


class _Session(KeptEnvironment):
    """A session with a connection for each thread; the client's own keeps ten, and warns.

    The client's requests are whole, and signed. So the session adds nothing of its own: no header,
    no cookie, nothing of .netrc.
    """

    def __init__(self) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS, max_retries=0))

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        prepared = requests.PreparedRequest()
        prepared.prepare(request.method, request.url, request.headers, request.files, request.data)
        return prepared


def update_unchanged(read: Any, new: Entity) -> Operation:
    """Replace the entity `read` by `new`; the commit fails if somebody wrote to it since."""
    return "update", new, {**_unchanged(read), "mode": UpdateMode.REPLACE}


def merge(entity: Entity) -> Operation:
    """Write the properties that the entity names; the commit fails if there is no such entity."""
    return "update", entity, {"mode": UpdateMode.MERGE}


def delete_unchanged(read: Any) -> Operation:
    """Remove the entity `read`; the commit fails if somebody wrote to it since."""
    return "delete", read, _unchanged(read)


def _unchanged(read: Any) -> dict[str, Any]:
    return {"etag": read.metadata["etag"], "match_condition": MatchConditions.IfNotModified}


def _require_answer_of_the_service(error: ResourceNotFoundError) -> None:
    """Raise ValueError unless the service itself says that there is no such thing.

    A page of a proxy that says so must not make a monitor unknown.
    """
    if not getattr(error, "error_code", None):
        raise ValueError("a page") from error


@contextmanager
def reading() -> Iterator[None]:
    """Turn what goes wrong with an answer that makes no sense into `StoreUnavailable`.

    Such as the page of a proxy, or an entity without its properties. The error quotes none of it.
    """
    try:
        yield
    except _UNREADABLE as error:
        what = f"Table storage gave an answer that can't be read: {type(error).__name__}"
        raise StoreUnavailable(what) from error


@contextmanager
def _errors() -> Iterator[None]:
    """Turn the client's errors into `StoreUnavailable`, without the request that they quote."""
    try:
        with reading():
            yield
    except HttpResponseError as error:
        code = getattr(error, "error_code", None) or error.reason or "no reason given"
        raise StoreUnavailable(f"Table storage refused: {error.status_code} {code}") from error
    except AzureError as error:
        raise StoreUnavailable(f"Table storage can't be reached: {type(error).__name__}") from error
