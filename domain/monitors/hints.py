"""The jobs that a hint is about."""

from collections.abc import Sequence

from domain.errors import Fault, InvalidInput
from domain.monitors.start import job_id_fault
from domain.sources.hint import selected
from domain.sources.source import Source

JOBS = 100
"""How many jobs a hint may be about."""

EVENTS = 5_000
"""How many events it may hold, and values in them: Event Grid sends no more events at once."""


def job_named(source: Source, value: object) -> str:
    """The id of a job that a request names; InvalidInput if no job of the source can have it."""
    try:
        text = source.job_id_text(value)
    except ValueError as error:
        raise InvalidInput([Fault("jobId", str(error))]) from None
    if fault := job_id_fault(text):
        raise InvalidInput([Fault("jobId", fault)])
    return text


def jobs_in(source: Source, events: Sequence[object]) -> list[str]:
    """The ids of jobs in events of the job system, each once.

    Nobody else is answered meanwhile: 5,000 events take a sixth of a second.

    Raises:
        InvalidInput: The source does not say where they are, or there are more than `JOBS`, or more
            than `EVENTS`.
    """
    if source.hint.job_id is None:
        what = "must be given, in the query or the body: the source has no hint.job_id"
        raise InvalidInput([Fault("jobId", what)])
    too_many = InvalidInput([Fault("body", f"must hold {EVENTS} events at the most")])
    if len(events) > EVENTS:
        raise too_many
    job_ids: dict[str, None] = {}
    for number, value in enumerate(selected(events, source.hint.job_id), 1):
        if number > EVENTS:
            raise too_many
        try:
            job_ids[job_named(source, value)] = None
        except InvalidInput:  # an event about no job
            continue
        if len(job_ids) > JOBS:
            raise InvalidInput([Fault("body", f"must be about {JOBS} jobs at the most")])
    return [*job_ids]
