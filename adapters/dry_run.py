"""A dry run of a source: one poll, with all that led to its outcome; starts and stores nothing.

    python -m adapters.dry_run SOURCE JOB_ID

does it without a host, with the settings of the environment and of local.settings.json. It ends
with 0 if the outcome says something of the job, else with 1.
"""

import argparse
import json
import sys
from datetime import datetime
from typing import Literal

from adapters.job_api import JobApi, Look
from adapters.local_settings import take_local_settings
from adapters.services import get_services
from domain.errors import Faults
from domain.outcome import Outcome, Poll
from domain.sources.answer import clean, text_of
from domain.sources.poll import Found
from domain.sources.source import Source
from domain.wire import WireModel, left_out

_ANSWER_SHOWN = 4_096  # characters
_VALUE_SHOWN = 256
_MASK = "***"


class SentRequest(WireModel):
    """The request of a poll, secrets masked."""

    method: str
    url: str
    headers: dict[str, str]


class SourceAnswer(WireModel):
    """The source's answer, secrets masked, long texts cut.

    Attributes:
        repaired: How the body had to be repaired to be read, if so.
    """

    http_status: int
    headers: dict[str, str]
    body: str
    repaired: str | None = left_out()


class AppliedRule(WireModel):
    """The kind of an answer, and the rule that decided it."""

    kind: str
    rule: str


class Selected(WireModel):
    """An expression of the source's configuration, and the value that it gave.

    Attributes:
        expression: Its text.
        sees: The document that it was given.
        value: Its value as JSON text; null if it gave none.
        fault: Why the value is of no use.
    """

    expression: str
    sees: Literal["answer", "body"]
    value: str | None
    fault: str | None = left_out()


class DryRunOutcome(WireModel):
    """The outcome of a poll. It quotes no more of an answer than a monitor's row does.

    Attributes:
        decided_by: The list or rule that gave the outcome; null if nothing says so.
        poll: As GetJobStatus has it.
    """

    source: str
    decided_by: str | None
    poll: Poll


class DryRun(DryRunOutcome):
    """One poll, with all that led to its outcome.

    Attributes:
        answer: Null if no answer came, as `rules` then.
        selected: By the keys of the source's configuration.
    """

    request: SentRequest
    answer: SourceAnswer | None
    rules: AppliedRule | None
    selected: dict[str, Selected]

    @property
    def outcome_alone(self) -> DryRunOutcome:
        """The outcome alone."""
        return DryRunOutcome(source=self.source, decided_by=self.decided_by, poll=self.poll)


def dry_run(jobs: JobApi, source: Source, job_id: str, now: datetime) -> DryRun:
    """Poll once and tell everything about it, secrets masked.

    Raises:
        InvalidInput: The job id has not the parts that ids have there.
        ValueError: It is empty, `.` or `..`.
    """
    look = jobs.look(source, job_id, now)
    request = source.status_request(job_id)
    asked, reading = look.asked, look.reading
    ruling = reading and reading.ruling
    return DryRun(
        source=source.name,
        request=SentRequest(
            method=request.method,
            url=asked.redact(request.url),
            headers={
                **{name: asked.redact(value) for name, value in request.headers.items()},
                **dict.fromkeys(asked.auth_headers(), _MASK),
            },
        ),
        answer=_answer(look),
        rules=ruling and AppliedRule(kind=ruling.kind, rule=ruling.rule),
        selected={each.key: _selected(asked, each) for each in reading.found} if reading else {},
        decided_by=reading.decided_by if reading else look.poll.detail,
        poll=look.poll,
    )


def _answer(look: Look) -> SourceAnswer | None:
    if look.answer is None:
        return None
    headers = {name.lower(): value for name, value in look.answer.headers.items()}
    flaw = look.answer.content.flaw
    return SourceAnswer(
        http_status=look.answer.http_status,
        headers={name: clean(look.asked, headers[name], _VALUE_SHOWN) for name in headers},
        body=clean(look.asked, text_of(look.answer.body), _ANSWER_SHOWN),
        repaired=f"the body {flaw}" if flaw else None,
    )


def _selected(source: Source, found: Found) -> Selected:
    """An expression, the document that it was given, and the value that it gave."""
    none = found.given is None
    return Selected(
        expression=found.expression.text,
        sees="answer" if found.expression.of_answer else "body",
        value=None if none else clean(source, json.dumps(found.given), _VALUE_SHOWN),
        fault=found.fault,
    )


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
    print(json.dumps(shown.to_wire(), indent=2))  # noqa: T201
    outcome = shown.poll.outcome
    return 1 if outcome.unseen or outcome is Outcome.UNRECOGNISED else 0


if __name__ == "__main__":
    sys.exit(main())
