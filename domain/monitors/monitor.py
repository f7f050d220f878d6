"""A monitor: its row in the store, and the watch that an orchestrator carries along."""

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field

from domain.limits import OnExpiry
from domain.outcome import Outcome, Settings, StopRequest
from domain.state import State as State  # noqa: PLC0414  most take it from here
from domain.text import Text
from domain.wire import InternalModel


class Verdict(InternalModel):
    """How a watch ended.

    Attributes:
        state: A final state.
        reason: Why, for people.
        ended_at: When it was decided.
    """

    state: State
    reason: Text
    ended_at: AwareDatetime


class MonitorFields(InternalModel):
    """The fields that a `Watch` and a `MonitorRow` share. A new one is declared here, once.

    Attributes:
        source: The name of the configured job system.
        job_id: The job's id in the source, unchanged.
        run: 1 for the first watch over the job, then 2, 3, ...
        started_at: When the watch began.
        expire_time: When the watch ends at the latest.
        timeout_seconds: The duration that the caller asked for, unless it gave an `expire_time`.
        poll_interval_seconds: Time between polls while all is well.
        on_expiry: `cancel` if the app is to cancel the job when the watch expires.
        last_poll_at: When the last poll was made.
        next_poll_at: When the next poll is made, if no hint comes first.
        polls: How many polls were made.
        failures: How many polls in a row could not see the job.
        not_found: How many polls in a row the source answered that it knows no such job. One that
            a hint brought forward does not count.
        not_found_since: When the first of them was made.
        not_found_at: When the last of them was made.
        end_seen: An end of the job that must last before it counts.
        end_seen_at: Since when it lasts.
        gone_while_blind: Whether the source forgot the job while the watch could not see it.
        moved_at: When status, progress or message last changed.
        raw_status: The source's own word for the job's status, when last seen.
        progress: 0 to 100, when last seen.
        message: The source's text about the job, when last seen.
        outcome: The outcome of the last poll.
        detail: Why the last poll could not see the job.
        blind: Whether the watch can't see the job: refused for its credentials, or three
            failures in a row.
        cancel_result: The source's last word about a wish to cancel the job: `accepted`, or why
            it was not.
    """

    source: str
    job_id: str
    run: int
    started_at: AwareDatetime
    expire_time: AwareDatetime
    timeout_seconds: int | None = None
    poll_interval_seconds: int
    on_expiry: OnExpiry = "leave"
    last_poll_at: AwareDatetime | None = None
    next_poll_at: AwareDatetime | None = None
    polls: int = 0
    failures: int = 0
    not_found: int = 0
    not_found_since: AwareDatetime | None = None
    not_found_at: AwareDatetime | None = None
    end_seen: Outcome | None = None
    end_seen_at: AwareDatetime | None = None
    gone_while_blind: bool = False
    moved_at: AwareDatetime | None = None
    raw_status: Text | None = None
    progress: float | None = None
    message: Text | None = None
    outcome: Outcome | None = None
    detail: Text | None = None
    blind: bool = False
    cancel_result: Text | None = None


_SHARED = set(MonitorFields.model_fields)


class Watch(MonitorFields):
    """The input of a `JobMonitoring` generation: all that it knows.

    Attributes:
        monitor_id: See `domain.monitors.monitor_id`.
        next_poll_at: When this generation polls, if no hint comes first.
        verdict: The end, once decided; the generations after that only carry it out.
        cancel_job: Whether the source is to cancel the job before the verdict is stored.
        cancel_attempts: How often the source was asked to cancel the job.
        store_attempts: How often the store did not take the verdict.
        version: The version of this shape, for generations that an earlier release started.
    """

    monitor_id: str
    next_poll_at: AwareDatetime
    verdict: Verdict | None = None
    cancel_job: bool = False
    cancel_attempts: int = 0
    store_attempts: int = 0
    version: int = 1

    @property
    def cancel_pending(self) -> bool:
        """Whether the source is still to be asked to cancel the job."""
        return self.cancel_job and self.cancel_result is None

    def custom_status(self) -> dict[str, Any]:
        """The custom status, which the check-status URL shows."""
        return {
            "state": self.verdict.state if self.verdict else State.MONITORING,
            "outcome": self.outcome,
            "rawStatus": self.raw_status,
            "progress": self.progress,
            "message": self.message,
            "polls": self.polls,
            "failures": self.failures,
            "blind": self.blind,
            "cancelResult": self.cancel_result,
            "storeAttempts": self.store_attempts,
        }


