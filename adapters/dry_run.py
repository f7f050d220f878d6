"""A dry run of a source: one poll, with all that led to its outcome; starts and stores nothing.

    python -m adapters.dry_run SOURCE JOB_ID

does it without a host, with the settings of the environment and of local.settings.json. It ends
with 0 if the outcome says something of the job, else with 1.
"""

import argparse
import json
import sys
from datetime import datetime
from typing import Any

from adapters.job_api import JobApi, Look
from adapters.local_settings import take_local_settings
from adapters.services import get_services
from domain.errors import Faults
from domain.outcome import Outcome
from domain.sources.answer import clean, text_of
from domain.sources.poll import Found
from domain.sources.source import Source

_ANSWER_SHOWN = 4_096  # characters
_VALUE_SHOWN = 256
_MASK = "***"


def dry_run(jobs: JobApi, source: Source, job_id: str, now: datetime) -> dict[str, Any]:
    """Poll once and tell everything about it, secrets masked.

    Returns:
        - `request`: method, url, headers.
        - `answer`: httpStatus, headers, body, and `repaired` if the body had to be repaired to be
          read; null if no answer came.
        - `rules`: the kind of the answer, and the rule that decided it.
        - `selected`: for each expression its text, `sees` (what it was given: body or answer), the
          value that it gave, and if that is no use, the `fault`.
        - `decidedBy`: the list or rule that gave the outcome.
        - `poll`: as GetJobStatus has it.

    Raises:
        InvalidInput: The job id has not the parts that ids have there.
        ValueError: It is empty, `.` or `..`.
    """
    look = jobs.look(source, job_id, now)
    request = source.status_request(job_id)
    asked, reading = look.asked, look.reading
    return {
        "source": source.name,
        "request": {
            "method": request.method,
            "url": asked.redact(request.url),
            "headers": {
                **{name: asked.redact(value) for name, value in request.headers.items()},
                **dict.fromkeys(asked.auth_headers(), _MASK),
            },
        },
        "answer": _answer(look),
        "rules": reading and {"kind": reading.ruling.kind, "rule": reading.ruling.rule},
        "selected": {each.key: _selected(asked, each) for each in reading.found} if reading else {},
        "decidedBy": reading.decided_by if reading else look.poll.detail,
        "poll": look.poll.to_wire(),
    }


def _answer(look: Look) -> dict[str, Any] | None:
    if look.answer is None:
        return None
    headers = {name.lower(): value for name, value in look.answer.headers.items()}
    flaw = look.answer.content.flaw
    return {
        "httpStatus": look.answer.http_status,
        "headers": {name: clean(look.asked, headers[name], _VALUE_SHOWN) for name in headers},
        "body": clean(look.asked, text_of(look.answer.body), _ANSWER_SHOWN),
        **({"repaired": f"the body {flaw}"} if flaw else {}),
    }


def _selected(source: Source, found: Found) -> dict[str, str | None]:
    """An expression, the document that it was given, and the value that it gave."""
    none = found.given is None
    return {
        "expression": found.expression.text,
        "sees": "answer" if found.expression.of_answer else "body",
        "value": None if none else clean(source, json.dumps(found.given), _VALUE_SHOWN),
        **({"fault": found.fault} if found.fault else {}),
    }


def main() -> int:
    """Print a dry run as JSON."""
    parser = argparse.ArgumentParser(prog="python -m adapters.dry_run")
    parser.add_argument("source")
    parser.add_argument("job_id")
    arguments = parser.parse_args()
    take_local_settings()
    try:
        services = get_services()
        source = services.sources.get(arguments.source)
        shown = dry_run(services.jobs, source, arguments.job_id, services.now())
    except Faults as error:
        for fault in error.faults:
            print(f"{fault.where}: {fault.what}", file=sys.stderr)  # noqa: T201
        return 1
    except ValueError as error:
        print(f"{arguments.job_id}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(json.dumps(shown, indent=2))  # noqa: T201
    outcome = Outcome(shown["poll"]["outcome"])
    return 1 if outcome.unseen or outcome is Outcome.UNRECOGNISED else 0


if __name__ == "__main__":
    sys.exit(main())
