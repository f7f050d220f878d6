"""The app that the conformance tests drive: like any other, whatever the host.

`cases` holds what a single test needs, `samples` the well-known shapes of Durable Functions,
`routes` HTTP and timer triggers. The functions here give the tests the durable client.
"""
# mypy: disallow-untyped-decorators=False
# ruff: noqa: INP001 - a function app's folder is no package

import inspect
import json
from datetime import datetime
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import cases  # type: ignore[import-not-found] # the host puts this folder on the path
import routes  # type: ignore[import-not-found]
import samples  # type: ignore[import-not-found]

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for part in (cases, routes, samples):
    app.register_functions(part.bp)


@app.function_name("Start")
@app.route(route="start/{name}/{id?}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(
    req: func.HttpRequest, client: df.DurableOrchestrationClient, context: func.Context
) -> func.HttpResponse:
    """Start an orchestration by name, as published starters do."""
    body = req.get_body()
    id_ = await client.start_new(
        req.route_params["name"],
        instance_id=req.route_params.get("id"),
        client_input=json.loads(body) if body else None,
    )
    return client.create_check_status_response(req, id_)


@app.function_name("WaitFor")
@app.route(route="wait/{id}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def wait_for(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Wait for an instance as long as the query says."""
    return await client.wait_for_completion_or_create_check_status_response(
        req,
        req.route_params["id"],
        timeout_in_milliseconds=int(req.params.get("timeout", "5000")),
        retry_interval_in_milliseconds=int(req.params.get("interval", "20")),
    )


@app.function_name("UseClient")
@app.route(route="client/{method}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def use_client(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Call a method of the client; answer with what it returned or raised."""
    arguments = req.get_json()
    for name in ("created_time_from", "created_time_to"):
        if name in arguments:
            arguments[name] = datetime.fromisoformat(arguments[name])
    if "runtime_status" in arguments:
        arguments["runtime_status"] = [
            df.OrchestrationRuntimeStatus(name) for name in arguments["runtime_status"]
        ]
    if "entity" in arguments:
        arguments["entityId"] = df.EntityId(*arguments.pop("entity"))
    try:
        result = getattr(client, req.route_params["method"])(**arguments)
        if inspect.isawaitable(result):
            result = await result
    except Exception as error:  # noqa: BLE001 - the tests look at it
        answer = {"raised": f"{type(error).__name__}: {error}"}
    else:
        answer = {"returned": _plain(result)}
    return func.HttpResponse(json.dumps(answer), mimetype="application/json")


def _plain(result: Any) -> Any:
    if isinstance(result, list):
        return [_plain(item) for item in result]
    if hasattr(result, "instances_deleted"):
        return result.instances_deleted
    if hasattr(result, "runtime_status"):
        status = result.runtime_status
        return {
            "truthy": bool(result),
            "name": result.name,
            "instanceId": result.instance_id,
            "runtimeStatus": status and status.value,
            "input": result.input_,
            "output": result.output,
            "customStatus": result.custom_status,
            "createdTime": result.created_time and result.created_time.isoformat(),
            "historyEvents": getattr(result, "historyEvents", None),
        }
    return result
