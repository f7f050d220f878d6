"""`GET /api/me`: who asks, and what the caller may do."""

from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from domain.wire import WireModel
from triggers.access import Role, caller, requires, roles_of
from triggers.answers import answers_problems, json_answer
from triggers.operation import Answer, operation
from triggers.requests import refuse_unknown

bp = df.Blueprint()


class Me(WireModel):
    """The caller.

    Attributes:
        name: The name of the principal; `key` where the host asked for a key.
        roles: What the caller may do; all of it with a key.
    """

    name: str
    roles: list[Role]


@operation({200: Answer("The caller.", Me)}, problems=(400, 503))
@bp.function_name("Me")
@bp.route(route="me", methods=["GET"])
@answers_problems
@requires(Role.READ)
async def me(req: func.HttpRequest) -> func.HttpResponse:
    """Say who asks, and what the caller may do."""
    refuse_unknown(req)
    return json_answer(HTTPStatus.OK, Me(name=caller(req), roles=sorted(roles_of(req))))
