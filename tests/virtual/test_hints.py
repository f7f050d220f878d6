"""Hints by the job's own id, as the recipes of docs/notices.md send them; and their senders.

The app has real presets. The stub behind them answers as the job system, and each recipe sends what
the real system sends.
"""

import hashlib
import hmac
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
import requests

from adapters.services import get_services
from domain.monitors.monitor_id import monitor_id
from tests.app.loading import ROOT
from tests.app.test_access import principal
from tests.virtual.conftest import Lab

# The SDK warns of every event that comes while nothing awaits it, as hints may.
pytestmark = pytest.mark.filterwarnings("ignore:Potential duplicate Task completion")

DOCS = (ROOT / "docs/notices.md").read_text(encoding="utf-8")
SECRET = "a-long-secret-of-a-webhook"  # noqa: S105
SOURCES = """
[sources.etl]
preset = "airflow-2-dags"
parameters = {{ url = "{url}", username = "u", password = "p" }}

[sources.ci]
preset = "github-actions"
parameters = {{ owner = "octo", repo = "app", token = "t", url = "{url}" }}
hint.secrets = ["{secret}"]

[sources.sales]
preset = "azure-data-factory"
auth.kind = "none"
parameters = {{ subscription = "s", resource_group = "g", factory = "f", management = "{url}" }}

[sources.training]
preset = "azure-machine-learning"
auth.kind = "none"
parameters = {{ subscription = "s", resource_group = "g", workspace = "w", management = "{url}" }}
"""


@pytest.fixture
def systems(lab: Lab) -> Lab:
    """The lab with sources that have presets."""
    with Path(os.environ["JOB_SOURCES_FILE"]).open("a", encoding="utf-8") as file:
        file.write(SOURCES.format(url=lab.source.url, secret=SECRET))
    get_services.cache_clear()
    return lab


def recipe(name: str) -> str:
    found = re.search(rf"```python\n# {name}\n(.*?)```", DOCS, re.DOTALL)
    assert found
    return found[1]


def by_airflow(lab: Lab, run: str) -> requests.Response:
    """Call the callback of the recipe as Airflow does; its answer."""
    answers: list[requests.Response] = []

    def post(url: str, **options: Any) -> None:
        answers.append(requests.post(url, **options))  # noqa: S113  the recipe has a timeout

    scope: dict[str, Any] = {}
    exec(recipe("airflow"), scope)  # noqa: S102  the recipe is run as its readers run it
    scope["requests"] = SimpleNamespace(post=post)
    os.environ["JOB_MONITOR_HINT_URL"] = f"{lab.host.url}/api/sources/etl/hint"
    os.environ["JOB_MONITOR_KEY"] = "key"
    scope["hint"]({"dag_run": SimpleNamespace(dag_id="etl", run_id=run)})
    return answers[0]


def by_data_factory(lab: Lab, run: str) -> requests.Response:
    """Do what the Web activity of the recipe does."""
    found = re.search(r"```json\n(\{\n  \"name\": \"Hint\".*?)```", DOCS, re.DOTALL)
    assert found
    asks = json.loads(found[1])["typeProperties"]
    assert (asks["method"], asks["body"]) == ("POST", "@activity('Work').output")
    output = {"pipelineName": "work", "pipelineRunId": run}
    path = asks["url"].removeprefix("https://APP")
    return lab.api.call("POST", path, json=output)


def github_event(run: str) -> bytes:
    owner = {"login": "octo"}
    event = {
        "action": "completed",
        "workflow_run": {"id": int(run), "status": "completed", "conclusion": "success"},
        "repository": {"name": "app", "full_name": "octo/app", "owner": owner},
        "sender": owner,
    }
    return json.dumps(event).encode()


def by_github(
    lab: Lab, run: str, *, form: bool = False, signature: str | None = None
) -> requests.Response:
    """Send a webhook as GitHub does."""
    body = github_event(run)
    kind = "application/json"
    if form:
        body = urlencode({"payload": body.decode()}).encode()
        kind = "application/x-www-form-urlencoded"
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    sent = {
        "Content-Type": kind,
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Event": "workflow_run",
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-Hub-Signature-256": f"sha256={digest}" if signature is None else signature,
    }
    return lab.api.call("POST", "/api/hints/ci", data=body, headers=sent)


def by_event_grid(lab: Lab, run: str) -> requests.Response:
    """Send a batch as Event Grid does in its own schema."""
    event = {
        "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices",
        "eventType": "Microsoft.MachineLearningServices.RunCompleted",
        "subject": f"experiments/e/runs/{run}",
        "eventTime": "2026-01-31T08:00:00.0000000Z",
        "id": "831e1650-001e-001b-66ab-eeb76e069631",
        "data": {"experimentName": "e", "runId": run, "runType": "azureml.commandjob"},
        "dataVersion": "",
        "metadataVersion": "1",
    }
    headers = {"aeg-event-type": "Notification", "aeg-subscription-name": "TRAINING"}
    path = "/api/sources/training/hint?code=key"
    return lab.api.call("POST", path, json=[event], headers=headers)


