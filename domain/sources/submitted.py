"""The answers to a submit and to a cancel: whether the source did it, and the id of the new job."""

from collections.abc import Mapping

from domain.errors import SourceRefused
from domain.outcome import CancelResult
from domain.sources.answer import Answer, clean, text_of
from domain.sources.expression import Expression
from domain.sources.request import JobIdPlace
from domain.sources.rules import Kind, rule_on
from domain.sources.source import Source
from domain.sources.template import JobValues

_ANSWER_SHOWN = 500  # characters


def read_submitted(source: Source, answer: Answer, job: Mapping[str, object]) -> str:
    """The id of the job that an answer says was started.

    Args:
        source: The source that was asked to start it, with the credentials of the request.
        answer: The answer.
        job: The job as the caller sent it, which may say the id or parts of it.

    Raises:
        SourceRefused: It was not started, or has no id; the text quotes the answer.
    """
    if source.submit is None:
        raise ValueError(f"{source.name} has no submit")
    if rule_on(source.submit, answer).kind is not Kind.OK:
        raise SourceRefused(f"{source.name}: {quoted(source, answer)}")
    try:
        value = _named_or_found(answer, source.submit.job_id, JobValues(job))
    except ValueError as error:
        raise SourceRefused(no_id(source, answer, str(error)), may_run=True) from None
    try:
        return source.job_id_text(value)
    except ValueError as error:
        none = "its answer holds no job id where the configuration looks for it"
        why = f"the job id in its answer {error}" if source.job_id_parts else none
        raise SourceRefused(no_id(source, answer, why), may_run=True) from None


def no_id(source: Source, answer: Answer, why: str) -> str:
    """The text for a caller whose job was started, but has no id that can be watched."""
    took = f"{source.name} took the job (HTTP {answer.http_status}) but {why}"
    shown = _text(source, answer)
    return f"{took}: {shown}" if shown else took


def read_cancelled(source: Source, job_id: str, answer: Answer) -> CancelResult:
    """Whether a source took a cancel.

    If not, the detail has the HTTP status alone, since it goes into the row. The log has the words.
    """
    if source.cancel and rule_on(source.cancel, answer, source.job_id(job_id)).kind is Kind.OK:
        return CancelResult(accepted=True)
    words = quoted(source, answer)
    return CancelResult(accepted=False, detail=answer.http_word, quoted=words)


def quoted(source: Source, answer: Answer) -> str:
    """An answer for people: its HTTP status, and its text without secrets."""
    text = _text(source, answer)
    return answer.http_word + (f": {text}" if text else "")


def _text(source: Source, answer: Answer) -> str:
    return clean(source, "" if answer.body is None else text_of(answer.body), _ANSWER_SHOWN)


def _named_or_found(
    answer: Answer, place: JobIdPlace | Mapping[str, JobIdPlace], job: JobValues
) -> object:
    """The id as the caller gave it, else as the answer says it; of several parts, each so."""
    match place:
        case Expression():
            return place.search(answer.seen_by(whole=place.of_answer))
        case str():
            return job.text(place)
        case _:
            return {name: _named_or_found(answer, each, job) for name, each in place.items()}
