"""The shape of a monitor with a poll that asks nobody. The rest is the host's own cost."""

# mypy: disable-error-code="untyped-decorator, index, attr-defined"
# The SDK's decorators and contexts have no types of any use.

import time
from datetime import datetime, timedelta

import azure.durable_functions as df

app = df.DFApp()
late: list[float] = []
"""Seconds by which each poll came after its time, by the machine's clock."""


@app.orchestration_trigger(context_name="context")
def watch(context: df.DurableOrchestrationContext):  # type: ignore[no-untyped-def]
    state = context.get_input()
    context.set_custom_status({"polls": state["polls"]})
    due = datetime.fromisoformat(state["due"])
    timer = context.create_timer(due)
    hint = context.wait_for_external_event("Hint")
    yield context.task_any([timer, hint])
    if not timer.is_completed:
        timer.cancel()
    yield context.call_activity("poll", state["due"])
    due = max(due, context.current_utc_datetime) + timedelta(seconds=state["interval"])
    context.continue_as_new(
        {"polls": state["polls"] + 1, "interval": state["interval"], "due": due.isoformat()}
    )


@app.activity_trigger(input_name="due")
def poll(due: str) -> dict[str, str]:
    late.append(time.time() - datetime.fromisoformat(due).timestamp())
    return {"outcome": "running"}
