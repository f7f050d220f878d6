"""What an instance of the task hub says of a row."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.hub import Instance, truth
from domain.monitor import MonitorRow, State

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def row(state: State = State.MONITORING, run: int = 2) -> MonitorRow:
    return MonitorRow(
        id="demo.a",
        source="demo",
        job_id="a",
        run=run,
        state=state,
        started_at=NOW,
        expire_time=NOW + timedelta(hours=1),
        poll_interval_seconds=60,
    )


@pytest.mark.parametrize("status", ["Terminated", "Canceled"])
def test_a_live_row_whose_instance_was_terminated_is_terminated(status: str) -> None:
    shown = truth(row(), Instance(status, 2, "because"), NOW)
    assert (shown.state, shown.reason, shown.ended_at) == (State.TERMINATED, "because", NOW)


@pytest.mark.parametrize(
    "instance",
    [
        None,
        Instance("Running", 2, None),
        Instance("Completed", 2, None),
        Instance("Terminated", 1, "an earlier run"),
        Instance("Terminated", None, "no monitor"),
    ],
)
def test_any_other_instance_leaves_the_row_as_it_is(instance: Instance | None) -> None:
    """I1: the instance of an earlier run says nothing of the run that is about to start."""
    assert truth(row(), instance, NOW) == row()


def test_a_final_row_stays_as_it_is() -> None:
    """I3."""
    final = row(State.EXPIRED)
    assert truth(final, Instance("Terminated", 2, "x"), NOW) == final
