"""The names that go over the wire: of functions, events and instances.

Always pass these: `call_activity(get_job_status)` would send the Python name.
"""

JOB_MONITORING = "JobMonitoring"
PERIODIC_CLEANUP = "PeriodicCleanup"
SOURCE_SWEEP = "SourceSweep"
DELIVERY = "Delivery"

GET_JOB_STATUS = "GetJobStatus"
RECORD_FINAL_STATUS = "RecordFinalStatus"
CANCEL_JOB = "CancelJob"
DO_CLEANUP = "DoCleanup"
SWEEP_SOURCE = "SweepSource"
SWEEP_JOBS = "SweepJobs"
DELIVER_NOTICES = "DeliverNotices"

HINT = "Hint"
"""External event: "look now". It carries no data; the poll is the truth."""

NOTICES = "Notices"
"""External event for a `Delivery`: "notices wait". It carries no data."""

CLEANUP_INSTANCE = "periodic-cleanup"
"""The one instance id of PeriodicCleanup. No monitor id lacks a dot or a tilde."""

_SWEEP_INSTANCE = "sweep-"


def sweep_instance(source: str) -> str:
    """The one instance id of the SourceSweep of a source; no monitor id, for the same reason."""
    return _SWEEP_INSTANCE + source


def swept_source(instance_id: str) -> str | None:
    """The source whose SourceSweep has this instance id; None for every other id."""
    source = instance_id.removeprefix(_SWEEP_INSTANCE)
    return source if source != instance_id else None


def delivery_instance(channel: str) -> str:
    """The one instance id of the `Delivery` of a channel; no monitor id lacks a dot or a tilde."""
    return f"delivery-{channel}"
