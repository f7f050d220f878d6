"""The names that go over the wire: of functions, events and instances.

Always pass these: `call_activity(get_job_status)` would send the Python name.
"""

JOB_MONITORING = "JobMonitoring"
PERIODIC_CLEANUP = "PeriodicCleanup"

GET_JOB_STATUS = "GetJobStatus"
RECORD_FINAL_STATUS = "RecordFinalStatus"
CANCEL_JOB = "CancelJob"
DO_CLEANUP = "DoCleanup"

HINT = "Hint"
"""External event: "look now". It carries no data; the poll is the truth."""

CLEANUP_INSTANCE = "periodic-cleanup"
"""The one instance id of PeriodicCleanup. No monitor id lacks a dot or a tilde."""
