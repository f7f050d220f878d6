"""The effective row: the stored row together with its instance in the task hub."""

from datetime import timedelta

import pytest

from domain.monitors.instance import Instance
from domain.monitors.monitor import State
from domain.monitors.recovery import REMOVED, effective_row
from tests.unit.rows import NOW, row

LATER = NOW + timedelta(hours=1)


@pytest.mark.parametrize("status", ["Terminated", "Canceled"])
def test_a_live_row_whose_instance_was_terminated_is_terminated(status: str) -> None:
    shown = effective_row(row(), Instance(status, 2, "because", NOW), None, LATER)
    assert (shown.state, shown.reason, shown.ended_at) == (State.TERMINATED, "because", NOW)


@pytest.mark.parametrize(
    "instance",
    [
        None,
        Instance("Running", 2, None),
        Instance("Completed", 2, None),
        Instance("Terminated", 1, "an earlier run"),
        Instance("Terminated", None, "no monitor"),
        Instance("Terminated", 2, REMOVED),  # a caller that was late meant the run before
    ],
)
def test_any_other_instance_leaves_the_row_as_it_is(instance: Instance | None) -> None:
    """I1: the instance of an earlier run says nothing of the run that is about to start."""
    assert effective_row(row(), instance, None, NOW) == row()


def test_a_final_row_stays_as_it_is() -> None:
    """I3."""
    final = row(state=State.EXPIRED)
    assert effective_row(final, Instance("Terminated", 2, "x"), None, NOW) == final