class System(NamedTuple):
    """A job system, a job of it, and the recipe of its hints.

    Attributes:
        source: The name of the source.
        job_id: The job, as a start names it.
        place: Where the stub looks for its orders.
        running: The answer for a job that runs.
        done: The answer for one that succeeded.
        send: The recipe.
        run: The job, as the recipe names it.
    """

    source: str
    job_id: str
    place: str
    running: dict[str, Any]
    done: dict[str, Any]
    send: Callable[[Lab, str], requests.Response]
    run: str


RUN = "manual__2026-01-31T08:00:00+00:00 of Ann/1"
SYSTEMS = {
    "airflow": System(
        "etl",
        f"etl/{RUN.replace('/', '%2F')}",
        "v1",
        {"state": "running"},
        {"state": "success"},
        by_airflow,
        RUN,
    ),
    "data-factory": System(
        "sales",
        "2f26be35-C112-43fa",
        "s",
        {"status": "InProgress"},
        {"status": "Succeeded"},
        by_data_factory,
        "2f26be35-C112-43fa",
    ),
    "github": System(
        "ci",
        "30433642",
        "octo",
        {"status": "in_progress", "conclusion": None},
        {"status": "completed", "conclusion": "success"},
        by_github,
        "30433642",
    ),
    "event-grid": System(
        "training",
        "AutoML_ad912b2d",
        "s",
        {"properties": {"status": "Running"}},
        {"properties": {"status": "Completed"}},
        by_event_grid,
        "AutoML_ad912b2d",
    ),
}


def watched(lab: Lab, system: System) -> str:
    """Start a watch of the system's job that polls once an hour; its id once it has polled."""
    lab.source.behave(system.place, system.running)
    body = {"source": system.source, "jobId": system.job_id, "pollIntervalSeconds": 3600}
    id_: str = lab.api.start(**body)["id"]
    lab.host.run_until(lambda: lab.row(id_).polls == 1)
    return id_


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_recipe_brings_the_poll_forward(systems: Lab, name: str) -> None:
    lab, system = systems, SYSTEMS[name]
    id_ = watched(lab, system)
    assert id_ == monitor_id(system.source, system.job_id)
    begin = lab.host.now
    lab.source.behave(system.place, system.done)
    answer = system.send(lab, system.run)
    assert (answer.status_code, answer.json()) == (
        202,
        {"hinted": [id_], "ended": [], "unwatched": []},
    )
    lab.host.run_until(lambda: lab.row(id_).state.final)
    assert lab.row(id_).state == "Succeeded"
    assert (lab.host.now - begin).total_seconds() < 60
    again = system.send(lab, system.run)
    assert (again.status_code, again.json()["ended"]) == (200, [id_])


def test_an_event_about_a_job_that_nobody_watches_is_no_failure(systems: Lab) -> None:
    """Or GitHub marks the delivery as failed, and Event Grid sends the event again."""
    for system in SYSTEMS.values():
        answer = system.send(systems, system.run)
        assert (answer.status_code, answer.json()) == (
            200,
            {"hinted": [], "ended": [], "unwatched": [system.job_id]},
        )


def test_a_job_that_a_caller_names_must_be_watched(systems: Lab) -> None:
    path = "/api/sources/demo/hint"
    for options in ({"params": {"jobId": "nobody"}}, {"json": {"jobId": "nobody"}}):
        assert systems.api.call("POST", path, **options).status_code == 404


def test_a_hint_names_a_job_by_any_id(lab: Lab) -> None:
    path = "/api/sources/demo/hint"
    for job_id in ("Run:1", "a b", "x/../y", "\u00fc&=#?", "r" * 1_000):
        lab.source.behave(job_id, {"status": "processing"})
        started = lab.api.start(jobId=job_id, pollIntervalSeconds=3600)
        for options in ({"params": {"jobId": job_id}}, {"json": {"jobId": job_id}}):
            answer = lab.api.call("POST", path, **options)
            assert answer.json() == {"hinted": [started["id"]], "ended": [], "unwatched": []}


def test_an_id_with_parts_may_come_in_parts(systems: Lab) -> None:
    id_ = watched(systems, SYSTEMS["airflow"])
    body = {"jobId": {"dag": "etl", "run": RUN}}
    answer = systems.api.call("POST", "/api/sources/etl/hint", json=body)
    assert answer.json()["hinted"] == [id_]


