"""`GET /api/ui`: the page for people. `GET /api/ui/{file}`: the files that it consists of.

The page is for everybody, and shows nothing by itself: all that it shows comes from the other
routes, which ask for a key or a role. The headers let it load and call nothing but this app, and
let no other page put it into a frame.
"""

from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from adapters.page_files import page_files
from triggers.answers import answers_problems, problem
from triggers.operation import Answer, operation
from triggers.requests import refuse_unknown

bp = df.Blueprint()

_INDEX = "index.html"
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # A browser keeps the files, and asks each time whether they are still the same.
    "Cache-Control": "no-cache",
}
_SENT = ["ETag", "Content-Security-Policy"]


@operation(
    {
        200: Answer("The page.", str, _SENT, "text/html"),
        304: Answer("The caller has it.", None, ["ETag"]),
        308: Answer("The page is at the URL without the slash.", None, ["Location"]),
    },
    problems=(400,),
)
@bp.function_name("Page")
@bp.route(route="ui", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_problems
async def page(req: func.HttpRequest) -> func.HttpResponse:
    """Serve the page for people. Everybody may ask; it shows no data by itself."""
    refuse_unknown(req)
    if req.url.partition("?")[0].endswith("/"):
        # The page names its files relative to its own URL, since the prefix is the host's matter.
        return func.HttpResponse(
            status_code=HTTPStatus.PERMANENT_REDIRECT, headers={**_HEADERS, "Location": "../ui"}
        )
    return _file(req, _INDEX)


@operation(
    {
        200: Answer("The file.", str, _SENT, "text/*"),
        304: Answer("The caller has it.", None, ["ETag"]),
        404: "The page has no such file.",
    },
    problems=(400,),
)
@bp.function_name("PageFile")
@bp.route(route="ui/{file}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_problems
async def page_file(req: func.HttpRequest) -> func.HttpResponse:
    """Serve a file that the page consists of. Everybody may ask."""
    refuse_unknown(req)
    return _file(req, req.route_params["file"])


def _file(req: func.HttpRequest, name: str) -> func.HttpResponse:
    file = page_files().get(name)
    if file is None:
        return problem(HTTPStatus.NOT_FOUND, "The page has no such file.")
    headers = {**_HEADERS, "ETag": file.etag}
    if file.etag in _tags(req):
        return func.HttpResponse(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return func.HttpResponse(
        file.body, status_code=HTTPStatus.OK, headers=headers, mimetype=file.media_type
    )


def _tags(req: func.HttpRequest) -> set[str]:
    """The tags of the copies that the caller has; a proxy may have made them weak."""
    told = req.headers.get("If-None-Match", "")
    return {tag.strip().removeprefix("W/") for tag in told.split(",")}
