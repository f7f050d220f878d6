"""A row to begin with."""

from datetime import UTC, datetime, timedelta

from domain.monitors.monitor import MonitorRow, State

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def row(**given: object) -> MonitorRow:
    """A live one, but for what is given."""
    values: dict[str, object] = {
        "id": "demo.a",
        "source": "demo",
        "job_id": "a",
        "run": 2,
        "state": State.MONITORING,
        "started_at": NOW,
        "expire_time": NOW + timedelta(days=1),
        "poll_interval_seconds": 60,
    }
    return MonitorRow.model_validate(values | given)
