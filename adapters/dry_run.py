"""A dry run of a source: one poll, with all that led to its outcome; starts and stores nothing.

    python -m adapters.dry_run SOURCE JOB_ID

does it without a host, with the settings of the environment and of local.settings.json. It ends
with 0 if the outcome says something of the job, else with 1.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from adapters.job_api import JobApi
from adapters.services import get_services
from domain.errors import Faults
from domain.outcome import Outcome
from domain.sources.answer import clean, read_json
from domain.sources.source import Source

_ANSWER_SHOWN = 4_096  # characters
_VALUE_SHOWN = 256
_MASK = "***"


def dry_run(jobs: JobApi, source: Source, job_id: str, now: Any) -> dict[str, Any]:
    """Poll once and tell everything about it, secrets masked.

    Returns:
        `request` (method, url, headers), `answer` (httpStatus, body; null if none came),
        `selected` (what each expression gave, or why it failed), `poll` (as GetJobStatus has it).

    Raises:
        ValueError: The job id is empty, `.` or `..`.
    """
    look = jobs.look(source, job_id, now)
    request = source.status_request(job_id)
    answer = look.answer and {
        "httpStatus": look.answer.http_status,
        "body": clean(look.asked, _text(look.answer.body), _ANSWER_SHOWN),
    }
    return {
        "source": source.name,
        "request": {
            "method": request.method,
            "url": look.asked.redact(request.url),
            "headers": {
                **{name: look.asked.redact(value) for name, value in request.headers.items()},
                **dict.fromkeys(look.asked.auth_headers(), _MASK),
            },
        },
        "answer": answer,
        "selected": _selected(look.asked, look.answer.body) if look.answer else {},
        "poll": look.poll.to_wire(),
    }


def _text(body: bytes | None) -> str:
    return "(over the limit)" if body is None else body.decode("utf-8", "replace")


def _selected(source: Source, body: bytes | None) -> dict[str, dict[str, str | None]]:
    """What each expression is, and what it gave."""
    status = source.status
    named = {"status": status.status, "progress": status.progress, "message": status.message}
    shown: dict[str, dict[str, str | None]] = {}
    for name, expression in named.items():
        if expression is None:
            continue
        try:
            value = json.dumps(expression.search(read_json(source, body)))
        except ValueError as error:
            shown[name] = {"expression": expression.text, "value": None, "fault": str(error)}
        else:
            shown[name] = {
                "expression": expression.text,
                "value": clean(source, value, _VALUE_SHOWN),
            }
    return shown


def main() -> int:
    """Print a dry run as JSON."""
    parser = argparse.ArgumentParser(prog="python -m adapters.dry_run")
    parser.add_argument("source")
    parser.add_argument("job_id")
    arguments = parser.parse_args()
    local = Path("local.settings.json")
    if local.exists():
        for name, value in json.loads(local.read_text(encoding="utf-8"))["Values"].items():
            os.environ.setdefault(name, value)  # noqa: TID251 - as the host does it
    try:
        services = get_services()
        source = services.sources.get(arguments.source)
    except Faults as error:
        for fault in error.faults:
            print(f"{fault.where}: {fault.what}", file=sys.stderr)  # noqa: T201
        return 1
    shown = dry_run(services.jobs, source, arguments.job_id, services.now())
    print(json.dumps(shown, indent=2))  # noqa: T201
    outcome = Outcome(shown["poll"]["outcome"])
    return 1 if outcome.unseen or outcome is Outcome.UNRECOGNISED else 0


if __name__ == "__main__":
    sys.exit(main())