REFUSED: list[tuple[str, dict[str, Any], int, str | None]] = [
    ("demo/hint", {}, 400, "body"),
    ("demo/hint", {"data": b"{"}, 400, "body"),
    ("demo/hint", {"json": {"id": "a"}}, 400, "jobId"),
    ("demo/hint?jobId=..", {}, 400, "jobId"),
    ("demo/hint?job=a", {}, 400, "job"),
    ("etl/hint?jobId=a", {}, 400, "jobId"),
    ("etl/hint", {"json": {"jobId": {"dag": "a"}}}, 400, "jobId"),
    ("none/hint?jobId=a", {}, 404, None),
    ("sales/hint", {"json": [{"runId": i} for i in range(101)]}, 400, "body"),
    ("sales/hint", {"data": b" " * ((1 << 20) + 1)}, 413, None),
    ("/api/hints/none", {"json": {"id": 1}}, 401, None),
    ("/api/hints/demo", {"json": {"id": 1}}, 401, None),
    ("/api/hints/ci", {"json": {"id": 1}}, 401, None),
]


def test_a_hint_that_cannot_be_taken(systems: Lab) -> None:
    for path, options, status, field in REFUSED:
        url = path if path.startswith("/") else f"/api/sources/{path}"
        answer = systems.api.call("POST", url, **options)
        assert answer.status_code == status, path
        named = [each["field"] for each in answer.json()["errors"]]
        assert named == ([field] if field else [])


def test_a_form_of_github_is_read(systems: Lab) -> None:
    id_ = watched(systems, SYSTEMS["github"])
    assert by_github(systems, "30433642", form=True).json()["hinted"] == [id_]


def test_other_events_of_github_are_about_no_job(systems: Lab) -> None:
    ping = json.dumps({"zen": "Design for failure.", "hook_id": 1}).encode()
    digest = hmac.new(SECRET.encode(), ping, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={digest}", "Content-Type": "application/json"}
    answer = systems.api.call("POST", "/api/hints/ci", data=ping, headers=headers)
    assert (answer.status_code, answer.json()["unwatched"]) == (200, [])


def test_a_wrong_signature_is_refused_on_both_routes(systems: Lab) -> None:
    path = "/api/sources/ci/hint"
    for wrong in ("sha256=" + "0" * 64, "", "sha1=x", "sha256=\u00e9"):
        refused = by_github(systems, "30433642", signature=wrong)
        detail = "The signature is missing or wrong."
        assert (refused.status_code, refused.json()["detail"]) == (401, detail)
        headers = {"X-Hub-Signature-256": wrong}
        sent = systems.api.call("POST", path, data=github_event("1"), headers=headers)
        assert sent.status_code == 401
    assert systems.api.call("POST", path, data=github_event("1")).status_code == 200


def test_a_signed_hint_needs_no_role(systems: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH", "entra")
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    assert by_github(systems, "30433642").status_code == 200
    path = "/api/sources/sales/hint"
    assert systems.api.call("POST", path, json={"runId": "a"}).status_code == 401
    headers = principal("start") | {"Authorization": "Bearer x"}
    assert systems.api.call("POST", path, json={"runId": "a"}, headers=headers).ok


def test_event_grid_validates_a_subscription_of_its_own_schema(systems: Lab) -> None:
    event = {
        "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
        "topic": "/subscriptions/s",
        "subject": "",
        "data": {"validationCode": "512d38b6", "validationUrl": "https://rp.example/validate"},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-01-25T22:12:19.4556811Z",
        "metadataVersion": "1",
        "dataVersion": "1",
    }
    headers = {"aeg-event-type": "SubscriptionValidation"}
    path = "/api/sources/training/hint?code=key"
    answer = systems.api.call("POST", path, json=[event], headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})


def test_event_grid_validates_a_subscription_of_cloud_events(systems: Lab) -> None:
    headers = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
    path = "/api/sources/training/hint"
    answer = systems.api.call("OPTIONS", path, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"
    assert systems.api.call("OPTIONS", path).status_code == 400
    assert systems.api.call("OPTIONS", "/api/sources/no/hint", headers=headers).status_code == 404


def test_cloud_events_of_event_grid_are_read(systems: Lab) -> None:
    id_ = watched(systems, SYSTEMS["event-grid"])
    event = {
        "source": "/subscriptions/s",
        "subject": "experiments/e/runs/AutoML_ad912b2d",
        "type": "Microsoft.MachineLearningServices.RunCompleted",
        "time": "2026-01-31T08:00:00Z",
        "id": "831e1650-001e-001b-66ab-eeb76e069631",
        "data": {"runId": "AutoML_ad912b2d"},
        "specversion": "1.0",
    }
    headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    answer = systems.api.call(
        "POST", "/api/sources/training/hint", data=json.dumps(event), headers=headers
    )
    assert answer.json()["hinted"] == [id_]
