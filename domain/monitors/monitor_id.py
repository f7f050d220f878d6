r"""The id of a monitor, derived from its source and job id.

It is the HTTP resource, the durable instance id and the key of the rows. Durable Functions
and Table storage refuse `/ \ # ?` and control characters; some backends compare ids without
regard to case; the SDK puts ids into URLs as they are. So:

- `SOURCE.JOBID` where the job id is of `a-z 0-9 . _ -`, with no dot first, and the whole at most
  100 long: the SQL provider and the Durable Task Scheduler take no longer instance id;
- `SOURCE~SLUG~HASH` otherwise: the readable part of the job id, and 128 bits of its SHA-256.

Release 0.1 made ids of up to 133 characters. Monitors of that time keep theirs.

Two jobs never share an id: no source name holds a dot or a tilde, no readable id a tilde.
"""

import hashlib
import re

LONGEST = 100
_READABLE = re.compile(r"[a-z0-9_-][a-z0-9._-]*")
_READABLE_IN_0_1 = 100  # characters of the job id alone
PATTERN = "[a-z][a-z0-9-]{0,31}[.~][a-z0-9._~-]{1,100}"
"""Every id of a monitor, also of 0.1, matches this regular expression."""

_SLUG_LENGTH = 40
_HASH_LENGTH = 32


def monitor_id(source: str, job_id: str) -> str:
    """The id of the monitor of a job; safe in URLs, instance ids and table keys."""
    readable = f"{source}.{job_id}"
    if len(readable) <= LONGEST and _READABLE.fullmatch(job_id):
        return readable
    return _hashed(source, job_id, min(_SLUG_LENGTH, LONGEST - len(source) - _HASH_LENGTH - 2))


def earlier_id(source: str, job_id: str) -> str | None:
    """The id that release 0.1 gave the monitor of a job, if that was another.

    The monitor may still be there. A start looks for that one first, or one job has two (I1).
    """
    if len(job_id) <= _READABLE_IN_0_1 and _READABLE.fullmatch(job_id):
        known = f"{source}.{job_id}"
    else:
        known = _hashed(source, job_id, _SLUG_LENGTH)
    return known if known != monitor_id(source, job_id) else None


def _hashed(source: str, job_id: str, slug_length: int) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", job_id.lower()).strip("-")[:slug_length]
    digest = hashlib.sha256(job_id.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{source}~{slug}~{digest}"


def is_monitor_id(text: str) -> bool:
    """Whether a text can be the id of a monitor."""
    return bool(re.fullmatch(PATTERN, text))
