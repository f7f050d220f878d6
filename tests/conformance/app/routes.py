"""HTTP functions for the routing, and a timer function."""
# mypy: disallow-untyped-decorators=False
# ruff: noqa: INP001 - a function app's folder is no package

import json
import time

import azure.durable_functions as df
import azure.functions as func

bp = df.Blueprint(http_auth_level=func.AuthLevel.ANONYMOUS)

_ticks: list[str] = []


def _show(req: func.HttpRequest, function: str) -> func.HttpResponse:
    shown = {
        "function": function,
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "header": req.headers.get("X-Test"),
        "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(shown), mimetype="application/json")


@bp.function_name("DefaultRoute")
@bp.route()
def default_route(req: func.HttpRequest) -> func.HttpResponse:
    """A function without route and methods: its name is the route, any verb will do."""
    return _show(req, "DefaultRoute")


@bp.function_name("GetOnly")
@bp.route(route="verbs/get", methods=["GET"])
def get_only(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req, "GetOnly")


@bp.function_name("HeadToo")
@bp.route(route="verbs/head", methods=["GET", "HEAD"])
def head_too(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req, "HeadToo")


@bp.function_name("GetThing")
@bp.route(route="things/{id}", methods=["GET"])
def get_thing(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req, "GetThing")


@bp.function_name("PutThing")
@bp.route(route="things/{id}", methods=["PUT"])
def put_thing(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req, "PutThing")


@bp.function_name("GetSpecialThing")
@bp.route(route="things/special", methods=["GET"])
def get_special_thing(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req, "GetSpecialThing")


@bp.function_name("AllThings")
@bp.route(route="things:all", methods=["GET"])
def all_things(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req, "AllThings")


@bp.function_name("Optional")
@bp.route(route="optional/{first}/{second?}", methods=["GET"])
def optional(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req, "Optional")


@bp.function_name("CatchAll")
@bp.route(route="files/{*path}", methods=["GET"])
def catch_all(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req, "CatchAll")


@bp.function_name("Constrained")
@bp.route(route="numbers/{number:int}", methods=["GET"])
def constrained(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req, "Constrained")


@bp.function_name("MixedCase")
@bp.route(route="Mixed/Case", methods=["GET"])
def mixed_case(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req, "MixedCase")


@bp.function_name("Answers")
@bp.route(route="answers/{kind}", methods=["GET"])
async def answers(req: func.HttpRequest) -> func.HttpResponse:
    """Answer in one of the ways there are, right and wrong."""
    match req.route_params["kind"]:
        case "text":
            return "plain text: ä"  # type: ignore[return-value] # the worker takes it
        case "nothing":
            return None  # type: ignore[return-value] # so does it nothing at all
        case "bytes":
            return func.HttpResponse(b"\x00\xff", mimetype="application/octet-stream")
        case "headers":
            headers = {"X-One": "1", "Location": "/elsewhere"}
            return func.HttpResponse(status_code=302, headers=headers)
        case "repeated":
            answer = func.HttpResponse("twice")
            answer.headers.add("X-Twice", "first")
            answer.headers.add("X-Twice", "second")
            return answer
        case "wrong":
            return {"not": "a response"}  # type: ignore[return-value] # but not this
        case "status":
            return func.HttpResponse("odd", status_code=int(req.params["code"]))
        case kind:
            raise ValueError(kind)


@bp.function_name("ReadBody")
@bp.route(route="body", methods=["POST"])
def read_body(req: func.HttpRequest) -> str:
    return str(len(req.get_body()))


@bp.function_name("Slow")
@bp.route(route="slow", methods=["GET"])
def slow(req: func.HttpRequest) -> str:
    """Block a thread for a while."""
    time.sleep(float(req.params["seconds"]))
    return "done"


@bp.function_name("TellContext")
@bp.route(route="context", methods=["GET"])
def tell_context(req: func.HttpRequest, context: func.Context) -> str:
    return f"{context.function_name} {bool(context.invocation_id)}"


@bp.function_name("Tick")
@bp.timer_trigger(arg_name="timer", schedule="%TICK_SCHEDULE%")
def tick(timer: func.TimerRequest) -> None:
    _ticks.append(f"past due: {timer.past_due}")


@bp.function_name("Ticks")
@bp.route(route="ticks", methods=["GET"])
def ticks(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(_ticks), mimetype="application/json")
