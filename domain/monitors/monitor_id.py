r"""The id of a monitor, derived from its source and job id.

It is the HTTP resource, the durable instance id and the key of the rows. Durable Functions
and Table storage refuse `/ \ # ?` and control characters; some backends compare ids without
regard to case; the SDK puts ids into URLs as they are. So:

- `SOURCE.JOBID` where the job id is of `a-z 0-9 . _ -`, at most 100 long, no dot first;
- `SOURCE~SLUG~HASH` otherwise: the readable part of the job id, and 128 bits of its SHA-256.

Two jobs never share an id: no source name holds a dot or a tilde, no readable id a tilde.
"""

import hashlib
import re

_READABLE = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,99}")
_ID = re.compile(r"[a-z][a-z0-9-]{0,31}[.~][a-z0-9._~-]{1,100}")
_SLUG_LENGTH = 40
_HASH_LENGTH = 32


def monitor_id(source: str, job_id: str) -> str:
    """The id of the monitor of a job; safe in URLs, instance ids and table keys."""
    if _READABLE.fullmatch(job_id):
        return f"{source}.{job_id}"
    slug = re.sub(r"[^a-z0-9]+", "-", job_id.lower()).strip("-")[:_SLUG_LENGTH]
    digest = hashlib.sha256(job_id.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{source}~{slug}~{digest}"


def is_monitor_id(text: str) -> bool:
    """Whether a text can be the id of a monitor."""
    return bool(_ID.fullmatch(text))
