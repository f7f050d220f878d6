"""`Delivery`: look at the notices that wait for a channel, sleep, continue as new, for ever.

One instance runs for a channel, under a fixed instance id. A generation, from its input to
continue-as-new:

1. Wait until the time of the next look, an hour at the most, or for the event `Notices`, which
   those send who wrote a notice.
2. Call `DeliverNotices`. The look stands between the wait and continue-as-new, as the poll does in
   `JobMonitoring`, for the same reason.
3. After the event, look once more two seconds later: those who write many notices at once send the
   event once a second.

A look that fails is tried again a minute later. The loop ends when the channel is not configured
any more and nothing waits for it.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from azure.durable_functions.models.Task import TaskBase

from domain import names
from domain.notices.delivery import IDLE, DeliveryProgress

bp = df.Blueprint()

_ONCE_MORE, _AFTER_A_FAILURE = timedelta(seconds=2), timedelta(minutes=1)


@bp.function_name(names.DELIVERY)
@bp.orchestration_trigger(context_name="context")
def delivery(context: df.DurableOrchestrationContext) -> Generator[TaskBase, Any, None]:
    """Run one generation. The input is a `DeliveryProgress` as JSON."""
    progress = DeliveryProgress.model_validate(context.get_input())
    if context.instance_id != names.delivery_instance(progress.channel):
        return  # a copy, as `restartPostUri` makes one
    context.set_custom_status(progress.custom_status())
    now = context.current_utc_datetime
    due: Any = context.create_timer(min(progress.look_at or now + IDLE, now + IDLE))
    woken = context.wait_for_external_event(names.NOTICES)
    yield context.task_any([due, woken])
    if not due.is_completed:
        due.cancel()
    try:
        done = yield context.call_activity(names.DELIVER_NOTICES, progress.to_wire())
        progress = DeliveryProgress.model_validate(done)
    except Exception as error:  # noqa: BLE001 - an activity's error arrives as this alone
        soon = context.current_utc_datetime + _AFTER_A_FAILURE
        update = {"look_at": soon, "gone": False, "last_error": str(error)[:500]}
        progress = progress.model_copy(update=update)
    context.set_custom_status(progress.custom_status())
    if progress.gone and not woken.is_completed:
        return
    if woken.is_completed:
        soon = context.current_utc_datetime + _ONCE_MORE
        look_at = min(progress.look_at or soon, soon)
        progress = progress.model_copy(update={"look_at": look_at})
    context.continue_as_new(progress.to_wire())
