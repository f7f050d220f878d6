"""The jobs that a hint is about."""

from collections.abc import Iterable

from domain.errors import Fault, InvalidInput
from domain.monitors.start import job_id_fault
from domain.sources.hint import selected
from domain.sources.source import Source

JOBS = 100
"""How many jobs a hint may be about."""


def job_named(source: Source, value: object) -> str:
    """The id of a job that a request names; InvalidInput if no job of the source can have it."""
    try:
        text = source.job_id_text(value)
    except ValueError as error:
        raise InvalidInput([Fault("jobId", str(error))]) from None
    if fault := job_id_fault(text):
        raise InvalidInput([Fault("jobId", fault)])
    return text


def jobs_in(source: Source, events: Iterable[object]) -> list[str]:
    """The ids of jobs in events of the job system, each once.

    Raises:
        InvalidInput: The source does not say where they are, or there are more than `JOBS`.
    """
    if source.hint.job_id is None:
        what = "must be given, in the query or the body: the source has no hint.job_id"
        raise InvalidInput([Fault("jobId", what)])
    job_ids: dict[str, None] = {}
    for value in selected(events, source.hint.job_id):
        try:
            job_ids[job_named(source, value)] = None
        except InvalidInput:  # an event about no job
            continue
    if len(job_ids) > JOBS:
        raise InvalidInput([Fault("body", f"must be about {JOBS} jobs at the most")])
    return [*job_ids]
