"""Job Monitor: the function app. It is composed of blueprints here, and nothing else."""

import azure.durable_functions as df

from activities import (
    cancel_job,
    deliver_notices,
    do_cleanup,
    get_job_status,
    record_final_status,
    sweep_jobs,
    sweep_source,
)
from orchestrators import delivery, job_monitoring, periodic_cleanup, source_sweep
from triggers import (
    access,
    change_monitor,
    channels,
    counts,
    get_monitor,
    health,
    hints,
    housekeeping,
    list_monitors,
    me,
    notify_monitor,
    openapi,
    page,
    restart_monitor,
    sources,
    start_batch,
    start_cleanup,
    start_monitor,
    stop_monitor,
    watchdog,
)

app = df.DFApp(http_auth_level=access.route_level())

for part in (
    start_monitor,
    start_batch,
    get_monitor,
    list_monitors,
    notify_monitor,
    change_monitor,
    stop_monitor,
    restart_monitor,
    sources,
    hints,
    channels,
    counts,
    start_cleanup,
    housekeeping,
    watchdog,
    health,
    openapi,
    page,
    me,
    job_monitoring,
    periodic_cleanup,
    source_sweep,
    delivery,
    get_job_status,
    cancel_job,
    record_final_status,
    do_cleanup,
    sweep_source,
    sweep_jobs,
    deliver_notices,
):
    app.register_functions(part.bp)
