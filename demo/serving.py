"""A server of the standard library on a thread of its own, from `with` to its end."""

import threading
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Generic, Self, TypeVar

S = TypeVar("S", bound=ThreadingHTTPServer)


class Serving(Generic[S]):
    """Serves from `with` to its end; a class that has something to serve inherits it."""

    def __init__(self, server: S, look_every: float = 0.5) -> None:
        """Take the server, and how often it looks whether to end, in seconds."""
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(look_every,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._let_go()
        self._server.server_close()
        self._thread.join()

    def _let_go(self) -> None:
        """End what its handlers wait for; the server may wait for them to end."""
