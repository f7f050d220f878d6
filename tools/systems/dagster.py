"""Dagster: its webserver, which speaks GraphQL, and the code server that it starts.

There is no preset for it: the source shows that a system with GraphQL needs none.
"""

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.part import PartFailed
from tools.systems.installing import venv
from tools.systems.system import Jobs, Seen, Server, System

_JOB = Path(__file__).parent / "jobs/dagster_job.py"
_SOURCE = """
[sources.dagster.status]
method = "POST"
url = "${DAGSTER_URL}/graphql"
body.query = "query($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } } }"
body.variables.id = "{job_id}"
status = "data.runOrError.status"
not_found = "body.data.runOrError.__typename == 'RunNotFoundError'"

[sources.dagster.submit]
url = "${DAGSTER_URL}/graphql"
body.query = '''
mutation($job: ExecutionParams!) { launchRun(executionParams: $job) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
} }
'''
body.variables.job = "{job}"
ok = "body.data.launchRun.__typename == 'LaunchRunSuccess'"
job_id = "data.launchRun.run.runId"

[sources.dagster.cancel]
url = "${DAGSTER_URL}/graphql"
body.query = "mutation($id: String!) { terminateRun(runId: $id) { __typename } }"
body.variables.id = "{job_id}"
ok = "body.data.terminateRun.__typename == 'TerminateRunSuccess'"

[sources.dagster.outcomes]
running = ["QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "CANCELING"]
succeeded = ["SUCCESS"]
failed = ["FAILURE"]
cancelled = ["CANCELED"]
"""
_CONFIGURATION = """
telemetry:
  enabled: false
run_coordinator:
  module: dagster.core.run_coordinator
  class: DefaultRunCoordinator
"""
_SEE = """
query($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status endTime } } }
"""
_CANCEL = "mutation($id: String!) { terminateRun(runId: $id) { __typename } }"
_WHERE = (
    "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
)


class _Webserver(Server):
    name = "Dagster webserver"
    path = "/server_info"

    def command(self) -> list[str]:
        where = ("-h", "127.0.0.1", "-p", str(self.ports[0]))
        code = str(self.system.folder / _JOB.name)
        return [self.program("dagster-webserver"), *where, "-f", code]


class Dagster(System):
    """Dagster."""

    name = "dagster"
    source = _SOURCE
    at_work = "STARTED"
    cancelled = "CANCELED"
    unknown = "11111111-2222-3333-4444-555555555555"

    def install(self) -> None:
        self.programs = venv("dagster")

    def start(self, started: ExitStack) -> None:
        self.environment = {"DAGSTER_HOME": str(self.folder), "DAGSTER_DISABLE_TELEMETRY": "yes"}
        (self.folder / "dagster.yaml").write_text(_CONFIGURATION)
        shutil.copy(_JOB, self.folder)
        self.url = started.enter_context(_Webserver(self)).url

    def settings(self) -> Mapping[str, str]:
        return {"DAGSTER_URL": self.url}

    def version(self) -> str:
        return str(self.ask("GET", "/server_info")["dagster_version"])

    def jobs(self) -> Jobs:
        return Jobs(good=self._job(1), bad=self._job(1, fail=True), long=self._job(120))

    def see(self, job_id: str) -> Seen:
        run = self._query(_SEE, id=job_id)["runOrError"]
        end = run.get("endTime")
        return Seen(run["status"], datetime.fromtimestamp(end, UTC) if end else None)

    def cancel(self, job_id: str) -> None:
        self._query(_CANCEL, id=job_id)

    def _query(self, query: str, **variables: str) -> Any:
        answer = self.ask("POST", "/graphql", {"query": query, "variables": variables})
        if "errors" in answer:
            raise PartFailed(str(answer["errors"])[:500])
        return answer["data"]

    def _job(self, seconds: float, *, fail: bool = False) -> dict[str, Any]:
        [where] = self._query(_WHERE)["repositoriesOrError"]["nodes"]
        selector = {
            "repositoryLocationName": where["location"]["name"],
            "repositoryName": where["name"],
            "jobName": "work",
        }
        config = {"ops": {"wait": {"config": {"seconds": seconds, "fail": fail}}}}
        return {"selector": selector, "runConfigData": config}
