"""The description of each route, declared beside its handler.

`operation` is the first decorator of a handler, and says what no other decorator does: the answers
by their status, and the models of query and body. Path, method and level are those of `bp.route`,
the role is that of `requires`, and the docstring is the summary with a description.
`triggers.describe` makes the description of the whole API from all of that.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import azure.functions as func

from domain.wire import WireModel


class Answer(NamedTuple):
    """An answer that a handler gives.

    Attributes:
        what: What it says, for people.
        body: The type of its body; None if it has none.
        headers: The headers that come with it, of those that `triggers.describe` knows.
        media: The type of its content.
    """

    what: str
    body: Any
    headers: Sequence[str] = ()
    media: str = "application/json"


class Operation(NamedTuple):
    """A route with its description.

    Attributes:
        function: The function as Azure Functions knows it.
        answers: The answers by their status. A text is a problem with a meaning of its own.
        problems: The statuses of all other problems, but for 401 and 403, which come with a role.
        query: The parameters of the query.
        body: The type of the request's body: a model, or `object` for the events of a job system;
            None if there is none.
        headers: The headers that it reads, of those that `triggers.describe` knows.
    """

    function: func.Function
    answers: Mapping[int, Answer | str]
    problems: Sequence[int]
    query: type[WireModel] | None
    body: Any
    headers: Sequence[str]


OPERATIONS: list[Operation] = []
"""The operations of all handlers that were imported."""


def operation(
    answers: Mapping[int, Answer | str],
    *,
    problems: Sequence[int],
    query: type[WireModel] | None = None,
    body: Any = None,
    headers: Sequence[str] = (),
) -> Callable[[Any], Any]:
    """Describe the route of a handler. The arguments are those of `Operation`."""

    def declare(builder: Any) -> Any:
        function = builder.build()  # which checks the function, and may be done again
        OPERATIONS.append(Operation(function, answers, problems, query, body, headers))
        return builder

    return declare
