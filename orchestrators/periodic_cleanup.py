"""`PeriodicCleanup`: clean, sleep for an hour, continue as new, for ever.

One instance runs in a task hub, under a fixed instance id. The hour counts from the end of a
cleanup, so two cleanups never overlap. A cleanup that failed is tried again an hour later.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from azure.durable_functions.models.Task import TaskBase

from domain import names
from domain.monitors.cleanup import INTERVAL, CleanupProgress

bp = df.Blueprint()

_SOON = timedelta(seconds=10)


@bp.function_name(names.PERIODIC_CLEANUP)
@bp.orchestration_trigger(context_name="context")
def periodic_cleanup(context: df.DurableOrchestrationContext) -> Generator[TaskBase, Any, None]:
    """Run one generation. The input is a `CleanupProgress` as JSON, or nothing at first."""
    if context.instance_id != names.CLEANUP_INSTANCE:
        return  # a copy, as `restartPostUri` makes one
    progress = CleanupProgress.model_validate(context.get_input() or {})
    context.set_custom_status(progress.to_wire())
    try:
        done = yield context.call_activity(names.DO_CLEANUP, progress.to_wire())
        progress = CleanupProgress.model_validate(done)
    except Exception as error:  # noqa: BLE001 - an activity's error arrives as this alone
        text = str(error)[:500]
        progress = progress.model_copy(update={"last_error": text, "more": False})
    context.set_custom_status(progress.to_wire())
    pause = _SOON if progress.more else INTERVAL
    yield context.create_timer(context.current_utc_datetime + pause)
    context.continue_as_new(progress.to_wire())
