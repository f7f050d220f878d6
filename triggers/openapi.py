"""`GET /api/openapi.json`: the description of the API, for tools and generated clients.

Everybody may read it, as the source of this app: it shows no data and no configuration, but for
the kind of access.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import azure.durable_functions as df
import azure.functions as func

from triggers.access import uses_roles
from triggers.answers import answers_problems, json_answer
from triggers.describe import describe
from triggers.operation import OPERATIONS, Answer, operation
from triggers.requests import refuse_unknown

bp = df.Blueprint()

_FILE = "openapi.json"


@operation(
    {200: Answer("This document.", dict[str, Any])},
    problems=(400,),
)
@bp.function_name("OpenApi")
@bp.route(route=_FILE, methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_problems
async def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """Describe the API. Everybody may ask."""
    refuse_unknown(req)
    asked = urlsplit(req.url)
    origin = f"{asked.scheme}://{asked.netloc}"
    prefix = asked.path.rstrip("/")[: -len("/" + _FILE)]
    return json_answer(HTTPStatus.OK, describe(OPERATIONS, origin, prefix, entra=uses_roles()))
