"""The client of Job Monitor: sync, async, and the command `jobmon`.

from job_monitor import Client

with Client() as client:
started = client.start(source="demo", job={"workload": "primes", "seconds": 5})
monitor = client.wait(started.monitor.id)
"""

from job_monitor.async_client import AsyncClient
from job_monitor.client import Client
from job_monitor.connection import VERSION, Credential
from job_monitor.core.errors import (
    ApiError,
    Fault,
    JobMonitorError,
    NoAnswer,
    NotConfigured,
    SignInFailed,
)
from job_monitor.core.models import (
    Change,
    Check,
    LogLine,
    Monitor,
    Poll,
    Shown,
    Source,
    Sources,
    Start,
    Started,
    State,
    StopWish,
)

__version__ = VERSION

__all__ = [
    "ApiError",
    "AsyncClient",
    "Change",
    "Check",
    "Client",
    "Credential",
    "Fault",
    "JobMonitorError",
    "LogLine",
    "Monitor",
    "NoAnswer",
    "NotConfigured",
    "Poll",
    "Shown",
    "SignInFailed",
    "Source",
    "Sources",
    "Start",
    "Started",
    "State",
    "StopWish",
    "__version__",
]