class MonitorRow(MonitorFields):
    """A monitor as the store has it and the API shows it.

    Attributes:
        id: See `domain.monitors.monitor_id`.
        state: Where the watch stands.
        stale: Whether the watch has gone silent; the watchdog sets it, the next poll clears it.
        resumed: Whether the watch was started again, and has not polled since.
        late_seconds: How late the last poll came; 0 if a hint brought it forward.
        stop: Somebody's wish to end the watch, until it is carried out.
        reason: Why the watch ended.
        ended_at: When the watch ended.
        result: The result of the job, as JSON text of 16 KiB at most.
        result_cut: Whether the result was longer.
        labels: Names and values that the start gave.
        paused: Whether somebody holds the polls of this watch.
        overdue: Whether the job runs longer than `warn_after_seconds`.
        stalled: Whether nothing of the job moved for `stall_after_seconds`.
        warn_after_seconds: When a job that still runs is overdue, if the start said so.
        stall_after_seconds: When a job of which nothing moves is stalled, if the start said so.
        swept: Whether a sweep looks after the watch, so that its next poll is a safety net.
        listed: Whether the complete list of the source named the job when it last was looked at.
        looked_at: When a sweep asked for the status, progress and message that it wrote last.
        woken_for: What the sweep saw when it woke the watch, as long as polls see otherwise.
        woken_at: When it woke the watch.
        notify: The channels that tell of it, if the start named some; none if that list is empty.
        milestone: The last of 25, 50 and 75 percent that the progress of this run has reached.
        failed_polls: How many polls of this run could not see the job.
        hinted_at: When a hint last brought a poll forward.
    """

    id: str
    state: State
    stale: bool = False
    resumed: bool = False
    late_seconds: float | None = None
    stop: StopRequest | None = None
    reason: str | None = None
    ended_at: AwareDatetime | None = None
    result: str | None = None
    result_cut: bool = False
    labels: dict[str, str] = Field(default={})
    paused: bool = False
    overdue: bool = False
    stalled: bool = False
    warn_after_seconds: int | None = None
    stall_after_seconds: int | None = None
    swept: bool = False
    listed: bool = False
    looked_at: AwareDatetime | None = None
    woken_for: Text | None = None
    woken_at: AwareDatetime | None = None
    notify: tuple[str, ...] | None = None
    milestone: int = 0
    failed_polls: int = 0
    hinted_at: AwareDatetime | None = None

    def first_watch(self, poll_at: datetime | None = None) -> Watch:
        """The input that starts, or starts again, the orchestrator of this run.

        Args:
            poll_at: When it polls first; None for at once.
        """
        shared = self.model_dump(include=_SHARED - {"next_poll_at"})
        return Watch(
            **shared,
            monitor_id=self.id,
            next_poll_at=poll_at or self.last_poll_at or self.started_at,
        )

    @property
    def verdict(self) -> Verdict | None:
        """How the watch ended, once it has."""
        if not self.state.final or self.ended_at is None:
            return None
        return Verdict(state=self.state, reason=self.reason or "", ended_at=self.ended_at)

    @property
    def settings(self) -> Settings:
        """The settings that may change while the watch lives."""
        return Settings.model_validate(self.model_dump(include=set(Settings.model_fields)))

    def ended(self, verdict: Verdict) -> "MonitorRow":
        """This row with its end."""
        return self.model_copy(update={**dict(verdict), "stop": None, "next_poll_at": None})
