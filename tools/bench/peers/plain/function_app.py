"""The plain orchestrator that the app began with: timer, activity, continue-as-new. No promises.

`JOBS_URL` is the job system, `ENDS` the file that stands for the database of results.
"""

# mypy: disable-error-code="untyped-decorator, index, attr-defined"
# The SDK's decorators and contexts have no types of any use.

import os
import time
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
import requests

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def watch(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
    job = context.get_input()
    status = yield context.call_activity("poll", job["id"])
    if status == "completed":
        yield context.call_activity("store", job["id"])
        return
    interval = timedelta(seconds=job["interval"])
    yield context.create_timer(context.current_utc_datetime + interval)
    context.continue_as_new(job)


@app.activity_trigger(input_name="job")
def poll(job: str) -> str:
    answer = requests.get(f"{os.environ['JOBS_URL']}/jobs/{job}", timeout=10)
    return str(answer.json()["status"])


@app.activity_trigger(input_name="job")
def store(job: str) -> None:
    with Path(os.environ["ENDS"]).open("a") as ends:
        ends.write(f"{job} {time.time()}\n")
